"""The layers of a GPT as NumPy functions, each as plain as its formula.

Shapes: B sequences of T tokens, width C; the functions take any number of dimensions
in the place of B, none included. Every result has the dtype of the input: float32
stays float32. They trust their input; a model checks the ids before it calls them.
"""

from __future__ import annotations

import math

import numpy as np


def softmax(x):
    """exp(x) / sum of exp(x) over the last axis: positive, and sums to 1.

    The maximum is subtracted first, which changes nothing but keeps exp from overflow.
    """
    exp = np.exp(x - x.max(axis=-1, keepdims=True))
    return exp / exp.sum(axis=-1, keepdims=True)


def layer_norm(x, gain, bias, epsilon=1e-5):
    """Each vector of x (..., C) to mean 0 and variance 1, then gain and bias (C,).

    Source: Ba, Kiros and Hinton 2016, equation 3; epsilon avoids a division by 0.
    """
    mean = x.mean(axis=-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=-1, keepdims=True)  # biased: divided by C
    return (x - mean) / np.sqrt(variance + epsilon) * gain + bias


def gelu(x):
    """A smooth gate: near x for large x, near 0 for very negative x.

    Source: Hendrycks and Gimpel 2016, section 2: x times the probability that a
    standard normal number is below x, in the tanh form that GPT-2 uses.
    """
    cube = x * x * x  # x**3 is far slower in NumPy
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * cube)))


def linear(x, weight, bias):
    """x (..., in) @ weight (in, out) + bias (out,), the weight as GPT-2 stores it."""
    return x @ weight + bias


def embedding(ids, token_table, position_table, start=0):
    """The rows of the tokens plus the rows of their positions: (B, T) -> (B, T, C).

    token_table: (V, C), position_table: (block_size, C); the first token stands at
    position `start`.
    """
    positions = np.arange(start, start + ids.shape[-1])  # (T,)
    return token_table[ids] + position_table[positions]  # (B, T, C)


def causal_mask(n_query, n_key, dtype):
    """(n_query, n_key): 0 where a query may see a key, -inf where the key is later.

    The last query stands at the last key; with a cache there are more keys.
    """
    query_position = np.arange(n_key - n_query, n_key)[:, None]  # (n_query, 1)
    future = np.arange(n_key) > query_position  # (n_query, n_key)
    return np.where(future, -np.inf, 0).astype(dtype)


def split_heads(x, n_head):
    """(B, T, C) -> (B, n_head, T, d_head): to each head its own d_head columns."""
    *batch, T, C = x.shape
    return x.reshape(*batch, T, n_head, C // n_head).swapaxes(-3, -2)


def merge_heads(x):
    """(B, n_head, T, d_head) -> (B, T, C): the heads side by side again."""
    *batch, n_head, T, d_head = x.shape
    return x.swapaxes(-3, -2).reshape(*batch, T, n_head * d_head)


def attention(query, key, value, mask):
    """softmax(query key^T / sqrt(d_head) + mask) value, and the weights.

    query: (..., T, d_head), key and value: (..., n_key, d_head), mask: (T, n_key).
    Returns (..., T, d_head) and (..., T, n_key); each row of weights sums to 1.

    Source: Vaswani et al. 2017, equation 1, with the mask inside the softmax.
    """
    scores = query @ key.swapaxes(-1, -2) / math.sqrt(query.shape[-1])
    weights = softmax(scores + mask)  # (..., T, n_key)
    return weights @ value, weights


def feed_forward(x, weight_in, bias_in, weight_out, bias_out):
    """(B, T, C) -> (B, T, C), each token on its own, through a layer of 4C units."""
    hidden = gelu(linear(x, weight_in, bias_in))  # (B, T, 4C)
    return linear(hidden, weight_out, bias_out)  # (B, T, C)


def cross_entropy(logits, targets):
    """The mean of -ln p(target), in nats: logits (..., V), targets (...) integers.

    Negative targets are ignored. Raises ValueError if the shapes don't match, a target
    is outside the vocabulary, or none is left.
    """
    check_targets(logits, targets)
    counted = targets >= 0
    x, t = logits[counted], targets[counted]  # (N, V), (N,)
    # -ln softmax(x)[t] = ln(sum of exp(x)) - x[t], and the sum can't overflow so:
    top = x.max(axis=-1)  # (N,)
    log_sum = top + np.log(np.exp(x - top[:, None]).sum(axis=-1))
    return (log_sum - x[np.arange(len(t)), t]).mean()


def check_targets(logits, targets):
    """Raises ValueError unless targets (...) fit logits (..., V) and one counts."""
    V = logits.shape[-1]
    if targets.shape != logits.shape[:-1]:
        raise ValueError(f"targets {targets.shape} for logits {logits.shape}")
    if not (targets >= 0).any():
        raise ValueError("no target to predict: all are negative")
    if targets.max() >= V:
        raise ValueError(
            f"target {targets.max()} is outside the vocabulary of {V} tokens"
        )


# Backward. Each function takes `grad`, the gradient of the loss by the layer's output,
# and what the forward pass had; it returns the gradients by the layer's inputs, each in
# the shape of that input. A parameter that many rows share receives the sum over them.


def rows(x):
    """(..., n) -> (N, n): all leading axes as one."""
    return x.reshape(-1, x.shape[-1])


def linear_backward(grad, x, weight):
    """Gradients by x, weight and bias: (..., in), (in, out), (out,)."""
    return grad @ weight.T, rows(x).T @ rows(grad), rows(grad).sum(axis=0)


def softmax_backward(grad, p):
    """The gradient by the scores, where p (..., n) is their softmax."""
    return p * (grad - (grad * p).sum(axis=-1, keepdims=True))


def layer_norm_backward(grad, x, gain, epsilon=1e-5):
    """Gradients by x, gain and bias: (..., C), (C,), (C,).

    Mean and variance depend on x too: the gradient loses its mean and what points
    along the normed vector, the two directions that LayerNorm takes away.
    """
    centred = x - x.mean(axis=-1, keepdims=True)
    inverse = 1 / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + epsilon)
    normed = centred * inverse  # (..., C)
    by_normed = grad * gain
    along = (by_normed * normed).mean(axis=-1, keepdims=True)
    by_x = by_normed - by_normed.mean(axis=-1, keepdims=True) - normed * along
    return inverse * by_x, rows(grad * normed).sum(axis=0), rows(grad).sum(axis=0)


def gelu_backward(grad, x):
    """The gradient by x, of `gelu` in its tanh form."""
    root = math.sqrt(2 / math.pi)
    tanh = np.tanh(root * (x + 0.044715 * x * x * x))
    slope = root * (1 + 3 * 0.044715 * x * x)  # of what is inside the tanh
    return grad * 0.5 * (1 + tanh + x * (1 - tanh * tanh) * slope)


def embedding_backward(grad, ids, n_tokens, n_positions):
    """Gradients by both tables: (n_tokens, C) and (n_positions, C).

    Each row of grad (..., T, C) is added to the row of its token and to the row of its
    position; the first token stands at position 0.
    """
    T, C = grad.shape[-2:]
    token_table = np.zeros((n_tokens, C), grad.dtype)
    position_table = np.zeros((n_positions, C), grad.dtype)
    np.add.at(token_table, ids.ravel(), rows(grad))  # a token may occur many times
    position_table[:T] = grad.reshape(-1, T, C).sum(axis=0)
    return token_table, position_table


def attention_backward(grad, query, key, value, weights):
    """Gradients by query, key and value, each (..., T, d_head).

    The mask needs no step of its own: where a weight is 0, so is the gradient by its
    score.
    """
    by_scores = softmax_backward(grad @ value.swapaxes(-1, -2), weights)
    by_scores = by_scores / math.sqrt(query.shape[-1])  # (..., T, T), by query key^T
    return (
        by_scores @ key,
        by_scores.swapaxes(-1, -2) @ query,
        weights.swapaxes(-1, -2) @ grad,
    )


def cross_entropy_backward(logits, targets):
    """The gradient by the logits (..., V): (p - one_hot(target)) / number of targets.

    Rows whose target is negative get 0. Raises what `cross_entropy` raises.
    """
    check_targets(logits, targets)
    counted = targets >= 0
    grad = softmax(logits) * counted[..., None]
    np.subtract.at(grad, (*np.nonzero(counted), targets[counted]), 1)
    return grad / int(counted.sum())  # a Python number leaves float32 as it is
