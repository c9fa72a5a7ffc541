"""The exercises of 4.2, the mathematics of position."""

from __future__ import annotations

import numpy as np

from gptbook.exercises import check, random


def frequencies(d, base):
    """One for each pair of d numbers: base ** (-2 m / d), (d / 2,)."""
    return base ** (-np.arange(0, d, 2) / d)


def sinusoid_table(answer):
    """sinusoid_table(T, d, base, first) -> (T, d), sine in the even columns."""

    def variant(frequency=frequencies, even=np.sin, odd=np.cos, halves=False, by=0):
        def table(T, d, base=10000.0, first=0):
            places = np.arange(T) + (0 if by is None else by + first)
            angle = places[:, None] * frequency(d, base)
            parts = [even(angle), odd(angle)]
            if halves:
                return np.concatenate(parts, axis=-1)
            return np.stack(parts, axis=-1).reshape(T, d)

        return table

    cases = [
        (5, 6, 100.0, 0), (7, 4, 10000.0, 0), (4, 8, 1000.0, 3), (1, 2, 10.0, 5),
    ]  # fmt: skip
    return check(answer, "sinusoid_table", variant(), cases, {
        "the cosine is in the even columns; the paper has the sine there":
            variant(even=np.cos, odd=np.sin),
        "all sines stand before all cosines; here they take turns":
            variant(halves=True),
        "the exponent is -2 m / d, and yours is -m / d":
            variant(lambda d, base: base ** (-np.arange(d // 2) / d)),
        "the frequencies grow: the exponent needs its minus":
            variant(lambda d, base: base ** (np.arange(0, d, 2) / d)),
        "the frequencies are spread over d / 2 - 1 steps: divide 2 m by d":
            variant(lambda d, base: base ** -np.linspace(0, 1, d // 2)),
        "the columns count j from 0 to d - 1 in the exponent; a pair shares one m":
            lambda T, d, base, first: np.where(
                np.arange(d) % 2 == 0,
                np.sin((first + np.arange(T))[:, None] * base ** (-np.arange(d) / d)),
                np.cos((first + np.arange(T))[:, None] * base ** (-np.arange(d) / d)),
            ),
        "positions count from 1; the first row is for `first`": variant(by=1),
        "the argument `first` is not used": variant(by=None),
        "sine is there twice: odd columns hold the cosine": variant(odd=np.sin),
    })  # fmt: skip


def shift_matrix(answer):
    """shift_matrix(delta, d, base) -> (d, d), for pairs (cosine, sine)."""

    def reference(delta, d, base=10000.0, turn=1):
        R = np.zeros((d, d))
        for m, omega in enumerate(frequencies(d, base)):
            c, s = np.cos(delta * omega), np.sin(delta * omega)
            block = [[c, -turn * s], [turn * s, c]]
            R[2 * m : 2 * m + 2, 2 * m : 2 * m + 2] = block
        return R

    def halves(delta, d, base):
        mixed = np.arange(d).reshape(2, d // 2).T.ravel()
        R = np.zeros((d, d))
        R[np.ix_(mixed, mixed)] = reference(delta, d, base)
        return R

    def one_frequency(delta, d, base):
        return np.kron(np.eye(d // 2), reference(delta, 2, base))

    def symmetric(delta, d, base):
        R = reference(delta, d, base)
        return np.tril(R) + np.tril(R, -1).T

    def reflection(delta, d, base):
        return reference(delta, d, base) * np.where(np.arange(d) % 2, -1, 1)

    cases = [
        (2, 6, 100.0), (3, 4, 10000.0), (-2, 8, 1000.0), (1, 2, 10.0), (0, 4, 100.0),
    ]  # fmt: skip
    return check(answer, "shift_matrix", reference, cases, {
        "it turns the wrong way: that is the matrix for -delta":
            lambda delta, d, base: reference(delta, d, base, turn=-1),
        "the pairs are neighbours, 2m and 2m + 1; yours are m and m + d/2": halves,
        "every pair has its own frequency; yours all turn like pair 0": one_frequency,
        "both sines have the same sign: one needs a minus": symmetric,
        "a column has the wrong sign: that is a reflection, not a rotation": reflection,
    })  # fmt: skip


def position_gradient(answer):
    """position_gradient(by_x, n_positions, start): (B, T, C) -> (n_positions, C)."""

    def variant(collect=lambda g: g.sum(axis=0), at=lambda start: start):
        def gradient(by_x, n_positions, start=0):
            grad = np.zeros((n_positions, by_x.shape[-1]))
            T, first = by_x.shape[1], at(start)
            grad[first : first + T] = collect(by_x)[: n_positions - first]
            return grad

        return gradient

    cases = [
        (random(B, T, C), n, start)
        for B, T, C, n, start in [
            (2, 3, 4, 5, 0), (3, 2, 3, 4, 0), (1, 4, 2, 4, 0), (2, 3, 4, 8, 4),
            (4, 1, 3, 6, 5),
        ]
    ]  # fmt: skip
    return check(answer, "position_gradient", variant(), cases, {
        "take the sum over the batch, not the mean": variant(lambda g: g.mean(axis=0)),
        "only the first sequence is counted: sum over the batch":
            variant(lambda g: g[0]),
        "only the last sequence is counted: add, do not overwrite":
            variant(lambda g: g[-1]),
        "the sum runs over places too; each place has its own row":
            variant(lambda g: np.broadcast_to(g.sum(axis=(0, 1)), g.shape[1:])),
        "the first token stood at `start`, not at 0": variant(at=lambda start: 0),
        "every row of the table gets the sum; rows without a token get 0":
            lambda g, n, start: np.broadcast_to(
                g.sum(axis=(0, 1)), (n, g.shape[-1])
            ),
    })  # fmt: skip


def rotate_halves(answer):
    """rotate_halves(x, positions, base): (T, d) -> (T, d), pairs (m, m + d/2)."""

    def pairs(x, halves):
        half = x.shape[-1] // 2
        return (x[:, :half], x[:, half:]) if halves else (x[:, 0::2], x[:, 1::2])

    def variant(frequency=frequencies, turn=1, apart=True, together=True, places=None):
        def rotate(x, positions, base=10000.0):
            positions = places(positions) if places else positions
            angle = positions[:, None] * frequency(x.shape[-1], base)
            u, v = pairs(x, apart)
            cos, sin = np.cos(angle), turn * np.sin(angle)
            parts = u * cos - v * sin, u * sin + v * cos
            if together:
                return np.concatenate(parts, axis=-1)
            return np.stack(parts, axis=-1).reshape(x.shape)

        return rotate

    def wrong_sign(x, positions, base):
        angle = positions[:, None] * frequencies(x.shape[-1], base)
        u, v = pairs(x, True)
        cos, sin = np.cos(angle), np.sin(angle)
        return np.concatenate([u * cos + v * sin, u * sin + v * cos], axis=-1)

    def overwritten(x, positions, base):
        angle = positions[:, None] * frequencies(x.shape[-1], base)
        u, v = pairs(x, True)
        u = u * np.cos(angle) - v * np.sin(angle)
        return np.concatenate([u, u * np.sin(angle) + v * np.cos(angle)], axis=-1)

    cases = [
        (random(T, d), np.array(positions), base)
        for T, d, positions, base in [
            (3, 6, [1, 2, 3], 100.0), (3, 4, [0, 1, 2], 10000.0), (1, 2, [7], 10.0),
            (4, 8, [5, 0, 9, 2], 1000.0),
        ]
    ]  # fmt: skip
    return check(answer, "rotate_halves", variant(), cases, {
        "the pairs are neighbours: that is the interleaved layout":
            variant(apart=False, together=False),
        "the pairs are m and m + d/2, and must go back to these entries":
            variant(together=False),
        "the pairs are taken as neighbours: take the two halves": variant(apart=False),
        "it turns the wrong way: check the signs of the sines": variant(turn=-1),
        "both sines have a plus: that is no rotation": wrong_sign,
        "u was overwritten before v was computed from it": overwritten,
        "the exponent is -2 m / d, and yours is -m / d":
            variant(lambda d, base: base ** (-np.arange(d // 2) / d)),
        "every pair turns by the same angle: it needs its own frequency":
            variant(lambda d, base: np.ones(d // 2)),
        "the positions given are not used, but 0, 1, 2, ...":
            variant(places=lambda p: np.arange(len(p))),
    })  # fmt: skip


def alibi_mask(answer):
    """alibi_mask(n_query, n_key, n_head) -> (n_head, n_query, n_key)."""

    def variant(slopes=None, at=None, future=-np.inf, sign=-1):
        def mask(n_query, n_key, n_head):
            first = n_key - n_query if at is None else at
            distance = np.arange(first, first + n_query)[:, None] - np.arange(n_key)
            n = np.arange(1, n_head + 1)
            slope = 2.0 ** (-8 * n / n_head) if slopes is None else slopes(n, n_head)
            bias = sign * slope[:, None, None] * distance
            if future is None:
                return bias
            return np.where(distance < 0, future, bias)

        return mask

    cases = [(4, 4, 2), (3, 3, 4), (1, 5, 2), (2, 6, 8), (1, 1, 1)]
    return check(answer, "alibi_mask", variant(), cases, {
        "the future is not hidden: it must be -inf": variant(future=None),
        "the future gets 0; it must be -inf": variant(future=0.0),
        "the sign is wrong: far keys must lose": variant(sign=1),
        "heads count from 1 in the slopes, and yours count from 0":
            variant(lambda n, h: 2.0 ** (-8 * (n - 1) / h)),
        "every head has its own slope; yours all have that of head 1":
            variant(lambda n, h: 0 * n + 2.0 ** (-8 / h)),
        "the slopes are 2 ** (-8 n / h), and yours are 2 ** -n":
            variant(lambda n, h: 2.0**-n),
        "the queries are the last of the tokens; yours begin at place 0": variant(at=0),
    })  # fmt: skip
