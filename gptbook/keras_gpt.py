"""The same GPT in Keras 3, which computes with TensorFlow, PyTorch or JAX.

Keras reads from the environment which of them, KERAS_BACKEND, once, when it is imported
here. So a program that wants several starts this module as another process:

    KERAS_BACKEND=torch python -m gptbook.keras_gpt book/models/tales ids.npy logits.npy
"""

from __future__ import annotations

import math
import sys

import keras
import numpy as np
from keras import layers, ops

from gptbook.checkpoint import Config, load_parameters

# Keras's own names for a layer's arrays, and GPT-2's.
NAMES = {"kernel": "weight", "embeddings": "weight", "gamma": "weight",
         "bias": "bias", "beta": "bias"}  # fmt: skip


class Attention(layers.Layer):
    """Causal self-attention with n_head heads: (B, T, C) -> (B, T, C)."""

    def __init__(self, config, name):
        super().__init__(name=name)
        self.n_head, self.d_head = config.n_head, config.d_head
        self.c_attn = layers.Dense(3 * config.d_model, name="c_attn")
        self.c_proj = layers.Dense(config.d_model, name="c_proj")

    def call(self, x):
        B, T, C = ops.shape(x)
        qkv = ops.reshape(self.c_attn(x), (B, T, 3, self.n_head, self.d_head))
        query, key, value = ops.transpose(qkv, (2, 0, 3, 1, 4))  # each with its heads
        scores = query @ ops.transpose(key, (0, 1, 3, 2)) / math.sqrt(self.d_head)
        seen = ops.tril(ops.ones((T, T), "bool"))  # itself and those before it
        weights = ops.softmax(ops.where(seen, scores, -math.inf))  # (B, n_head, T, T)
        heads = ops.transpose(weights @ value, (0, 2, 1, 3))  # (B, T, n_head, d_head)
        return self.c_proj(ops.reshape(heads, (B, T, C)))


class FeedForward(layers.Layer):
    """Two layers on each token alone: (B, T, C) -> (B, T, 4C) -> (B, T, C)."""

    def __init__(self, config, name):
        super().__init__(name=name)
        self.c_fc = layers.Dense(4 * config.d_model, name="c_fc")
        self.c_proj = layers.Dense(config.d_model, name="c_proj")

    def call(self, x):
        return self.c_proj(ops.gelu(self.c_fc(x), approximate=True))


def layer_norm(config, name):
    """Keras's own epsilon is 1e-3, a hundred times that of GPT-2."""
    return layers.LayerNormalization(epsilon=config.layer_norm_epsilon, name=name)


class Block(layers.Layer):
    """Attention, then feed-forward; each reads a normed x and adds to x."""

    def __init__(self, config, name):
        super().__init__(name=name)
        self.ln_1, self.attn = layer_norm(config, "ln_1"), Attention(config, "attn")
        self.ln_2, self.mlp = layer_norm(config, "ln_2"), FeedForward(config, "mlp")

    def call(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT(keras.Model):
    """GPT-2 (Radford et al. 2019): token ids (B, T) -> logits (B, T, V)."""

    def __init__(self, config):
        super().__init__(name="gpt")
        self.config = config
        self.wte = layers.Embedding(config.vocab_size, config.d_model, name="wte")
        self.wpe = layers.Embedding(config.block_size, config.d_model, name="wpe")
        self.h = [Block(config, f"h_{i}") for i in range(config.n_layer)]
        self.ln_f = layer_norm(config, "ln_f")

    def call(self, ids):
        x = self.wte(ids) + self.wpe(ops.arange(ops.shape(ids)[1]))  # (B, T, C)
        for block in self.h:
            x = block(x)
        return self.ln_f(x) @ ops.transpose(self.wte.embeddings)  # (B, T, V)

    @classmethod
    def load(cls, folder):
        """The model in a folder with `config.json` and `model.safetensors`."""
        model = cls(Config.load(folder))
        model(np.zeros((1, 2), "int32"))  # Keras makes the arrays at the first call
        params = load_parameters(folder, model.config)
        for variable in model.weights:  # its path: gpt/h_0/attn/c_attn/kernel
            *layer, own = variable.path.removeprefix("gpt/").split("/")
            name = ".".join([*layer, NAMES[own]]).replace("h_", "h.")
            variable.assign(params.pop(name))  # h.0.attn.c_attn.weight
        assert not params
        return model


if __name__ == "__main__":
    folder, ids_file, logits_file = sys.argv[1:]
    logits = GPT.load(folder)(np.load(ids_file))
    np.save(logits_file, ops.convert_to_numpy(logits))
