"""The exercises of 3.2, position."""

from __future__ import annotations

import numpy as np

from gptbook.exercises import check, random
from gptbook.layers import attention, embedding


def some_ids(*shape, vocab_size, seed=0):
    return np.random.default_rng([seed, *shape]).integers(vocab_size, size=shape)


def input_vectors(answer):
    """input_vectors(ids, token_table, position_table): (T,) or (B, T) -> (..., C)."""

    def by_batch(ids, E, P):  # positions counted along the first axis
        rows = P[: len(ids)]
        return E[ids] + (rows if ids.ndim == 1 else rows[:, None])

    cases = [
        (some_ids(*shape, vocab_size=9), random(9, C), random(T_max, C, seed=1))
        for shape, C, T_max in [
            ((1,), 3, 4), ((4,), 3, 4), ((5,), 4, 8), ((2, 3), 4, 8), ((3, 3), 2, 5),
        ]
    ]  # fmt: skip
    return check(answer, "input_vectors", embedding, cases, {
        "the positions are missing": lambda ids, E, P: E[ids],
        "the tokens are missing": lambda ids, E, P: 0 * E[ids] + P[: ids.shape[-1]],
        "positions count from 0, and yours count from 1":
            lambda ids, E, P: E[ids] + np.roll(P, -1, axis=0)[: ids.shape[-1]],
        "the position table is looked up with the token ids":
            lambda ids, E, P: E[ids] + P[ids % len(P)],
        "rows are multiplied; add them": lambda ids, E, P: E[ids] * P[: ids.shape[-1]],
        "every token gets the row of position 0": lambda ids, E, P: E[ids] + P[0],
        "in a batch, positions count along the last axis of ids": by_batch,
    })  # fmt: skip


def order_gap(answer):
    """order_gap(layer, x, order) -> max |layer(x[order]) - layer(x)[order]|."""

    def reference(layer, x, order):
        return np.abs(layer(x[order]) - layer(x)[order]).max()

    def blind(x):
        return attention(x, x, x, 0)[0]

    def running_sum(x):
        return np.cumsum(x, axis=0)

    def mix(x):  # every row gets something of every other, by place
        return random(len(x), len(x)) @ x

    cases = [
        (layer, random(T, C), np.array(order))
        for layer, T, C, order in [
            (mix, 4, 3, [2, 0, 3, 1]),  # not its own inverse
            (lambda x: -mix(x), 4, 3, [2, 0, 3, 1]),
            (blind, 3, 2, [2, 0, 1]),
            (running_sum, 4, 3, [0, 1, 2, 3]),
            (running_sum, 5, 2, [4, 1, 0, 3, 2]),
            (running_sum, 4, 3, [0, 3, 1, 2]),  # the first row stays as it is
        ]
    ]  # fmt: skip
    return check(answer, "order_gap", reference, cases, {
        "the outputs of the rows as they are must be permuted too":
            lambda f, x, o: np.abs(f(x[o]) - f(x)).max(),
        "the rows must be permuted before the layer, too":
            lambda f, x, o: np.abs(f(x) - f(x)[o]).max(),
        "compare all rows, not the first alone":
            lambda f, x, o: np.abs(f(x[o])[0] - f(x)[o][0]).max(),
        "both sides are the same thing: permute before the layer and after it":
            lambda f, x, o: 0.0,
        "the outputs are permuted the other way round: use order, not its inverse":
            lambda f, x, o: np.abs(f(x[o]) - f(x)[np.argsort(o)]).max(),
        "take the largest absolute difference: abs is missing":
            lambda f, x, o: (f(x[o]) - f(x)[o]).max(),
        "take the largest difference, not the mean":
            lambda f, x, o: np.abs(f(x[o]) - f(x)[o]).mean(),
        "take the largest difference, not the sum":
            lambda f, x, o: np.abs(f(x[o]) - f(x)[o]).sum(),
    })  # fmt: skip


def next_input(answer):
    """next_input(new_ids, n_cached, token_table, position_table) -> (T, C)."""

    def reference(ids, n, E, P):
        return embedding(ids, E, P, n)

    def shifted(by):
        return lambda ids, n, E, P: E[ids] + P[(n + by + np.arange(len(ids))) % len(P)]

    cases = [
        (some_ids(T, vocab_size=9), n, random(9, C), random(T_max, C, seed=1))
        for T, n, C, T_max in [
            (3, 0, 4, 8), (1, 3, 4, 8), (2, 5, 3, 8), (1, 7, 3, 8), (4, 4, 2, 9),
        ]
    ]  # fmt: skip
    return check(answer, "next_input", reference, cases, {
        "the new tokens stand behind the cache, not at 0 again":
            lambda ids, n, E, P: E[ids] + P[: len(ids)],
        "every new token gets the same row; they stand one behind the other":
            lambda ids, n, E, P: E[ids] + P[n],
        "one place too far: with n_cached tokens at 0 to n_cached - 1, the next is "
        "at n_cached": shifted(1),
        "one place too early: n_cached - 1 is taken already": shifted(-1),
        "the positions are missing": lambda ids, n, E, P: E[ids],
        "the tokens of the cache are not wanted again: only the new rows": (
            lambda ids, n, E, P: embedding(
                np.concatenate([np.zeros(n, int), ids]), E, P
            )
        ),
    })  # fmt: skip


def position_ids(answer):
    """position_ids(mask): (B, T) of 1 and 0, pads on the left -> positions (B, T)."""

    def reference(mask):
        return np.maximum(np.cumsum(mask, axis=-1) - 1, 0)

    def mask(T, *lengths):
        return np.array([[0] * (T - n) + [1] * n for n in lengths])

    cases = [
        (mask(5, 3, 5),),
        (mask(4, 4),),
        (mask(5, 3),),
        (mask(6, 1, 6, 4),),
        (mask(3, 3, 2, 1, 3),),
    ]
    return check(answer, "position_ids", reference, cases, {
        "the padding is counted: the first real token must stand at 0":
            lambda m: np.broadcast_to(np.arange(m.shape[-1]), m.shape),
        "positions count from 0, and yours count from 1":
            lambda m: np.cumsum(m, axis=-1),
        "a pad gets -1, which NumPy takes as the last row of the table; give it 0":
            lambda m: np.cumsum(m, axis=-1) - 1,
        "the rows are counted downwards: take the last axis":
            lambda m: np.maximum(np.cumsum(m, axis=0) - 1, 0),
        "each row has its own padding; yours is that of the first row":
            lambda m: np.broadcast_to(reference(m[:1]), m.shape),
        "the count runs on from one row to the next":
            lambda m: np.maximum(np.cumsum(m).reshape(m.shape) - 1, 0),
    })  # fmt: skip
