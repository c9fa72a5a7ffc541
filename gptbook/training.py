"""Training a GPT on the story world, from nothing to the shipped model.

    python -m gptbook.training --config tales --out runs/tales

What a step does depends on the configuration, the weights and the number of the step
alone: the documents of step `s` are made from their seeds when it comes. So a run that
was stopped, at any moment, continues from its last checkpoint to the same weights.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from gptbook import tales
from gptbook.checkpoint import Config, read_safetensors, write_safetensors
from gptbook.tokenizer import Tokenizer
from gptbook.torch_gpt import GPT

# Documents are told apart by seed: training counts up from 0, validation from here.
VALIDATION_SEED = 2**40


@dataclass(frozen=True)
class TrainingConfig:
    """All that decides the weights, with the seed."""

    model: Config
    steps: int
    batch_size: int  # documents a step
    matrix_rate: float  # peak learning rates: the matrices in the blocks (Muon)
    token_rate: float  # the token table (AdamW)
    position_rate: float  # the position table (AdamW)
    vector_rate: float  # biases and LayerNorm (AdamW)
    matrix_decay: float = 0.02  # weight decay of the matrices
    token_std: float = 0.02  # of the token table at the start
    position_scale: float = 0.2  # of the position table at the start
    warmup: int = 50  # steps
    clip: float = 1.0  # the largest norm of the gradient
    micro_batches: int = 4
    bfloat16: bool = False  # products in bfloat16, on processors that are fast at it
    tokenizer_documents: int = 8000
    validation_documents: int = 500
    validate_every: int = 250
    checkpoint_every: int = 100
    seed: int = 0


CONFIGS = {
    "tales": TrainingConfig(
        model=Config(vocab_size=1024, block_size=256, n_layer=4, n_head=4, d_model=128),
        steps=16_000,
        batch_size=32,
        matrix_rate=0.025,
        token_rate=0.004,
        position_rate=0.001,
        vector_rate=0.003,
        matrix_decay=0.05,
        token_std=0.1,
        bfloat16=True,
    ),
    "tiny": TrainingConfig(
        model=Config(vocab_size=512, block_size=512, n_layer=2, n_head=2, d_model=32),
        steps=20,
        batch_size=4,
        matrix_rate=0.02,
        token_rate=0.004,
        position_rate=0.001,
        vector_rate=0.002,
        warmup=5,
        micro_batches=2,
        tokenizer_documents=200,
        validation_documents=8,
        validate_every=10,
        checkpoint_every=5,
    ),
}


def get_config(name: str) -> TrainingConfig:
    """The configuration of a name; ValueError lists the names there are."""
    if name not in CONFIGS:
        raise ValueError(f"unknown config {name!r}; there are {', '.join(CONFIGS)}")
    return CONFIGS[name]


# Batches


def train_tokenizer(config: TrainingConfig) -> Tokenizer:
    """The tokenizer of a configuration, from its first training documents."""
    texts = [tales.document(seed).text for seed in range(config.tokenizer_documents)]
    return Tokenizer.train(texts, config.model.vocab_size, tales.SPECIAL_TOKENS)


def micro_batches(sequences, n):
    """Splits sequences of ids, by length, into `n` padded pairs (inputs, targets).

    Each row is one whole document from position 0, for a document without its beginning
    can't be predicted as well as its floor says. Rows of like length together need
    little padding, and T a multiple of 16 makes few shapes, for each of which PyTorch
    prepares its products anew. Shapes (B, T); targets are the next ids, -1 where there
    is none.
    """
    pairs = []
    sequences = sorted(sequences, key=len)
    for rows in np.array_split(np.arange(len(sequences)), n):
        T = math.ceil((len(sequences[rows[-1]]) - 1) / 16) * 16
        ids = torch.full((len(rows), T + 1), -1)  # (B, T + 1)
        for row, i in zip(ids, rows, strict=True):
            row[: len(sequences[i])] = torch.tensor(sequences[i])
        inputs, targets = ids[:, :-1], ids[:, 1:]  # (B, T)
        pairs.append((inputs.clamp(min=0), targets))
    return pairs


# The start


@torch.no_grad()
def start_tables(model, config):
    """Sets the two tables; all else starts as GPT-2 does.

    The positions start as the sinusoids of Vaswani et al. 2017, section 3.5, in which
    near places are alike, and are learned from there: attention finds "the last one
    before" sooner than from random rows.
    """
    wte, wpe = (model.transformer[name].weight for name in ("wte", "wpe"))
    wte.normal_(0, config.token_std)
    half = torch.arange(wpe.shape[1] // 2) / (wpe.shape[1] // 2)
    # The longest wave is a few times block_size, so that no two places are alike.
    angles = torch.arange(len(wpe))[:, None] * (4 * len(wpe)) ** -half  # (T_max, C/2)
    wpe.copy_(config.position_scale * torch.cat([angles.sin(), angles.cos()], dim=1))


# Optimisers


def orthogonalise(matrix, steps=5):
    """The nearest orthogonal matrix, roughly, by Newton-Schulz steps.

    A polynomial of the matrix moves each singular value towards 1 and leaves the
    singular vectors as they are (Jordan et al. 2024, "Muon", with its coefficients).
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x if matrix.shape[0] <= matrix.shape[1] else x.T


class Muon(torch.optim.Optimizer):
    """Momentum, then each matrix's update made orthogonal (Jordan et al. 2024).

    Weight decay keeps the matrices, and with them the residual stream, from growing
    without end. torch.optim.Muon does the same in bfloat16, which few CPUs have.
    """

    def __init__(self, parameters, lr, weight_decay=0.0, momentum=0.95):
        defaults = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum}
        super().__init__(parameters, defaults)

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                buffer = self.state[p].setdefault("momentum", torch.zeros_like(p))
                buffer.lerp_(p.grad, 1 - group["momentum"])
                update = orthogonalise(p.grad.lerp(buffer, group["momentum"]))
                # A matrix (in, out) that widens should move its output as others do.
                scale = max(1, p.shape[1] / p.shape[0]) ** 0.5
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(update, alpha=-group["lr"] * scale)


def optimisers(model, config):
    """Muon for the matrices of the blocks, AdamW for tables, biases and norms."""
    named = list(model.named_parameters())
    tokens = [p for name, p in named if "wte" in name]
    positions = [p for name, p in named if "wpe" in name]
    matrices = [p for name, p in named if ".h." in name and p.ndim == 2]
    vectors = [p for _, p in named if p.ndim == 1]
    adamw = torch.optim.AdamW(
        [{"params": tokens, "lr": config.token_rate},
         {"params": positions, "lr": config.position_rate},
         {"params": vectors, "lr": config.vector_rate}],
        betas=(0.9, 0.99), weight_decay=0.0,
    )  # fmt: skip
    both = [Muon(matrices, config.matrix_rate, config.matrix_decay), adamw]
    for optimiser in both:
        for group in optimiser.param_groups:
            group["peak"] = group["lr"]
    return both


def learning_rate(step, config):
    """The share of the peak rate at a step: linear warm-up, then linear to 0."""
    warm = (step + 1) / config.warmup
    return min(warm, (config.steps - step) / (config.steps - config.warmup), 1.0)


# One run, which can stop at any moment and go on


class Trainer:
    """A training run in a folder: `checkpoint.safetensors`, `losses.csv`, `model/`.

    Raises ValueError if the folder holds the checkpoint of another configuration.
    """

    def __init__(self, config: TrainingConfig, folder):
        self.config, self.folder = config, Path(folder)
        self.fingerprint = json.dumps(dataclasses.asdict(config), sort_keys=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(config.seed)
        self.model = GPT(config.model)
        start_tables(self.model, config)
        self.optimisers = optimisers(self.model, config)
        self.step = 0
        self.losses = []  # (step, tokens, training loss, validation loss or None)
        self.tokens = 0
        path = self.folder / "tokenizer.json"
        if not path.exists():
            train_tokenizer(config).save(path)
        self.tokenizer = Tokenizer.load(path)
        self.checkpoint = self.folder / "checkpoint.safetensors"
        if self.checkpoint.exists():
            self.load()
        documents = [
            tales.document(VALIDATION_SEED + i)
            for i in range(config.validation_documents)
        ]
        self.floor = tales.entropy_floor(documents, self.tokenizer)
        self.validation = [self.tokenizer.encode(d.text) for d in documents]

    def state(self):
        """Every tensor that the next step depends on, by name."""
        arrays = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        for i, optimiser in enumerate(self.optimisers):
            for j, entries in optimiser.state_dict()["state"].items():
                for k, v in entries.items():
                    arrays[f"optimiser.{i}.{j}.{k}"] = v
        return {name: tensor.numpy() for name, tensor in arrays.items()}

    def save(self):
        """Writes the checkpoint; the old one stays until the new one is whole."""
        progress = {"step": self.step, "tokens": self.tokens, "losses": self.losses}
        metadata = {"config": self.fingerprint, "progress": json.dumps(progress)}
        write_safetensors(self.checkpoint, self.state(), metadata)

    def load(self):
        arrays, metadata = read_safetensors(self.checkpoint, with_metadata=True)
        if metadata.get("config") != self.fingerprint:
            raise ValueError(
                f"{self.checkpoint} is of another configuration: "
                f"{difference(metadata.get('config'), self.fingerprint)}; "
                "choose another folder with --out"
            )
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        prefix = "model."
        self.model.load_state_dict({
            name.removeprefix(prefix): t for name, t in tensors.items()
            if name.startswith(prefix)
        })  # fmt: skip
        for i, optimiser in enumerate(self.optimisers):
            state = optimiser.state_dict()
            for name, tensor in tensors.items():
                if name.startswith(f"optimiser.{i}."):
                    _, _, j, key = name.split(".", 3)
                    state["state"].setdefault(int(j), {})[key] = tensor
            optimiser.load_state_dict(state)
        progress = json.loads(metadata["progress"])
        self.step, self.tokens = progress["step"], progress["tokens"]
        self.losses = [tuple(row) for row in progress["losses"]]

    def precision(self):
        """In bfloat16, where so configured, only the products of the layers are."""
        return torch.autocast("cpu", torch.bfloat16, enabled=self.config.bfloat16)

    def train_step(self):
        """One batch of new documents; returns its mean loss in nats a token."""
        size = self.config.batch_size
        seeds = range(self.step * size, (self.step + 1) * size)
        ids = [self.tokenizer.encode(tales.document(seed).text) for seed in seeds]
        n_targets = sum(len(sequence) - 1 for sequence in ids)
        total = 0.0
        for inputs, targets in micro_batches(ids, self.config.micro_batches):
            # Each micro-batch's mean, weighted by its tokens, adds up to the batch's.
            with self.precision():
                _, loss = self.model(inputs, targets)
            loss = loss * ((targets >= 0).sum() / n_targets)
            loss.backward()
            total += loss.item()
        if not math.isfinite(total):
            raise FloatingPointError(
                f"the loss is {total} at step {self.step}: lower the learning rates; "
                "the last checkpoint is untouched"
            )
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        rate = learning_rate(self.step, self.config)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = group["peak"] * rate
            optimiser.step()
            optimiser.zero_grad()
        self.step += 1
        self.tokens += n_targets
        return total

    @torch.no_grad()
    def validate(self):
        """The mean loss on the validation documents, in nats a token."""
        total, count = 0.0, 0
        n_batches = max(1, len(self.validation) // 8)
        for inputs, targets in micro_batches(self.validation, n_batches):
            n = int((targets >= 0).sum())
            total += self.model(inputs, targets)[1].item() * n
            count += n
        return total / count

    def run(self, until=None):
        """Trains to the last step (or `until`), then writes the model and the curve."""
        last = self.config.steps if until is None else until
        bar = tqdm(total=self.config.steps, initial=self.step, unit="step", ncols=88)
        while self.step < last:
            loss = self.train_step()
            due = self.step % self.config.validate_every == 0
            validation = self.validate() if due or self.step == last else None
            self.losses.append((self.step, self.tokens, loss, validation))
            if self.step % self.config.checkpoint_every == 0 or self.step == last:
                self.save()
            bar.update()
            if validation is not None:
                bar.set_description(f"loss {validation:.4f} floor {self.floor:.4f}")
        bar.close()
        if self.step == self.config.steps:
            self.export()

    def export(self):
        """The finished model in the Hugging Face layout, the losses and their curve."""
        model = self.folder / "model"
        end = self.tokenizer.special_tokens[tales.END]
        ids = {"bos_token_id": end, "eos_token_id": end}
        self.model.save(model, **ids)
        (model / "generation_config.json").write_text(json.dumps(ids, indent=2) + "\n")
        self.tokenizer.save(model / "tokenizer.json")
        with open(self.folder / "losses.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["step", "tokens", "training", "validation", "floor"])
            for step, tokens, loss, validation in self.losses:
                writer.writerow([
                    step, tokens, f"{loss:.4f}",
                    "" if validation is None else f"{validation:.4f}",
                    f"{self.floor:.4f}",
                ])  # fmt: skip
        plot_losses(self.losses, self.floor, self.folder / "losses.png")


def difference(old, new):
    """The settings that two configurations, as JSON, do not share."""
    old, new = json.loads(old or "{}"), json.loads(new)
    return ", ".join(
        f"{key} {old.get(key)} there, {new.get(key)} here"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    )


def plot_losses(losses, floor, path):
    """The loss curve beside the floor."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4))
    steps = [row[0] for row in losses]
    axes.plot(steps, [row[2] for row in losses], lw=0.5, alpha=0.5)
    validated = [row for row in losses if row[3] is not None]
    axes.plot([row[0] for row in validated], [row[3] for row in validated], "o-", ms=3)
    axes.axhline(floor, color="black", ls="--")
    axes.set(xlabel="step", ylabel="nats a token", yscale="log")
    figure.savefig(path, dpi=150, bbox_inches="tight")
    plt.close(figure)


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Train a GPT on the story world.")
    parser.add_argument("--config", default="tales", help=", ".join(CONFIGS))
    parser.add_argument("--out", help="folder of the run (default: runs/CONFIG)")
    parser.add_argument("--threads", type=int, default=1, help="of the processor")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    config = get_config(options.config)
    Trainer(config, options.out or f"runs/{options.config}").run()


if __name__ == "__main__":
    main()
