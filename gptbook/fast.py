"""The same loss in less time: a small GPT with one switch for each lever.

With every switch as it is by default, `FastConfig` is the plain recipe: GPT-2 without
biases and dropout, trained by AdamW on random windows of a text of characters.
`RECIPES` holds it and the recipes that reach its loss sooner.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import nn

from gptbook.training import Muon


@dataclass(frozen=True)
class FastConfig:
    """A recipe: the model's shape, the budget, the rates, and the levers."""

    vocab_size: int = 65
    block_size: int = 64
    n_layer: int = 4
    n_head: int = 4
    d_model: int = 128
    steps: int = 2000
    batch_size: int = 12
    warmup: int = 100  # steps
    rate: float = 1e-3  # AdamW's peak
    decay: float = 0.1  # AdamW's, of matrices and tables
    betas: tuple[float, float] = (0.9, 0.99)
    clip: float = 1.0  # the largest norm of the gradient; 0 for none
    matrix_rate: float = 0.06  # Muon's peak
    momentum: float = 0.9  # Muon's
    # The levers
    in_turn: bool = False  # each window once before any comes again
    to_zero: bool = False  # the rate stays at its peak, then falls to 0 in a line
    fused: bool = False  # AdamW in one call for all parameters
    sdpa: bool = True  # PyTorch's attention in place of the formula written out
    start: bool = False  # other weights to start from, and a head of its own
    gains: bool = True  # LayerNorm multiplies each column by a gain
    muon: bool = False  # for the matrices of the blocks
    qk_norm: bool = False  # queries and keys of length sqrt(d_head)
    rotary: bool = False  # positions as rotations in place of a table
    pairs: bool = False  # a table with a row for each pair of neighbours
    bfloat16: bool = False  # products in bfloat16; some processors die of it


PLAIN = FastConfig()
SMALL = FastConfig(
    n_layer=2, n_head=2, d_model=64, steps=190, batch_size=16,
    warmup=10, rate=0.06, decay=0.0, betas=(0.8, 0.99), clip=0,
    in_turn=True, to_zero=True, fused=True, start=True, gains=False, muon=True,
    qk_norm=True, rotary=True, pairs=True,
)  # fmt: skip
RECIPES = {
    "plain": PLAIN,
    "body": replace(SMALL, n_layer=4, d_model=128, pairs=False, steps=180),
    "equal": replace(SMALL, d_model=112, steps=155),
    "small": SMALL,
}
# What undoes each lever of the small recipe. Without Muon or with GPT-2's start another
# rate is best, and it would be unfair to leave the old one.
UNDONE = {
    "windows in turn": {"in_turn": False},
    "the fall to zero": {"to_zero": False},
    "fused AdamW": {"fused": False},
    "SDPA": {"sdpa": False},
    "the start": {"start": False, "rate": 0.02},
    "Muon": {"muon": False, "rate": 0.01},
    "QK-norm": {"qk_norm": False},
    "rotation": {"rotary": False},
    "pairs": {"pairs": False},
    "two heads": {"n_head": 4},
}


def recipe(name, vocab_size=65):
    """A recipe for a vocabulary; "equal" is as wide as it takes to equal the plain."""
    config = replace(RECIPES[name], vocab_size=vocab_size)
    if name != "equal":
        return config
    target = count(replace(PLAIN, vocab_size=vocab_size))
    widths = [replace(config, d_model=C) for C in range(4, 257, 4)]
    return min(widths, key=lambda config: abs(count(config) - target))


def pair_rows(vocab_size):
    """Rows of the table of pairs: one each, or shared where those are too many."""
    return min((vocab_size + 1) * vocab_size, 32749)  # a prime shares them out evenly


def count(config):
    """The parameters of a recipe's model."""
    V, C, L = config.vocab_size, config.d_model, config.n_layer
    rows = V + config.start * V + (not config.rotary) * config.block_size
    rows += config.pairs * pair_rows(V) + config.gains * (2 * L + 1)
    return rows * C + 12 * L * C**2


# The model. Weights are (in, out), as in the rest of the book.


def matrix(n_in, n_out):
    return nn.Parameter(torch.empty(n_in, n_out))


def layer_norm(config):
    return nn.LayerNorm(config.d_model, elementwise_affine=config.gains, bias=False)


def rotations(T, d_head):
    """(T, d_head / 2): e^(i angle) for each position and each pair of numbers."""
    frequencies = 100 ** -(torch.arange(d_head // 2) / (d_head // 2))
    angles = torch.arange(T)[:, None] * frequencies  # (T, d_head / 2)
    return torch.polar(torch.ones_like(angles), angles)


def rotate(x, turns):
    """Turns each pair of numbers of x (B, h, T, d_head) by the angle of its place."""
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)).contiguous())
    return torch.view_as_real(pairs * turns).flatten(-2)  # (B, h, T, d_head)


def attend(query, key, value):
    """Causal attention, as the formula says it; all (B, h, T, d_head)."""
    T, d_head = query.shape[-2:]
    future = torch.ones(T, T, dtype=torch.bool).triu(1)
    scores = query @ key.mT / math.sqrt(d_head)  # (B, h, T, T)
    return scores.masked_fill(future, -math.inf).softmax(-1) @ value


class Block(nn.Module):
    """Attention, then feed-forward; each reads a normed x and adds to x."""

    def __init__(self, config):
        super().__init__()
        self.config, C = config, config.d_model
        self.ln_1, self.ln_2 = layer_norm(config), layer_norm(config)
        # Three matrices, for Muon makes each orthogonal for itself.
        self.query, self.key, self.value = matrix(C, C), matrix(C, C), matrix(C, C)
        self.attn_proj = matrix(C, C)
        self.fc, self.mlp_proj = matrix(C, 4 * C), matrix(4 * C, C)

    def attention(self, x, turns):
        config = self.config
        qkv = x @ torch.cat([self.query, self.key, self.value], dim=1)  # (B, T, 3C)
        query, key, value = (
            part.unflatten(-1, (config.n_head, -1)).transpose(-3, -2)
            for part in qkv.float().chunk(3, dim=-1)
        )  # (B, h, T, d_head)
        if config.qk_norm:
            query, key = (F.layer_norm(z, z.shape[-1:]) for z in (query, key))
        if config.rotary:
            query, key = rotate(query, turns), rotate(key, turns)
        if config.sdpa:
            heads = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        else:
            heads = attend(query, key, value)
        return heads.transpose(-3, -2).flatten(-2) @ self.attn_proj  # (B, T, C)

    def forward(self, x, turns):
        x = x + self.attention(self.ln_1(x), turns)
        return x + F.gelu(self.ln_2(x) @ self.fc) @ self.mlp_proj


class FastGPT(nn.Module):
    """A GPT of one recipe, with random weights, ready to be trained."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        V, C = config.vocab_size, config.d_model
        self.wte = matrix(V, C)
        if not config.rotary:
            self.wpe = matrix(config.block_size, C)
        if config.pairs:
            self.pair = matrix(pair_rows(V), C)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.ln_f = layer_norm(config)
        if config.start:
            self.head = matrix(C, V)
        turns = rotations(config.block_size, C // config.n_head)
        self.register_buffer("turns", turns, persistent=False)
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                nn.init.normal_(weight, std=start_std(name, weight, config))

    def forward(self, ids, targets=None):
        """ids (B, T) -> logits (B, T, V), or with targets (B, T) their mean loss."""
        x = F.embedding(ids, self.wte)  # (B, T, C)
        if self.config.pairs:
            V = self.config.vocab_size
            before = F.pad(ids[:, :-1], (1, 0), value=V)  # (B, T): V at the beginning
            x = x + F.embedding((before * V + ids) % len(self.pair), self.pair)
        if not self.config.rotary:
            x = x + self.wpe[: ids.shape[1]]
        turns = self.turns[: ids.shape[1]]  # (T, d_head / 2)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.config.bfloat16):
            for block in self.blocks:
                x = block(x, turns)
        x = self.ln_f(x.float())
        logits = x @ (self.head if self.config.start else self.wte.T)  # (B, T, V)
        if targets is None:
            return logits
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def start_std(name, weight, config):
    """The standard deviation of a matrix or table at the start."""
    last = name.endswith("_proj")  # these write into the stream
    if not config.start:  # as GPT-2
        return 0.02 / math.sqrt(2 * config.n_layer) if last else 0.02
    if last or name == "head":
        return 0.0  # each block hands x on as it is; every token is as likely
    tables = {"wte": 1.0, "pair": 0.3, "wpe": 0.3}
    return tables.get(name, len(weight) ** -0.5)  # x @ W is as large as x


# The optimisers


class StackedMuon(Muon):
    """`training.Muon`, all matrices of one shape at once, on their small side.

    Newton-Schulz multiplies x (m, n) from the left by polynomials of G = x x^T only.
    So they can be worked out for G, which is (m, m), and multiplied by x at the end.
    """

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            shapes = {}
            for p in group["params"]:
                shapes.setdefault(p.shape, []).append(p)
            for (n_in, n_out), same in shapes.items():
                grads = torch.stack([p.grad for p in same])  # (L, in, out)
                buffer = self.state[same[0]].setdefault("momentum", grads.new_zeros(()))
                buffer = buffer.expand_as(grads).lerp(grads, 1 - group["momentum"])
                self.state[same[0]]["momentum"] = buffer
                updates = orthogonalise_all(grads.lerp(buffer, group["momentum"]))
                scale = max(1, n_out / n_in) ** 0.5
                torch._foreach_mul_(same, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(same, updates.unbind(), alpha=-group["lr"] * scale)


def orthogonalise_all(matrices, steps=5):
    """`training.orthogonalise` for a stack of matrices (L, m, n)."""
    a, b, c = 3.4445, -4.7750, 2.0315
    wide = matrices.shape[1] <= matrices.shape[2]
    x = matrices if wide else matrices.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    gram = x @ x.mT  # (L, m, m)
    one = torch.eye(gram.shape[1])
    total = one.expand_as(gram)
    for _ in range(steps):
        factor = a * one + torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        total = factor @ total
        gram = factor @ gram @ factor  # of factor @ x
    x = total @ x
    return x if wide else x.mT


def optimisers(model):
    """AdamW for all, or Muon for the matrices of the blocks and AdamW for the rest."""
    config, named = model.config, list(model.named_parameters())
    inside = [p for name, p in named if "blocks" in name and p.ndim == 2]
    tables = [p for name, p in named if "blocks" not in name and p.ndim == 2]
    gains = [p for _, p in named if p.ndim == 1]
    groups = [{"params": tables + ([] if config.muon else inside)}]
    if gains:
        groups.append({"params": gains, "weight_decay": 0.0})
    both = [torch.optim.AdamW(
        groups, config.rate, config.betas, weight_decay=config.decay,
        fused=config.fused or None,
    )]  # fmt: skip
    if config.muon:
        both.append(StackedMuon(inside, config.matrix_rate, momentum=config.momentum))
    for group in (group for optimiser in both for group in optimiser.param_groups):
        group["peak"] = group["lr"]
    return both


def share_of_rate(step, config):
    """The share of the peak rate at a step."""
    if step < config.warmup:
        return (step + 1) / (config.warmup + 1)
    if config.to_zero:
        return min(1.0, (config.steps - step) / (0.7 * config.steps))
    left = (config.steps - step) / (config.steps - config.warmup)  # from 1 down to 0
    return 0.1 + 0.9 * (1 - math.cos(math.pi * left)) / 2


# Training and validation


def batches(ids, config, seed=0):
    """Endless batches (inputs, targets), each (B, T), of the text `ids` (n,).

    Raises ValueError for a text that has not enough windows for one batch.
    """
    generator = torch.Generator().manual_seed(seed)
    B, T = config.batch_size, config.block_size
    if len(ids) < (least := (B + 1) * T):
        raise ValueError(f"{least} tokens are the least, the text has {len(ids)}")
    starts = torch.tensor([], dtype=torch.long)
    while True:
        if not config.in_turn:
            starts = torch.randint(len(ids) - T, (B,), generator=generator)
        elif len(starts) < B:  # cut the text anew, at other places
            first = int(torch.randint(T, (1,), generator=generator))
            order = torch.randperm((len(ids) - 1 - first) // T, generator=generator)
            starts = first + T * order
        windows = ids[starts[:B, None] + torch.arange(T + 1)]  # (B, T + 1)
        yield windows[:, :-1], windows[:, 1:]
        starts = starts[B:]


def train(model, ids, seed=0):
    """Trains through the recipe's steps and yields the loss of each."""
    config, both = model.config, optimisers(model)
    for step, (inputs, targets) in enumerate(batches(ids, config, seed)):
        if step == config.steps:
            return
        loss = model(inputs, targets)
        loss.backward()
        if config.clip:
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        for optimiser in both:
            for group in optimiser.param_groups:
                group["lr"] = group["peak"] * share_of_rate(step, config)
            optimiser.step()
            optimiser.zero_grad()
        yield loss.item()


@torch.no_grad()
def validation_loss(model, ids, rows=64):
    """The mean loss of every token of `ids` but the first, in windows of block_size."""
    T = model.config.block_size
    total = 0.0
    for start in range(0, len(ids) - 1, rows * T):
        some = ids[start : start + rows * T + 1]
        whole = (len(some) - 1) // T * T
        for part in (some[: whole + 1], some[whole:]):  # full windows, and what is left
            if len(part) > 1:
                width = min(T, len(part) - 1)
                pair = (part[:-1].view(-1, width), part[1:].view(-1, width))
                total += model(*pair).item() * pair[0].numel()
    return total / (len(ids) - 1)


def encode(text, vocabulary=None):
    """(ids, vocabulary): each character as its place among those of the text."""
    vocabulary = vocabulary or sorted(set(text))
    place = {character: i for i, character in enumerate(vocabulary)}
    return torch.tensor([place[character] for character in text]), vocabulary
