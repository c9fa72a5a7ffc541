"""The exercises of 8.1, the cost of computing."""

from __future__ import annotations

import math

import numpy as np

from gptbook.exercises import check

CHINCHILLA = (482.01, 0.3478, 2085.43, 0.3658)  # a, alpha, b, beta (Besiroglu 2024)


def exponent(answer):
    """exponent(x, loss, floor): two runs, (2,) and (2,) -> a number."""

    def reference(x, loss, floor):
        return math.log((loss[0] - floor) / (loss[1] - floor)) / math.log(x[1] / x[0])

    cases = [
        (np.array([1e3, 4e3]), np.array([1.5, 1.0]), 0.5),  # a half for four times: 1/2
        (np.array([1e6, 1e8]), np.array([3.1, 2.3]), 1.7),
        (np.array([5e4, 2e4]), np.array([0.61, 0.75]), 0.54),  # the larger one first
        (np.array([1e6, 1e7]), np.array([4.0, 3.0]), 0.0),
    ]
    return check(answer, "exponent", reference, cases, {
        "the floor is still in: take it off both losses before the logarithm":
            lambda x, loss, floor: reference(x, loss, 0.0),
        "the sign is wrong: alpha is positive where the loss falls":
            lambda x, loss, floor: -reference(x, loss, floor),
        "it is upside down: the change of the loss over the change of x":
            lambda x, loss, floor: 1 / reference(x, loss, floor),
        "take logarithms of the losses too, less their floor":
            lambda x, loss, floor: (loss[0] - loss[1]) / math.log(x[1] / x[0]),
        "the floor is taken off after the logarithm; take it off before":
            lambda x, loss, floor: (math.log(loss[0]) - floor - math.log(loss[1]))
            / math.log(x[1] / x[0]),
    })  # fmt: skip


def tokens_that_fit(answer):
    """tokens_that_fit(memory, N, n_layer, d_model, n_head, vocab_size) -> int."""

    def fit(memory, N, per_token, weights=16, size=4):
        return max(0, math.floor((memory - weights * N) / (size * per_token)))

    def numbers(L, C, h, V):
        return L * (16 * C + h + 4) + 2 * C + V + 2

    def reference(memory, N, L, C, h, V):
        return fit(memory, N, numbers(L, C, h, V))

    cases = [
        (8e9, 124_439_808, 12, 768, 12, 50257),  # GPT-2 small on eight gigabytes
        (24e9, 354_823_168, 24, 1024, 16, 50257),
        (20e6, 957_184, 4, 128, 4, 1024),
        (10e6, 957_184, 4, 128, 4, 1024),  # the weights alone don't fit
        (1000, 10, 1, 2, 1, 5),
    ]
    return check(answer, "tokens_that_fit", reference, cases, {
        "the weights take 16 bytes each in training, not 4: gradient, m and u as well":
            lambda m, N, L, C, h, V: fit(m, N, numbers(L, C, h, V), weights=4),
        "gradients count, too: 16 bytes for each parameter, not 12":
            lambda m, N, L, C, h, V: fit(m, N, numbers(L, C, h, V), weights=12),
        "a kept number has 4 bytes":
            lambda m, N, L, C, h, V: fit(m, N, numbers(L, C, h, V), size=1),
        "the logits are missing: |V| numbers for each token":
            lambda m, N, L, C, h, V: fit(m, N, numbers(L, C, h, 0)),
        "all blocks keep their arrays until the way back: L times 16 C + h + 4":
            lambda m, N, L, C, h, V: fit(m, N, numbers(1, C, h, V)),
        "nothing is left of the memory: then no token fits, so return 0":
            lambda m, N, L, C, h, V: math.floor(
                (m - 16 * N) / (4 * numbers(L, C, h, V))),
        "a part of a token is no token: round down":
            lambda m, N, L, C, h, V: max(0, (m - 16 * N) / (4 * numbers(L, C, h, V))),
    })  # fmt: skip


def best_split(answer):
    """best_split(flops, a, alpha, b, beta) -> (N, D)."""

    def reference(flops, a, alpha, b, beta):
        N = (alpha * a / (beta * b) * (flops / 6) ** beta) ** (1 / (alpha + beta))
        return N, flops / 6 / N

    def with_ratio(flops, ratio):
        N = math.sqrt(flops / 6 / ratio)
        return N, ratio * N

    cases = [
        (6e8, 1.0, 0.5, 1.0, 0.5),  # alike: as many tokens as parameters
        (5.76e23, *CHINCHILLA),
        (5.76e23, 406.4, 0.34, 410.7, 0.28),
        (1e12, 20.0, 0.6, 3000.0, 0.7),
    ]
    return check(answer, "best_split", reference, cases, {
        "the budget is 6 N D: the 6 is missing":
            lambda flops, *law: reference(6 * flops, *law),
        "N and D are swapped": lambda *case: reference(*case)[::-1],
        "the two terms needn't be equal; their slopes in ln N must be: "
        "alpha a / N^alpha = beta b / D^beta":
            lambda flops, a, alpha, b, beta: reference(
                flops, a / alpha, alpha, b / beta, beta),
        "20 tokens a parameter is one law's answer at one budget; use a and b":
            lambda flops, *law: with_ratio(flops, 20),
        "N and D alike is the answer only where both terms are alike":
            lambda flops, *law: with_ratio(flops, 1),
        "the exponents are swapped: N grows with the power beta / (alpha + beta)":
            lambda flops, a, alpha, b, beta: (
                n := (alpha * a / (beta * b) * (flops / 6) ** alpha)
                ** (1 / (alpha + beta)), flops / 6 / n),
    })  # fmt: skip


def lifetime(answer):
    """lifetime(target, served, floor, a, alpha, b, beta) -> FLOPs."""

    def tokens(N, target, floor, a, alpha, b, beta):
        return (b / (target - floor - a / N**alpha)) ** (1 / beta)

    def smallest(target, served, floor, a, alpha, b, beta, each=2):
        """(N, D) with the fewest FLOPs; the search narrows, round by round."""
        least = math.log((a / (target - floor)) ** (1 / alpha))
        low, high = least + 1e-6, least + 30
        for _ in range(6):
            N = np.exp(np.linspace(low, high, 4001))
            D = tokens(N, target, floor, a, alpha, b, beta)
            best = int(np.argmin(6 * N * D + each * N * served))
            step = (high - low) / 4000
            middle = math.log(N[best])
            low, high = max(low, middle - 2 * step), middle + 2 * step
        return float(N[best]), float(D[best])

    def total(N, D, served, each=2):
        return 6 * N * D + each * N * served

    def reference(target, served, *law):
        return total(*smallest(target, served, *law), served)

    def blind(target, served, *law):  # the optimum of training alone
        return total(*smallest(target, 0, *law), served)

    def twenty(target, served, floor, a, alpha, b, beta):
        N = np.exp(np.linspace(10, 35, 200_001))
        D = 20 * N
        short = floor + a / N**alpha + b / D**beta > target
        n = float(N[int(short.sum())])
        return total(n, 20 * n, served)

    cases = [
        (2.2, 0.0, 1.8172, *CHINCHILLA),  # nobody asks it anything
        (2.2, 2e12, 1.8172, *CHINCHILLA),
        (2.0, 1e14, 1.8172, *CHINCHILLA),
        (1.0, 1e9, 0.5, 20.0, 0.5, 3000.0, 0.7),
    ]
    return check(answer, "lifetime", reference, cases, {
        "these are the FLOPs of training alone; each served token takes 2 N more":
            lambda t, served, *law: 6 * math.prod(smallest(t, served, *law)),
        "N is the best for training alone: search again, with the 2 N served in it":
            blind,
        "a served token takes 2 N FLOPs, forward alone, not 6 N":
            lambda t, served, *law: total(
                *smallest(t, served, *law, each=6), served, each=6),
        "20 tokens a parameter is not asked; D follows from N and the target":
            twenty,
        "training takes 6 N D, not 2 N D":
            lambda t, served, *law: total(
                *smallest(t, 3 * served, *law), 3 * served) / 3,
        "it is the model, and the FLOPs are asked":
            lambda t, served, *law: smallest(t, served, *law)[0],
    })  # fmt: skip
