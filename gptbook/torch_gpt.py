"""The same GPT in PyTorch, where it can be trained.

Its state dictionary is that of `transformers.GPT2LMHeadModel`, name by name.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from gptbook.checkpoint import Config, load_parameters, write_safetensors
from gptbook.numpy_gpt import cached_length, check_ids, extend


class Linear(nn.Module):
    """x @ weight + bias, with weight (in, out) as in GPT-2; nn.Linear has (out, in)."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_in, n_out))
        self.bias = nn.Parameter(torch.empty(n_out))

    def forward(self, x):
        return F.linear(x, self.weight.T, self.bias)


def attend(query, key, value, mask=None):
    """Attention of (B, n_head, T, d_head); without a mask (T, n_key) it is causal.

    A query alone may see every key. It is PyTorch's fused function, but for bfloat16 on
    a CPU, where its backward pass is far slower than the products that it stands for.
    """
    if query.dim() == 3:  # the fast kernels are for a batch
        return attend(query[None], key[None], value[None], mask)[0]
    T, n_key = query.shape[-2], key.shape[-2]
    if query.device.type != "cpu" or query.dtype != torch.bfloat16:
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=mask is None and T > 1
        )
    if mask is None:
        mask = torch.ones(T, n_key, dtype=torch.bool).tril(n_key - T)
    term = torch.zeros(T, n_key, dtype=query.dtype).masked_fill(~mask, -math.inf)
    with torch.autocast("cpu", enabled=False):  # it would copy the scores to float32
        scores = query / math.sqrt(query.shape[-1]) @ key.transpose(-1, -2) + term
        return scores.softmax(dim=-1) @ value


class Attention(nn.Module):
    """Causal self-attention with n_head heads: (B, T, C) -> (B, T, C)."""

    def __init__(self, config):
        super().__init__()
        self.n_head = config.n_head
        self.c_attn = Linear(config.d_model, 3 * config.d_model)
        self.c_proj = Linear(config.d_model, config.d_model)

    def forward(self, x, cache=None):
        query, key, value = (
            part.unflatten(-1, (self.n_head, -1)).transpose(-3, -2)
            for part in self.c_attn(x).chunk(3, dim=-1)
        )  # (B, n_head, T, d_head)
        if cache is not None:  # the keys and values of the tokens before go in front
            key = extend(cache, "key", key, key.new_empty)
            value = extend(cache, "value", value, value.new_empty)
        T, n_key = query.shape[-2], key.shape[-2]
        mask = None
        if 1 < T < n_key:  # is_causal would set the first query at the first key
            mask = torch.ones(T, n_key, dtype=torch.bool, device=x.device)
            mask = mask.tril(n_key - T)  # True where the key may be seen
        heads = attend(query, key, value, mask)  # (B, n_head, T, d_head)
        return self.c_proj(heads.transpose(-3, -2).flatten(-2))  # (B, T, C)


class FeedForward(nn.Module):
    """Two layers on each token alone: (B, T, C) -> (B, T, 4C) -> (B, T, C)."""

    def __init__(self, config):
        super().__init__()
        self.c_fc = Linear(config.d_model, 4 * config.d_model)
        self.act = nn.GELU(approximate="tanh")
        self.c_proj = Linear(4 * config.d_model, config.d_model)

    def forward(self, x):
        return self.c_proj(self.act(self.c_fc(x)))


class Block(nn.Module):
    """Attention, then feed-forward; each reads a normed x and adds to x."""

    def __init__(self, config):
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.d_model, config.layer_norm_epsilon)
        self.attn = Attention(config)
        self.ln_2 = nn.LayerNorm(config.d_model, config.layer_norm_epsilon)
        self.mlp = FeedForward(config)

    def forward(self, x, cache=None):
        x = x + self.attn(self.ln_1(x), cache)
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    """GPT-2 (Radford et al. 2019), with random weights, ready to be trained."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.transformer = nn.ModuleDict({
            "wte": nn.Embedding(config.vocab_size, config.d_model),
            "wpe": nn.Embedding(config.block_size, config.d_model),
            "h": nn.ModuleList(Block(config) for _ in range(config.n_layer)),
            "ln_f": nn.LayerNorm(config.d_model, config.layer_norm_epsilon),
        })  # fmt: skip
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif "ln_" in name:
                nn.init.ones_(parameter)
            else:
                std = 0.02
                if name.endswith("c_proj.weight"):  # 2 n_layer outputs are added up
                    std /= math.sqrt(2 * config.n_layer)
                nn.init.normal_(parameter, std=std)

    def forward(self, ids, targets=None, cache=None, last=False):
        """ids (B, T) -> logits (B, T, V); for one sequence, (T,) -> (T, V).

        targets: the ids that should follow, of the same shape, negative where none
        counts; the result is then (logits, mean loss in nats).
        cache: from `new_cache`; the ids then continue what it holds, and join it.
        last: the logits of the last token alone, (B, 1, V): all that writing needs.
        Raises what `check_ids` raises.
        """
        wte, wpe = self.transformer["wte"], self.transformer["wpe"]
        ids = torch.as_tensor(ids, device=wte.weight.device)
        if not torch.compiler.is_compiling():  # a compiled graph can't see the values
            check_ids(ids.numpy(force=True), self.config, cache)
        start = cached_length(cache)
        positions = torch.arange(start, start + ids.shape[-1], device=ids.device)
        x = wte(ids.long()) + wpe(positions)  # (B, T, C)
        for i, block in enumerate(self.transformer["h"]):
            x = block(x, cache and cache[i])
        x = self.transformer["ln_f"](x)
        if last:
            x = x[..., -1:, :]  # (B, 1, C)
        with torch.autocast(x.device.type, enabled=False):  # a logit needs all its bits
            logits = F.linear(x, wte.weight)  # (B, T, V): the tied output layer
        if targets is None:
            return logits
        loss = F.cross_entropy(
            logits.flatten(0, -2), targets.flatten().clamp(min=-1), ignore_index=-1
        )
        return logits, loss

    def new_cache(self):
        """An empty KV cache: for each block, keys and values of the tokens so far."""
        return [{} for _ in range(self.config.n_layer)]

    @torch.no_grad()
    def next_logits(self, ids, cache=None):
        """ids (T,) -> logits (V,) of the token that comes next, in NumPy's float64."""
        return self(ids, cache=cache, last=True)[-1].cpu().double().numpy()

    @classmethod
    def load(cls, folder):
        """The model in a folder with `config.json` and `model.safetensors`."""
        model = cls(Config.load(folder))
        params = {
            f"transformer.{name}": torch.from_numpy(array)
            for name, array in load_parameters(folder, model.config).items()
        }
        model.load_state_dict(params, assign=True)  # keeps the file's dtype
        return model

    def save(self, folder, bos_token_id=None, eos_token_id=None):
        """Writes `config.json` and `model.safetensors`; transformers loads both."""
        self.config.save(folder, bos_token_id, eos_token_id)
        arrays = {name: p.numpy(force=True) for name, p in self.state_dict().items()}
        write_safetensors(Path(folder) / "model.safetensors", arrays, {"format": "pt"})
