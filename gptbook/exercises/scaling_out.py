"""The exercises of 5.3.3, scaling out."""

from __future__ import annotations

import numpy as np

from gptbook.exercises import check, random
from gptbook.layers import gelu


def combine(answer):
    """combine(gradients, counts): (n, N) and (n,) -> the gradient of the batch (N,)."""

    def reference(gradients, counts):
        return counts @ gradients / counts.sum()

    cases = [
        (random(2, 4), np.array([7, 7])),  # equal shares: the plain mean
        (random(2, 4), np.array([1, 3])),
        (random(4, 5), np.array([120, 18, 64, 251])),
        (random(1, 3), np.array([5])),  # one process: its own gradient
    ]
    return check(answer, "combine", reference, cases, {
        "it is the plain mean: a process with more tokens must count for more":
            lambda g, c: g.mean(axis=0),
        "the gradients are added up: divide by the number of all tokens":
            lambda g, c: g.sum(axis=0),
        "the weighted sum is there; divide it by the number of all tokens":
            lambda g, c: c @ g,
        "the weighted sum is divided by the number of processes, not of tokens":
            lambda g, c: c @ g / len(c),
        "the weights are upside down: more tokens must count for more":
            lambda g, c: (1 / c) @ g / (1 / c).sum(),
        "it is the gradient of one process alone": lambda g, c: g[0],
    })  # fmt: skip


def memory(answer):
    """memory(N, n, stage) -> bytes on each of n processes."""

    def reference(N, n, stage):
        weights = 2 * N / (n if stage >= 3 else 1)
        gradients = 2 * N / (n if stage >= 2 else 1)
        optimiser = 12 * N / (n if stage >= 1 else 1)
        return weights + gradients + optimiser

    def late(N, n, stage):  # each stage begins one number too high
        return reference(N, n, stage - 1)

    def alone(N, n, stage):  # each stage shares only what it adds
        parts = [12 * N, 2 * N, 2 * N]
        return sum(p / n if stage == i + 1 else p for i, p in enumerate(parts))

    def backwards(N, n, stage):  # the weights first, the optimiser last
        parts = [2 * N, 2 * N, 12 * N]
        return sum(p / n if stage >= i + 1 else p for i, p in enumerate(parts))

    cases = [(1000, 4, 2), (1000, 4, 3), (1000, 4, 1), (1000, 4, 0), (1000, 1, 0),
             (7e9, 64, 1), (7e9, 64, 2), (7e9, 64, 3), (512, 1, 3)]  # fmt: skip
    return check(answer, "memory", reference, cases, {
        "everything is shared in every stage; that is so in stage 3 alone":
            lambda N, n, stage: 16 * N / n,
        "it doesn't depend on the stage": lambda N, n, stage: 16 * N,
        "too little is shared: of 2 + 2 + 12 bytes, stage 1 shares the 12, stage 2 the "
        "gradients as well, stage 3 all": late,
        "a stage also shares what the stages before it share": alone,
        "the order is optimiser, gradients, weights: the largest first": backwards,
        "the optimiser takes 12 bytes: master weight, mean, and mean square":
            lambda N, n, stage: reference(N, n, stage) - 4 * N / (n if stage else 1),
        "it is the memory of all processes together; divide what is shared by n":
            lambda N, n, stage: n * reference(N, n, stage),
    })  # fmt: skip


def smallest_batch(answer):
    """smallest_batch(n, size, flops, bandwidth) -> tokens of all processes."""

    def reference(n, size, flops, bandwidth):
        return (n - 1) * size / 2 * flops / bandwidth

    def times(factor):
        return lambda *case: factor * reference(*case)

    cases = [
        (3, 4, 3e13, 1e9),  # whole numbers: who rounds up is right, too
        (1024, 2, 4e14, 5e10),
        (8, 2, 4e14, 5e10),
        (2, 1, 7e13, 2e9),
        (1, 4, 3e13, 1e9),  # alone, there is nobody to talk to
    ]
    return check(answer, "smallest_batch", reference, cases, {
        "these are the tokens of one process; the global batch has those of all":
            lambda n, *rest: reference(n, *rest) / n,
        "the all-reduce hides behind all of the computing; the backward pass is 4 N D":
            times(2 / 3),
        "it hides behind the forward pass; the backward pass has twice its FLOPs":
            times(2),
        "each process sends almost twice the gradient: the ring goes around twice":
            times(1 / 2),
        "each process sends 2 (n - 1) / n of the gradient, not all of it twice":
            lambda n, size, flops, bandwidth: n * size / 2 * flops / bandwidth,
        "the FLOPs that count are 4 N for each token, so N drops out":
            times(4),
        "it is upside down: a faster network needs fewer tokens":
            lambda n, size, flops, bandwidth: (n - 1) * size / 2 * bandwidth / flops,
        "the bandwidth is in bytes already, and so is size":
            times(8),
        "the size of a number is missing: the bandwidth counts bytes":
            lambda n, size, *rest: reference(n, 1, *rest),
    })  # fmt: skip


def part(answer):
    """part(x, w1, b1, w2, rank, n): what a process adds to the layer's output."""

    def columns(w, rank, n):
        width = w.shape[-1] // n
        return slice(rank * width, (rank + 1) * width)

    def reference(x, w1, b1, w2, rank, n):
        own = columns(w1, rank, n)
        return gelu(x @ w1[:, own] + b1[own]) @ w2[own]

    def whole(x, w1, b1, w2, rank, n):
        return gelu(x @ w1 + b1) @ w2

    def no_bias(x, w1, b1, w2, rank, n):
        return reference(x, w1, 0 * b1, w2, rank, n)

    def linear(x, w1, b1, w2, rank, n):
        own = columns(w1, rank, n)
        return (x @ w1[:, own] + b1[own]) @ w2[own]

    def first(x, w1, b1, w2, rank, n):
        return reference(x, w1, b1, w2, 0, n)

    def strided(x, w1, b1, w2, rank, n):
        return gelu(x @ w1[:, rank::n] + b1[rank::n]) @ w2[rank::n]

    def late(x, w1, b1, w2, rank, n):
        return gelu(linear(x, w1, b1, w2, rank, n))

    def wrong_rows(x, w1, b1, w2, rank, n):
        own = columns(w1, rank, n)
        return gelu(x @ w1[:, own] + b1[own]) @ w2[: own.stop - own.start]

    cases = [
        (random(T, C), random(C, 4 * C), random(4 * C), random(4 * C, C), rank, n)
        for T, C, rank, n in [(1, 2, 0, 1), (3, 4, 0, 2), (3, 4, 1, 2), (5, 4, 2, 4)]
    ]
    return check(answer, "part", reference, cases, {
        "it is the whole layer: take only the columns of this process": whole,
        "the bias b1 is missing; cut it as the columns of w1": no_bias,
        "GELU is missing": linear,
        "GELU comes too late: it belongs between the two matrices": late,
        "every process computes the part of process 0: use rank": first,
        "take neighbouring columns, not every n-th; process 0 has the first":
            strided,
        "the rows of w2 are not those of the columns of w1": wrong_rows,
    })  # fmt: skip
