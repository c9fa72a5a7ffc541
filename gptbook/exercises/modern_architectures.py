"""The exercises of 8.3, modern architectures."""

from __future__ import annotations

import numpy as np

from gptbook.exercises import check, random
from gptbook.layers import softmax


def share_heads(answer):
    """share_heads(key, n_head): keys (h_kv, T, d) -> (n_head, T, d), group by group."""

    def reference(key, n_head):
        return key.repeat(n_head // len(key), axis=0)

    cases = [
        (random(1, 3, 2), 4),
        (random(4, 3, 2), 4),  # as many as there are queries: nothing happens
        (random(2, 3, 2), 6),
        (random(3, 4, 2), 9),
    ]
    return check(answer, "share_heads", reference, cases, {
        "heads 0, 1, 2 ... take turns; each key should serve neighbours":
            lambda k, n: np.tile(k, (n // len(k), 1, 1)),
        "every head got the first key":
            lambda k, n: k[:1].repeat(n, axis=0),
        "the heads are copied in groups, but the last group comes first":
            lambda k, n: k[::-1].repeat(n // len(k), axis=0),
    })  # fmt: skip


def moe_parameters(answer):
    """moe_parameters(C, F, E, k): (all, working on a token), gated, with the router."""

    def count(matrices=3, router=True, share=None):
        def wrong(C, F, E, k):
            expert = matrices * C * F
            extra = router * C * E
            whole, active = expert * E + extra, expert * k + extra
            return share(whole, active, expert, C, E, k) if share else (whole, active)

        return wrong

    cases = [(4, 8, 1, 1), (4, 8, 4, 2), (64, 96, 8, 2), (4096, 14336, 8, 2)]
    return check(answer, "moe_parameters", count(), cases, {
        "a gated expert has three matrices, not two": count(2),
        "the router is missing: (C, E), and it works on every token":
            count(router=False),
        "the two numbers have changed places":
            count(share=lambda whole, active, *_: (active, whole)),
        "the router works on every token, so it belongs to the second number too":
            count(share=lambda whole, active, expert, C, E, k: (whole, expert * k)),
        "k experts work on a token, not one":
            count(share=lambda whole, active, expert, C, E, k:
                  (whole, expert + C * E)),
        "the router scores all E experts, not k":
            count(share=lambda whole, active, expert, C, E, k:
                  (whole, expert * k + C * k)),
    })  # fmt: skip


def route(answer):
    """route(scores, k): (T, E) -> weights (T, E), 0 but for the k best of each row."""

    def chosen(scores, k):
        best = np.argsort(-scores, axis=-1)[:, :k]
        mask = np.zeros(scores.shape, bool)
        np.put_along_axis(mask, best, True, axis=-1)
        return mask

    def reference(scores, k):
        return softmax(np.where(chosen(scores, k), scores, -np.inf))

    def over_all(scores, k):
        return softmax(scores) * chosen(scores, k)

    def zeros(scores, k):
        return softmax(np.where(chosen(scores, k), scores, 0.0))

    def worst(scores, k):
        return softmax(np.where(chosen(-scores, k), scores, -np.inf))

    def by_column(scores, k):
        return reference(scores.T, min(k, len(scores))).T

    cases = [
        (random(1, 4), 1),
        (random(5, 4), 1),
        (random(5, 4), 2),
        (random(6, 3, scale=3.0), 3),  # all of them: softmax
        (random(7, 8, scale=400.0), 2),
    ]
    return check(answer, "route", reference, cases, {
        "rows don't sum to 1: the softmax went over all experts, not over the chosen":
            over_all,
        "a score of 0 still gets weight: those not chosen must be -inf": zeros,
        "the k worst are chosen, not the k best": worst,
        "all experts get weight, for none was left out":
            lambda s, k: softmax(s),
        "each chosen expert has the weight 1 / k; the softmax is missing":
            lambda s, k: chosen(s, k) / k,
        "it returns which are chosen, without weights":
            lambda s, k: chosen(s, k).astype(float),
        "one expert is chosen whatever k is": lambda s, k: reference(s, 1),
        "experts choose tokens here; each token, a row, should choose experts":
            by_column,
    })  # fmt: skip


def balance(answer):
    """balance(scores, k): E times the sum of share times mean probability."""

    def parts(scores, k):
        E = scores.shape[-1]
        best = np.argsort(-scores, axis=-1)[:, :k]
        share = np.bincount(best.ravel(), minlength=E) / best.size
        return E, share, softmax(scores).mean(axis=0)

    def reference(scores, k):
        E, share, p = parts(scores, k)
        return float(E * (share * p).sum())

    def wrong(combine):
        def answer(scores, k):
            return float(combine(*parts(scores, k), k))

        return answer

    uniform = np.tile(np.eye(4), (2, 1))  # each expert twice: exactly 1
    lonely = np.tile([50.0, 0, 0, 0], (5, 1))  # all to one: E
    cases = [
        (uniform, 1),
        (lonely, 1),
        (random(9, 4), 1),
        (random(9, 4), 2),
        (random(20, 8, scale=2.0), 2),
        (random(3, 5), 5),
    ]
    return check(answer, "balance", reference, cases, {
        "the factor E is missing: with equal shares the result should be 1":
            wrong(lambda E, f, p, k: (f * p).sum()),
        "the shares sum to k; each token gives each of its k experts 1/k":
            wrong(lambda E, f, p, k: E * k * (f * p).sum()),
        "it sums the squared shares; the second factor is the mean probability":
            wrong(lambda E, f, p, k: E * (f * f).sum()),
        "it sums the squared probabilities; the first factor is the share of tokens":
            wrong(lambda E, f, p, k: E * (p * p).sum()),
        "that is the mean over the experts; E times the sum is right":
            wrong(lambda E, f, p, k: (f * p).mean()),
        "only each token's best expert is counted, not its k best":
            lambda s, k: reference(s, 1),
    })  # fmt: skip
