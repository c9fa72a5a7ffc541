"""The exercises of 4.3, the mathematics of attention."""

from __future__ import annotations

import math

import numpy as np

from gptbook.exercises import check, random
from gptbook.layers import attention, attention_backward, causal_mask, softmax


def softmax_jacobian(answer):
    """softmax_jacobian(p): weights (n,) -> the derivatives of p_i by s_j (n, n)."""

    def reference(p):
        return np.diag(p) - np.outer(p, p)

    cases = [
        (np.array([1.0]),),
        (np.array([0.5, 0.25, 0.25]),),
        (softmax(random(5, scale=2.0)),),
        (np.array([0.0, 1, 0]),),
    ]
    return check(answer, "softmax_jacobian", reference, cases, {
        "the diagonal alone is right; a weight depends on every score":
            lambda p: np.diag(p * (1 - p)),
        "the product of p with itself is missing": np.diag,
        "the sign is turned": lambda p: np.outer(p, p) - np.diag(p),
        "the diagonal must be p_i (1 - p_i), and it is -p_i p_i":
            lambda p: -np.outer(p, p),
        "the product must be subtracted": lambda p: np.diag(p) + np.outer(p, p),
        "p is there, where a 1 belongs on the diagonal: p_i (delta_ij - p_j)":
            lambda p: np.eye(len(p)) - np.outer(p, p),
        "the factor p_i is missing": lambda p: np.eye(len(p)) - p,
    })  # fmt: skip


def safe_weights(answer):
    """safe_weights(scores, mask): (T, n) each -> weights (T, n), 0 in an empty row."""

    def reference(scores, mask):
        s = scores + mask
        empty = np.isneginf(s).all(axis=-1, keepdims=True)
        return np.where(empty, 0, softmax(np.where(empty, 0, s)))

    def even(scores, mask):
        return softmax(np.maximum(scores + mask, -1e10))

    def wrong_axis(scores, mask):
        return reference(scores.T, mask.T).T

    def after(scores, mask):
        return softmax(scores) * np.exp(mask)

    def whole_empty(scores, mask):
        s = scores + mask
        exp = np.exp(s - s[np.isfinite(s)].max(initial=-1e300))
        return exp / max(exp.sum(), 1e-300)

    def divided(exp):
        total = exp.sum(axis=-1, keepdims=True)
        return exp / np.where(total == 0, 1, total)

    def one_maximum(scores, mask):
        s = scores + mask
        return divided(np.exp(s - s[np.isfinite(s)].max(initial=-1e300)))

    def maximum_with_0(scores, mask):
        s = scores + mask
        return divided(np.exp(s - np.maximum(s.max(axis=-1, keepdims=True), 0)))

    full, causal = np.zeros((3, 4)), causal_mask(4, 4, float)
    padded = np.where(np.arange(4) < 2, -np.inf, causal)  # rows 0 and 1 are empty
    before = np.where(np.tri(4, k=-1) == 1, 0, -np.inf)  # row 0 is empty
    cases = [
        (random(3, 4), full),
        (random(4, 4), causal),
        (random(4, 4), padded),
        (random(2, 3), np.full((2, 3), -np.inf)),
        (random(4, 4), before),
        (random(4, 4) + 1000 * np.arange(4)[:, None], causal),
        (random(4, 4, scale=1000.0), padded),
        (random(4, 4, scale=1000.0), causal),
    ]
    return check(answer, "safe_weights", reference, cases, {
        "an empty row shares its weight out evenly; it must be 0": even,
        "the columns sum to 1 instead of the rows": wrong_axis,
        "the mask is not used": lambda scores, mask: softmax(scores),
        "a row of scores far below 0 is not empty: subtract its own maximum":
            maximum_with_0,
        "each row needs its own maximum; with one for all, exp of a low row is 0":
            one_maximum,
        "the mask comes after the softmax, so rows don't sum to 1": after,
        "the sum must be taken row by row": whole_empty,
    })  # fmt: skip


def attend_backward(answer):
    """attend_backward(grad, query, keys, values) -> by query (d,), keys, values (T, d).

    grad (d,) is the gradient by the output of one query over keys and values (T, d).
    """

    def gradients(grad, query, keys, values, root=None):
        root = root or math.sqrt(len(query))
        weights = softmax(keys @ query / math.sqrt(len(query)))
        by_weights = values @ grad
        by_scores = weights * (by_weights - by_weights @ weights) / root
        return by_scores @ keys, np.outer(by_scores, query), np.outer(weights, grad)

    def reference(grad, query, keys, values):
        _, weights = attention(query[None], keys, values, 0.0)
        by_query, by_keys, by_values = attention_backward(
            grad[None], query[None], keys, values, weights
        )
        return by_query[0], by_keys, by_values

    def unscaled(grad, query, keys, values):
        return gradients(grad, query, keys, values, root=1.0)

    def twice(grad, query, keys, values):
        return gradients(grad, query, keys, values, root=float(len(query)))

    def elementwise(grad, query, keys, values):
        root = math.sqrt(len(query))
        weights = softmax(keys @ query / root)
        by_scores = weights * (1 - weights) * (values @ grad) / root
        return by_scores @ keys, np.outer(by_scores, query), np.outer(weights, grad)

    def no_softmax(grad, query, keys, values):
        root = math.sqrt(len(query))
        weights, by_scores = softmax(keys @ query / root), values @ grad / root
        return by_scores @ keys, np.outer(by_scores, query), np.outer(weights, grad)

    def unweighted(grad, query, keys, values):
        by_query, by_keys, _ = reference(grad, query, keys, values)
        return by_query, by_keys, np.outer(np.ones(len(keys)), grad)

    def plain(grad, query, keys, values):
        weights = softmax(keys @ query)
        by_weights = values @ grad
        by_scores = weights * (by_weights - by_weights @ weights)
        return by_scores @ keys, np.outer(by_scores, query), np.outer(weights, grad)

    def order(*places):
        def wrong(*case):
            parts = reference(*case)
            return tuple(parts[place] for place in places)

        return wrong

    cases = [
        (random(d), random(d, seed=1), random(T, d), random(T, d, seed=1))
        for T, d in [(4, 3), (1, 3), (6, 4), (2, 9)]
    ]
    cases.append((random(4), 50 * random(4, seed=1), 50 * random(5, 4), random(5, 4)))
    return check(answer, "attend_backward", reference, cases, {
        "the factor 1/sqrt(d) is missing in the backward pass": unscaled,
        "the factor 1/sqrt(d) is there twice in the backward pass": twice,
        "the scores are not divided by sqrt(d), forwards or backwards": plain,
        "p (1 - p) is only the diagonal: subtract the mean of the gradients":
            elementwise,
        "the gradient by the weights is not that by the scores: softmax_backward is "
        "missing": no_softmax,
        "each value has a part in the output by its weight": unweighted,
        "keys and values have changed places in the result": order(0, 2, 1),
    })  # fmt: skip


def writing_flops(answer):
    """writing_flops(n_prompt, n_new, C): FLOPs of one attention layer."""

    def variant(first=1, linear=8, pairs=4, prompt=True, causal=False):
        def count(n_prompt, n_new, C):
            new = range(n_prompt + first, n_prompt + n_new + first)
            total = sum(linear * C**2 + pairs * n * C for n in new)
            if prompt:
                seen = n_prompt**2 / 2 if causal else n_prompt**2
                total += linear * n_prompt * C**2 + pairs * seen * C
            return total

        return count

    def no_cache(n_prompt, n_new, C):
        return sum(8 * n * C**2 + 4 * n**2 * C
                   for n in range(n_prompt, n_prompt + n_new + 1))  # fmt: skip

    def at_once(n_prompt, n_new, C):
        T = n_prompt + n_new
        return 8 * T * C**2 + 4 * T**2 * C

    def no_growth(n_prompt, n_new, C):
        return variant()(n_prompt, 0, C) + n_new * (8 * C**2 + 4 * n_prompt * C)

    cases = [(1, 1, 1), (10, 0, 8), (5, 3, 4), (1, 6, 16), (100, 20, 64), (1, 0, 2)]
    cases = cases[2:] + cases[:2]
    return check(answer, "writing_flops", variant(), cases, {
        "a new token attends to itself, too: it has one key more": variant(first=0),
        "each new token finds one token more than the one before it": no_growth,
        "that is without the cache: all is computed again for each token": no_cache,
        "that is all tokens at once: a new token brings one query, not T": at_once,
        "the prompt is missing": variant(prompt=False),
        "that counts multiplications; each comes with an addition":
            variant(linear=4, pairs=2),
        "c_proj is missing: 2 C^2 a token": variant(linear=6),
        "scores and mix are two products: 4 n C, not 2 n C": variant(pairs=2),
        "the masked half is left out; here it counts": variant(causal=True),
    })  # fmt: skip


def streaming_attend(answer):
    """streaming_attend(query, blocks): (d,), [(keys (n, d), values (n, d)), ...]."""

    def whole(query, blocks):
        keys, values = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
        return keys, values, keys @ query / math.sqrt(len(query))

    def reference(query, blocks):
        _, values, scores = whole(query, blocks)
        return softmax(scores) @ values

    def unscaled(query, blocks):
        keys, values, _ = whole(query, blocks)
        return softmax(keys @ query) @ values

    def run(query, blocks, old_zeta=True, old_u=True, divide=True):
        """One pass in which the old sums may stay as they are, by mistake."""
        m, zeta, u = -np.inf, 0.0, 0.0
        for keys, values in blocks:
            scores = keys @ query / math.sqrt(len(query))
            new = max(m, scores.max())
            factor, powers = math.exp(m - new), np.exp(scores - new)
            zeta = zeta * (factor if old_zeta else 1) + powers.sum()
            u = u * (factor if old_u else 1) + powers @ values
            m = new
        return u / zeta if divide else u

    def own_maximum(query, blocks):
        zeta, u = 0.0, 0.0
        for keys, values in blocks:
            scores = keys @ query / math.sqrt(len(query))
            powers = np.exp(scores - scores.max())
            zeta, u = zeta + powers.sum(), u + powers @ values
        return u / zeta

    def mean_of_blocks(query, blocks):
        return np.mean([reference(query, [block]) for block in blocks], axis=0)

    def last_only(query, blocks):
        return reference(query, blocks[-1:])

    def blocks_of(sizes, d, scale=1.0):
        return [(random(n, d, scale=scale, seed=i), random(n, d, seed=i + 10))
                for i, n in enumerate(sizes)]  # fmt: skip

    def within(query, blocks, sign):
        """The largest score of each block comes last (1) or first (-1)."""
        return query, [(keys[np.argsort(sign * (keys @ query))], values)
                       for keys, values in blocks]  # fmt: skip

    def ordered(query, blocks, sign):
        """With a maximum that falls (-1) or rises (1) from block to block."""
        return query, sorted(blocks, key=lambda block: sign * (block[0] @ query).max())

    cases = [
        (random(4), blocks_of([3], 4)),
        ordered(random(4, scale=3.0), blocks_of([2, 3, 1], 4), -1),
        ordered(random(4, scale=3.0), blocks_of([1, 4, 2], 4), 1),
        (random(2), blocks_of([5, 1, 2, 4], 2)),
        within(random(4, scale=50.0), blocks_of([2, 5, 3], 4, scale=50.0), 1),
        within(random(4, scale=50.0), blocks_of([2, 5, 3], 4, scale=50.0), -1),
    ]
    return check(answer, "streaming_attend", reference, cases, {
        "the scores are not divided by sqrt(d)": unscaled,
        "u is not divided by zeta at the end": lambda q, b: run(q, b, divide=False),
        "zeta and u keep their old scale when the maximum changes: multiply both":
            lambda q, b: run(q, b, old_zeta=False, old_u=False),
        "zeta keeps its old scale when the maximum changes":
            lambda q, b: run(q, b, old_zeta=False),
        "u keeps its old scale when the maximum changes":
            lambda q, b: run(q, b, old_u=False),
        "each block has its own maximum, so its terms can't be added to the others'":
            own_maximum,
        "the mean of the blocks' results gives every block the same weight":
            mean_of_blocks,
        "only the last block is in the result": last_only,
    })  # fmt: skip
