"""The whole GPT in NumPy: the layers, in the order of GPT-2, on GPT-2's weights."""

from __future__ import annotations

import math

import numpy as np

from gptbook.checkpoint import Config, check_parameters, load_parameters
from gptbook.layers import (
    attention,
    attention_backward,
    causal_mask,
    cross_entropy,
    cross_entropy_backward,
    embedding,
    embedding_backward,
    feed_forward,
    gelu,
    gelu_backward,
    layer_norm,
    layer_norm_backward,
    linear,
    linear_backward,
    merge_heads,
    rows,
    split_heads,
)


class GPT:
    """GPT-2 (Radford et al. 2019), from token ids to logits.

    params: arrays under the names and with the shapes of `parameter_shapes(config)`,
    or ValueError. Their dtype is the dtype of everything that the model computes.
    """

    def __init__(self, config, params):
        check_parameters(params, config)
        self.config, self.params = config, params

    @classmethod
    def load(cls, folder):
        """The model in a folder with `config.json` and `model.safetensors`."""
        config = Config.load(folder)
        params = load_parameters(folder, config)
        # Copied into NumPy's own memory, which Linux gives it in large pages: a token
        # needs every weight, and from there they are read some 10% faster.
        return cls(config, {name: array.copy() for name, array in params.items()})

    def __call__(self, ids, cache=None, activations=None, last=False):
        """ids (B, T) -> logits (B, T, V); for one sequence, (T,) -> (T, V).

        cache: from `new_cache`; the ids then continue what it holds, and join it.
        activations: a dictionary that receives every intermediate array, by name, with
        B in its shape only if the ids have it; keys and values include the cache's.
        last: the logits of the last token alone, (B, 1, V): all that writing needs.
        Raises what `check_ids` raises.
        """
        ids = np.asarray(ids)
        check_ids(ids, self.config, cache)
        start = cached_length(cache)
        wte, wpe = self.params["wte.weight"], self.params["wpe.weight"]
        if activations is not None:
            activations["wte"] = wte[ids]
            activations["wpe"] = wpe[start : start + ids.shape[-1]]
        x = embedding(ids, wte, wpe, start)  # (B, T, C)
        for i in range(self.config.n_layer):
            x = self.block(f"h.{i}", x, cache and cache[i], activations)
        x = self.norm("ln_f", x)
        read = x[..., -1:, :] if last else x
        logits = read @ wte.T  # (B, T, V), the token table again
        if activations is not None:
            activations.update({"ln_f": x, "logits": logits})
        return logits

    def block(self, name, x, cache, activations):
        """Attention, then feed-forward; each reads a normed x and adds to x."""
        normed = self.norm(f"{name}.ln_1", x)
        attended = self.attention(f"{name}.attn", normed, cache, activations)
        middle = x + attended
        normed_middle = self.norm(f"{name}.ln_2", middle)
        c_fc, c_proj = self.pair(f"{name}.mlp.c_fc"), self.pair(f"{name}.mlp.c_proj")
        fed = feed_forward(normed_middle, *c_fc, *c_proj)
        output = middle + fed  # (B, T, C), as all of these
        if activations is not None:
            hidden = linear(normed_middle, *c_fc)  # (B, T, 4C)
            activations.update({
                f"{name}.input": x,
                f"{name}.ln_1": normed,
                f"{name}.attn": attended,
                f"{name}.middle": middle,
                f"{name}.ln_2": normed_middle,
                f"{name}.mlp.c_fc": hidden,
                f"{name}.mlp.gelu": gelu(hidden),
                f"{name}.mlp": fed,
                f"{name}.output": output,
            })  # fmt: skip
        return output

    def attention(self, name, x, cache, activations):
        """Causal self-attention with n_head heads: (B, T, C) -> (B, T, C)."""
        qkv = linear(x, *self.pair(f"{name}.c_attn"))  # (B, T, 3C)
        n = self.config.n_head
        parts = split_heads(qkv, 3 * n)  # (B, 3 n_head, T, d_head), the queries first
        query, key, value = (parts[..., i * n : (i + 1) * n, :, :] for i in range(3))
        if cache is not None:  # the keys and values of the tokens before go in front
            key, value = extend(cache, "key", key), extend(cache, "value", value)
        T, n_key = query.shape[-2], key.shape[-2]
        # A query alone is the newest token's, and may see every key.
        mask = causal_mask(T, n_key, x.dtype) if T > 1 else 0.0  # (T, n_key)
        heads, weights = attention(query, key, value, mask)
        if activations is not None:
            scores = query @ key.swapaxes(-1, -2) / math.sqrt(self.config.d_head)
            activations.update({
                f"{name}.query": query,
                f"{name}.key": key,
                f"{name}.value": value,
                f"{name}.scores": scores,  # (B, n_head, T, n_key), before the mask
                f"{name}.weights": weights,  # (B, n_head, T, n_key)
                f"{name}.heads": heads,  # (B, n_head, T, d_head)
            })  # fmt: skip
        return linear(merge_heads(heads), *self.pair(f"{name}.c_proj"))  # (B, T, C)

    def gradients(self, ids, targets):
        """The loss, and its gradient by every parameter: {name: array of its shape}.

        ids and targets: (B, T) or (T,); the loss is `cross_entropy`, in nats a token.
        The layers are gone through from the last to the first; `grad` is always the
        gradient by the stream x at that place. Raises what `check_ids` and
        `cross_entropy` raise.
        """
        a, grads, targets = {}, {}, np.asarray(targets)
        logits = self(ids, activations=a)  # (B, T, V)
        loss = cross_entropy(logits, targets)
        grad = cross_entropy_backward(logits, targets)
        wte, wpe = self.params["wte.weight"], self.params["wpe.weight"]
        as_output = rows(grad).T @ rows(a["ln_f"])  # (V, C)
        last = f"h.{self.config.n_layer - 1}"
        grad = self.norm_backward("ln_f", grad @ wte, a[f"{last}.output"], grads)
        for i in reversed(range(self.config.n_layer)):
            grad = self.block_backward(f"h.{i}", grad, a, grads)
        tables = embedding_backward(grad, np.asarray(ids), len(wte), len(wpe))
        # The token table is used twice, as input and as output: its gradients add up.
        grads["wte.weight"], grads["wpe.weight"] = tables[0] + as_output, tables[1]
        return loss, grads

    def block_backward(self, name, grad, a, grads):
        """From the gradient by the block's output to that by its input."""
        attn, mlp = f"{name}.attn", f"{name}.mlp"
        by = self.linear_backward(f"{mlp}.c_proj", grad, a[f"{mlp}.gelu"], grads)
        by = gelu_backward(by, a[f"{mlp}.c_fc"])  # (B, T, 4C)
        by = self.linear_backward(f"{mlp}.c_fc", by, a[f"{name}.ln_2"], grads)
        by = self.norm_backward(f"{name}.ln_2", by, a[f"{name}.middle"], grads)
        grad = grad + by  # x + f(x): the gradient goes both ways, and adds up

        heads = merge_heads(a[f"{attn}.heads"])  # (B, T, C)
        by = self.linear_backward(f"{attn}.c_proj", grad, heads, grads)
        forward = [a[f"{attn}.{part}"] for part in ("query", "key", "value", "weights")]
        by_parts = attention_backward(split_heads(by, self.config.n_head), *forward)
        by = np.concatenate([merge_heads(part) for part in by_parts], axis=-1)
        by = self.linear_backward(f"{attn}.c_attn", by, a[f"{name}.ln_1"], grads)
        by = self.norm_backward(f"{name}.ln_1", by, a[f"{name}.input"], grads)
        return grad + by

    def linear_backward(self, name, grad, x, grads):
        """The gradient by x; those by weight and bias join `grads`."""
        by_x, *by_pair = linear_backward(grad, x, self.params[f"{name}.weight"])
        grads[f"{name}.weight"], grads[f"{name}.bias"] = by_pair
        return by_x

    def norm_backward(self, name, grad, x, grads):
        """The gradient by x; those by gain and bias join `grads`."""
        gain, epsilon = self.params[f"{name}.weight"], self.config.layer_norm_epsilon
        by_x, *by_pair = layer_norm_backward(grad, x, gain, epsilon)
        grads[f"{name}.weight"], grads[f"{name}.bias"] = by_pair
        return by_x

    def norm(self, name, x):
        return layer_norm(x, *self.pair(name), self.config.layer_norm_epsilon)

    def pair(self, name):
        """The weight and the bias of a layer."""
        return self.params[f"{name}.weight"], self.params[f"{name}.bias"]

    def new_cache(self):
        """An empty KV cache: for each block, keys and values of the tokens so far."""
        return [{} for _ in range(self.config.n_layer)]

    def next_logits(self, ids, cache=None):
        """ids (T,) -> logits (V,) of the token that comes next."""
        return self(ids, cache, last=True)[-1]


def extend(cache, name, new, empty=np.empty):
    """A block's keys or values, the cache's and then the new: (..., n_key, d_head).

    cache: the dictionary of that block, which keeps the result; name: "key" or "value".
    They lie in an array with room for more, so that most steps copy the new rows only.
    Where others stand in the cache, cut off, reordered or those of a copy that has gone
    its own way, they are copied to an array of their own.
    """
    old, room = cache.get(name, new[..., :0, :]), cache.get(f"{name} room")
    n, n_key = old.shape[-2], old.shape[-2] + new.shape[-2]
    if not room or room["filled"] is not old or room["rows"].shape[-2] < n_key:
        shape = (*new.shape[:-2], 2 * n_key, new.shape[-1])
        room = {"rows": empty(shape, dtype=new.dtype)}
        room["rows"][..., :n, :] = old
    room["rows"][..., n:n_key, :] = new
    room["filled"] = cache[name] = room["rows"][..., :n_key, :]
    cache[f"{name} room"] = room
    return cache[name]


def cached_length(cache):
    """The number of tokens in a KV cache."""
    return cache[0]["key"].shape[-2] if cache and cache[0] else 0


def check_ids(ids, config, cache=None):
    """Raises TypeError or ValueError unless a model can read these ids.

    They must be integers of the vocabulary, of shape (B, T) or (T,), not empty, and
    with the tokens in the cache no longer than block_size.
    """
    if ids.ndim not in (1, 2):
        raise ValueError(f"ids must have shape (T,) or (B, T), not {ids.shape}")
    if ids.size == 0:
        raise ValueError(f"no token ids: shape {ids.shape}")
    if ids.dtype.kind not in "iu":
        raise TypeError(f"token ids must be integers, not {ids.dtype}")
    for extreme in (ids.min(), ids.max()):
        if not 0 <= extreme < config.vocab_size:
            raise ValueError(
                f"token id {extreme} is outside the vocabulary "
                f"of {config.vocab_size} tokens"
            )
    length = cached_length(cache) + ids.shape[-1]
    if length > config.block_size:
        raise ValueError(
            f"a sequence of {length} tokens is longer than "
            f"block_size {config.block_size}"
        )
    if cached_length(cache) and cache[0]["key"].shape[:-3] != ids.shape[:-1]:
        raise ValueError(
            f"ids {ids.shape} can't continue keys {tuple(cache[0]['key'].shape)}"
        )
