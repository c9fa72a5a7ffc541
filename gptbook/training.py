"""Training a GPT: on the story world, from nothing to the shipped model, or on a text.

    python -m gptbook.training --config tales --out runs/tales
    python -m gptbook.training --config text --text novel.txt
    torchrun --nproc_per_node 2 -m gptbook.training --config tales

What a step does depends on the configuration, the weights and the number of the step
alone: the documents of step `s` are made from their seeds when it comes. So a run that
was stopped, at any moment, continues from its last checkpoint to the same weights.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from gptbook import runs, tales
from gptbook.checkpoint import Config
from gptbook.processes import Processes, Speed, leave, measure_peak, training_flops
from gptbook.sources import VALIDATION_SEED, Tales, Text, train_tokenizer  # noqa: F401
from gptbook.torch_gpt import GPT


@dataclass(frozen=True)
class TrainingConfig:
    """All that decides the weights, with the seed; for a text, with the text.

    Raises ValueError for settings that contradict each other.
    """

    model: Config
    steps: int
    batch_size: int  # sequences a step, of all processes together
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
    validation_documents: int = 500  # of a text: blocks
    validate_every: int = 250
    checkpoint_every: int = 100
    seed: int = 0

    def __post_init__(self):
        if not 0 < self.warmup < self.steps:
            raise ValueError(
                f"the warm-up, {self.warmup} steps, must be shorter than the run, "
                f"{self.steps} steps"
            )
        if self.model.block_size % 16:
            raise ValueError(
                f"block_size {self.model.block_size} is not a multiple of 16, to which "
                "batches are padded"
            )


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
    "text": TrainingConfig(
        model=Config(vocab_size=1024, block_size=256, n_layer=4, n_head=4, d_model=128),
        steps=1000,
        batch_size=16,
        matrix_rate=0.025,
        token_rate=0.004,
        position_rate=0.001,
        vector_rate=0.003,
        matrix_decay=0.05,
        token_std=0.1,
        validation_documents=64,
        validate_every=50,
        checkpoint_every=50,
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

    source: what is learnt, Tales(config) unless given. `model/` gets the last weights,
    or of a source that repeats itself those with the lowest validation loss.
    compiled: whether torch.compile makes the model faster, after some waiting.
    peak: operations a second of which this process is capable, to tell the MFU.
    Raises ValueError if the folder has a run of another configuration or text, or an
    unfit checkpoint; OSError if a file can't be written.
    """

    def __init__(
        self, config, folder, source=None, processes=None, compiled=False, peak=None
    ):
        self.config, self.folder = config, Path(folder)
        self.source = source or Tales(config)
        self.processes = processes or Processes()
        self.speed = Speed(peak)
        if self.processes.world > config.batch_size:
            raise ValueError(f"{self.processes.world} processes can't share the "
                             f"{config.batch_size} sequences of a step")  # fmt: skip
        settings = {**dataclasses.asdict(config), **self.source.identity}
        self.fingerprint = json.dumps(settings, sort_keys=True)
        with self.processes.in_turn():
            self.prepare()
        self.tokenizer, self.floor = self.source.tokenizer, self.source.floor
        self.validation = self.source.validation

        torch.manual_seed(config.seed)
        self.model = GPT(config.model)  # on the CPU: the same start on every device
        start_tables(self.model, config)
        self.model.to(self.processes.device)
        self.optimisers = optimisers(self.model, config)
        self.step = 0
        self.losses = []  # (step, tokens, training loss, validation loss or None)
        self.tokens = 0
        self.checkpoint = self.folder / "checkpoint.safetensors"
        if self.checkpoint.exists():
            self.load()
        steps = self.processes.gather(self.step)
        if set(steps) != {self.step}:
            raise ValueError(f"the processes are at the steps {steps}: {self.folder} "
                             "must be a folder that all of them share")  # fmt: skip
        if compiled:
            self.model.compile(dynamic=True)
        self.parallel = self.processes.parallel(self.model)

    def prepare(self):
        """Makes the files that all processes read; refuses those of another run."""
        with runs.explained(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.folder / "settings.json"
            if path.exists():
                self.refuse_others(path, path.read_text(encoding="utf-8"))
            else:
                runs.write_text(path, self.fingerprint)
            self.source.prepare(self.folder)

    def refuse_others(self, path, found):
        if found != self.fingerprint:
            raise ValueError(
                f"{path} is of another configuration: "
                f"{runs.difference(found, self.fingerprint)}; "
                "choose another folder with --out"
            )

    def state(self):
        """Every tensor that the next step depends on, by name."""
        arrays = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        for i, optimiser in enumerate(self.optimisers):
            for j, entries in optimiser.state_dict()["state"].items():
                for k, v in entries.items():
                    arrays[f"optimiser.{i}.{j}.{k}"] = v
        return {name: tensor.numpy(force=True) for name, tensor in arrays.items()}

    def metadata(self):
        """What else it depends on, or what must be the same when it goes on."""
        progress = {"step": self.step, "tokens": self.tokens, "losses": self.losses}
        tokens = self.tokenizer.tokens(range(self.tokenizer.vocab_size))
        return {
            "config": self.fingerprint,
            "tokenizer": runs.digest(tokens),
            "progress": json.dumps(progress),
        }

    def save(self):
        """Writes the checkpoint; the old one stays until the new one is whole."""
        arrays = self.state()
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise FloatingPointError(self.broken("a weight is not finite"))
        runs.save_checkpoint(self.checkpoint, arrays, self.metadata())

    def load(self):
        arrays, metadata = runs.load_checkpoint(self.checkpoint)
        self.refuse_others(self.checkpoint, metadata["config"])
        if metadata["tokenizer"] != self.metadata()["tokenizer"]:
            raise ValueError(f"{self.checkpoint} was trained with another tokenizer "
                             "than the tokenizer.json beside it")  # fmt: skip
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
        device = self.processes.device.type
        return torch.autocast(device, torch.bfloat16, enabled=self.config.bfloat16)

    def batches(self, sequences, n):
        """The micro-batches of the sequences, of which there may be none."""
        for pair in micro_batches(sequences, n) if sequences else ():
            yield [tensor.to(self.processes.device) for tensor in pair]

    def train_step(self):
        """One batch; returns its mean loss in nats a token.

        Each process makes its own rows and their gradients, which the last backward
        pass exchanges. All that follows is the same on every process.
        """
        rank, world = self.processes.rank, self.processes.world
        ids = self.source.sequences(self.step, rank, world)
        self.lengths = [len(sequence) - 1 for sequence in ids]
        n_targets = int(sum(self.processes.gather(sum(self.lengths))))
        n = min(len(ids), math.ceil(self.config.micro_batches / world))
        losses = []
        for inputs, targets in self.batches(ids, n):
            with self.processes.exchange(self.parallel, len(losses) == n - 1):
                # Each micro-batch's mean, weighted by its tokens, adds up to the
                # batch's. The exchange takes the mean over processes, hence `world`.
                with self.precision():
                    _, loss = self.parallel(inputs, targets)
                loss = loss * ((targets >= 0).sum() / n_targets)
                (loss * world).backward()
            losses.append(loss.detach())
        total = sum(self.processes.gather(sum(loss.item() for loss in losses)))
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        if not (math.isfinite(total) and norm.isfinite()):
            found = f"the loss is {total} and the norm of the gradient {norm}"
            raise FloatingPointError(self.broken(found))
        rate = learning_rate(self.step, self.config)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = group["peak"] * rate
            optimiser.step()
            optimiser.zero_grad()
        self.step += 1
        self.tokens += n_targets
        return total

    def broken(self, found):
        return (f"{found} at step {self.step}: lower the learning rates; the last "
                "checkpoint is untouched")  # fmt: skip

    @torch.no_grad()
    def validate(self):
        """The mean loss on the validation sequences, in nats a token."""
        own = self.validation[self.processes.rank :: self.processes.world]
        total, count = 0.0, 0
        for inputs, targets in self.batches(own, max(1, len(own) // 8)):
            n = int((targets >= 0).sum())
            total += self.model(inputs, targets)[1].item() * n
            count += n
        return sum(self.processes.gather(total)) / sum(self.processes.gather(count))

    def run(self, until=None):
        """Trains to the last step (or `until`), then writes the model and the curve."""
        last = self.config.steps if until is None else until
        writes = self.processes.rank == 0  # the others would only write the same
        if writes:
            for leftover in self.folder.glob(".*.tmp"):  # of a process that was killed
                leftover.unlink(missing_ok=True)
        bar = tqdm(
            total=self.config.steps, initial=self.step, ncols=88, disable=not writes,
            bar_format="{desc}step {n}/{total} |{bar}| {elapsed}<{remaining}{postfix}",
        )  # fmt: skip
        while self.step < last:
            start, tokens = time.perf_counter(), self.tokens
            loss = self.train_step()
            seconds = time.perf_counter() - start
            flops = training_flops(self.config.model, self.lengths)
            self.speed.add(self.tokens - tokens, flops, seconds)
            due = self.step % self.config.validate_every == 0 or self.step == last
            validation = self.validate() if due else None
            better = due and validation < self.best()
            self.losses.append((self.step, self.tokens, loss, validation))
            if writes and better and self.source.repeats:
                self.save_model()
            keep = self.step % self.config.checkpoint_every == 0 or self.step == last
            if writes and keep:
                self.save()
            bar.set_postfix_str(str(self.speed), refresh=False)
            bar.update()
            if due:
                aim = self.best() if self.floor is None else self.floor
                name = "best" if self.floor is None else "floor"
                bar.set_description_str(f"loss {validation:.4f} {name} {aim:.4f} ")
        bar.close()
        if writes and self.step == self.config.steps:
            self.export()
        self.processes.gather(0)  # nobody goes before all is written

    def best(self):
        """The lowest validation loss so far; infinite before the first."""
        return min((row[3] for row in self.losses if row[3] is not None),
                   default=math.inf)  # fmt: skip

    def save_model(self):
        """The model as it is, in the Hugging Face layout."""
        model = self.folder / "model"
        end = self.tokenizer.special_tokens[tales.END]
        ids = {"bos_token_id": end, "eos_token_id": end}
        with runs.explained(model):
            self.model.save(model, **ids)
            text = json.dumps(ids, indent=2) + "\n"
            runs.write_text(model / "generation_config.json", text)
            self.tokenizer.save(model / "tokenizer.json")

    def export(self):
        """The finished model, unless a better one is there, and the loss curve."""
        if not self.source.repeats:
            self.save_model()
        with runs.explained(self.folder):
            runs.write_losses(self.folder, self.losses, self.floor)

    def close(self):
        """Parts from the other processes, after the last step."""
        self.parallel = None
        leave()


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Train a GPT.")
    parser.add_argument("--config", default="tales", help=", ".join(CONFIGS))
    parser.add_argument("--text", help="a text file to learn from, not the story world")
    parser.add_argument("--out", help="folder of the run (default: runs/CONFIG)")
    parser.add_argument("--steps", type=int, help="in place of the configuration's")
    parser.add_argument("--threads", type=int, default=1, help="of the processor")
    parser.add_argument("--device", help="default: cuda if there is one, else cpu")
    parser.add_argument("--compile", action="store_true", help="with torch.compile")
    parser.add_argument("--peak", type=float, metavar="TFLOPS",
                        help="for the MFU, of one process (measured)")  # fmt: skip
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    trainer = message = None
    try:
        config = get_config(options.config)
        if options.steps is not None:
            config = dataclasses.replace(config, steps=options.steps)
        if options.config == "text" and options.text is None:
            raise ValueError("--config text needs a text: --text PATH")
        source = Text(config, options.text) if options.text else Tales(config)
        processes = Processes(options.device)
        dtype = torch.bfloat16 if config.bfloat16 else torch.float32
        peak = options.peak and options.peak * 1e12  # operations a second
        peak = peak or measure_peak(processes.device, dtype)
        folder = options.out or f"runs/{options.config}"
        trainer = Trainer(config, folder, source, processes, options.compile, peak)
        trainer.run()
    except (ValueError, OSError, FloatingPointError) as error:
        message = f"{type(error).__name__}: {error}"
    trainer.close() if trainer else leave()
    if message:
        sys.exit(message)


if __name__ == "__main__":
    main()
