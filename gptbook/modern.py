"""GPT-2's body with a switch for each change that today's models make to it.

With every switch as it is by default, `Body` is GPT-2. `LLAMA` names the switches of
the Llama family, to which SmolLM2 belongs. Weights are (in, out), as in the rest of the
book.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from gptbook.fast import StackedMuon
from gptbook.training import micro_batches


@dataclass(frozen=True)
class BodyConfig:
    """The sizes of a body, and its switches."""

    vocab_size: int
    block_size: int = 192
    n_layer: int = 3
    n_head: int = 4
    d_model: int = 64  # C
    hidden: int = 256  # F, the units of a feed-forward layer or of one expert
    # The switches
    rms: bool = False  # RMSNorm in place of LayerNorm
    bias: bool = True  # in linear layers and LayerNorm
    positions: str = "table"  # or "rotary" or "none"
    base: float = 10_000.0  # of the rotations
    gated: bool = False  # SwiGLU in place of GELU
    n_kv: int | None = None  # heads that have keys and values of their own; None: all
    window: int | None = None  # how many tokens one may look at, itself included
    experts: int = 1  # feed-forward layers, of which
    top: int = 1  # so many work on a token
    qk_norm: bool = False  # queries and keys through an RMSNorm of their own
    tied: bool = True  # the token table is the head


LLAMA = {"rms": True, "bias": False, "positions": "rotary", "gated": True}


class Linear(nn.Module):
    """x @ weight + bias, with weight (in, out)."""

    def __init__(self, n_in, n_out, bias=False):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_in, n_out))
        self.bias = nn.Parameter(torch.zeros(n_out)) if bias else None

    def forward(self, x):
        return F.linear(x, self.weight.mT, self.bias)


def norm(config):
    if config.rms:
        return nn.RMSNorm(config.d_model, eps=1e-5)
    return nn.LayerNorm(config.d_model, bias=config.bias)


def angles(T, d_head, base):
    """(T, d_head / 2): the angle of each pair at each place."""
    frequencies = base ** -(torch.arange(d_head // 2) / (d_head // 2))
    return torch.arange(T)[:, None] * frequencies


def rotate(x, cos, sin):
    """Turns the pairs (m, m + d/2) of x (..., T, d) by the angles of their places."""
    first, second = x.chunk(2, dim=-1)  # (..., T, d / 2)
    turned = [first * cos - second * sin, first * sin + second * cos]
    return torch.cat(turned, dim=-1)


class Attention(nn.Module):
    """Causal attention: h queries share n_kv keys and values. (B, T, C) -> (B, T, C)"""

    def __init__(self, config):
        super().__init__()
        self.config = config
        C, d_head = config.d_model, config.d_model // config.n_head
        n_kv = config.n_kv or config.n_head
        self.query = Linear(C, C, config.bias)
        self.key = Linear(C, n_kv * d_head, config.bias)
        self.value = Linear(C, n_kv * d_head, config.bias)
        self.c_proj = Linear(C, C, config.bias)
        if config.qk_norm:
            self.query_norm = nn.RMSNorm(d_head, eps=1e-5)
            self.key_norm = nn.RMSNorm(d_head, eps=1e-5)

    def forward(self, x):
        config, T = self.config, x.shape[1]
        d_head = config.d_model // config.n_head
        query, key, value = (
            layer(x).unflatten(-1, (-1, d_head)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )  # (B, h, T, d_head), and twice (B, n_kv, T, d_head)
        if config.qk_norm:
            query, key = self.query_norm(query), self.key_norm(key)
        if config.positions == "rotary":
            turns = angles(T, d_head, config.base)  # (T, d_head / 2)
            query, key = (rotate(z, turns.cos(), turns.sin()) for z in (query, key))
        share = query.shape[1] // key.shape[1]
        key, value = (z.repeat_interleave(share, dim=1) for z in (key, value))
        mask = None
        if config.window and config.window < T:
            mask = torch.ones(T, T, dtype=torch.bool).tril().triu(1 - config.window)
        heads = F.scaled_dot_product_attention(
            query, key, value, mask, is_causal=mask is None
        )  # (B, h, T, d_head)
        return self.c_proj(heads.transpose(1, 2).flatten(-2))


class FeedForward(nn.Module):
    """GELU or SwiGLU, on each token alone: (..., C) -> (..., F) -> (..., C)."""

    def __init__(self, config):
        super().__init__()
        C, hidden = config.d_model, config.hidden
        self.gate = Linear(C, hidden, config.bias) if config.gated else None
        self.c_fc = Linear(C, hidden, config.bias)
        self.c_proj = Linear(hidden, C, config.bias)

    def forward(self, x, keep=None):
        if self.gate:
            return self.c_proj(F.silu(self.gate(x)) * self.c_fc(x))
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


class Mixture(nn.Module):
    """Several feed-forward layers; a router sends each token to the best few.

    `balance` is E times the sum over the experts of their share of the tokens times
    their mean probability (Fedus et al. 2022, equation 4): 1 where all share alike.
    """

    def __init__(self, config):
        super().__init__()
        self.top = config.top
        self.router = Linear(config.d_model, config.experts)
        self.experts = nn.ModuleList(FeedForward(config) for _ in range(config.experts))

    def forward(self, x, keep=None):
        rows = x.flatten(0, -2)  # (n, C)
        scores = self.router(rows)  # (n, E)
        best, chosen = scores.topk(self.top)  # (n, top)
        weights = best.softmax(dim=-1)
        output = torch.zeros_like(rows)
        for e, expert in enumerate(self.experts):
            row, place = (chosen == e).nonzero(as_tuple=True)
            part = weights[row, place, None] * expert(rows[row])
            output = output.index_add(0, row, part)
        keep = slice(None) if keep is None else keep.flatten()
        E = scores.shape[-1]
        self.share = F.one_hot(chosen[keep], E).float().mean(dim=(0, 1))  # (E,)
        self.balance = E * (self.share * scores[keep].softmax(-1).mean(dim=0)).sum()
        return output.view_as(x)


class Block(nn.Module):
    """Attention, then feed-forward; each reads a normed x and adds to x."""

    def __init__(self, config):
        super().__init__()
        self.ln_1, self.attn = norm(config), Attention(config)
        self.ln_2 = norm(config)
        self.mlp = Mixture(config) if config.experts > 1 else FeedForward(config)

    def forward(self, x, keep=None):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x), keep)


class Body(nn.Module):
    """A GPT with the switches of its config, ready to be trained."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        V, C = config.vocab_size, config.d_model
        self.wte = nn.Embedding(V, C)
        if config.positions == "table":
            self.wpe = nn.Embedding(config.block_size, C)
        self.h = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.ln_f = norm(config)
        self.head = None if config.tied else Linear(C, V)
        for name, p in self.named_parameters():
            if name == "wte.weight":
                nn.init.normal_(p, std=0.1)
            elif name.endswith("c_proj.weight"):  # these are added up in the stream
                nn.init.normal_(p, std=0.02 / math.sqrt(2 * config.n_layer))
            elif p.ndim == 2:  # x @ W is about as large as x
                nn.init.normal_(p, std=len(p) ** -0.5)
        if config.positions == "table":  # the sinusoids of chapter 5.3.1, then learned
            turns = angles(config.block_size, C, 4 * config.block_size)
            self.wpe.weight.data = 0.2 * torch.cat([turns.sin(), turns.cos()], dim=1)

    def forward(self, ids, targets=None):
        """ids (B, T) -> logits (B, T, V), or with targets (B, T) their mean loss.

        A target below 0 counts for nothing.
        """
        x = self.wte(ids)  # (B, T, C)
        if self.config.positions == "table":
            x = x + self.wpe.weight[: ids.shape[1]]
        keep = None if targets is None else targets >= 0
        for block in self.h:
            x = block(x, keep)
        x = self.ln_f(x)
        logits = self.head(x) if self.head else x @ self.wte.weight.mT  # (B, T, V)
        if targets is None:
            return logits
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)


def optimisers(model, factor=1.0):
    """Muon for the matrices of the blocks, AdamW for the rest, as in chapter 5.3.1."""
    rates = {"wpe": 0.001, "wte": 0.004, "head": 0.004}
    matrices, groups = [], []
    for name, p in model.named_parameters():
        first = name.split(".")[0]
        if first == "h" and p.ndim == 2 and "router" not in name:
            matrices.append(p)
        else:
            groups.append({"params": [p], "lr": factor * rates.get(first, 0.003)})
    adamw = torch.optim.AdamW(groups, betas=(0.9, 0.99), weight_decay=0.0, fused=True)
    both = [StackedMuon(matrices, factor * 0.025, weight_decay=0.05), adamw]
    for group in (group for optimiser in both for group in optimiser.param_groups):
        group["peak"] = group["lr"]
    return both


def train(model, batch, steps, factor=1.0, warmup=20, balance=0.01):
    """Trains on the rows of ids `batch(step)`; yields the loss of each step."""
    both = optimisers(model, factor)
    for step in range(steps):
        [(inputs, targets)] = micro_batches(batch(step), 1)  # (B, T) each
        loss = model(inputs, targets)
        extra = sum(m.balance for m in model.modules() if isinstance(m, Mixture))
        (loss + balance * extra).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        falling = (steps - step) / max(1, steps - warmup)
        share = min((step + 1) / warmup, falling, 1.0)
        for optimiser in both:
            for group in optimiser.param_groups:
                group["lr"] = group["peak"] * share
            optimiser.step()
            optimiser.zero_grad()
        yield loss.item()


@torch.no_grad()
def judge(model, rows):
    """The mean loss of rows of ids, in nats a predicted token."""
    total = n = 0
    for inputs, targets in micro_batches(rows, max(1, len(rows) // 32)):
        k = int((targets >= 0).sum())
        total, n = total + k * model(inputs, targets).item(), n + k
    return total / n
