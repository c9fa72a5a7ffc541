"""The exercises of 3.3, self-attention."""

from __future__ import annotations

import math

import numpy as np

from gptbook.exercises import check, random
from gptbook.layers import attention, causal_mask, merge_heads, softmax, split_heads


def attend(answer):
    """attend(query, key, value): one query (d,), keys and values (T, d) -> (d,)."""

    def reference(q, k, v):
        return attention(q[None], k, v, 0.0)[0][0]

    def plain(weigh):
        return lambda q, k, v: weigh(k @ q, q.shape[-1]) @ v

    def case(T, d, query_scale=1.0, key_scale=1.0):
        keys, values = random(T, d, scale=key_scale), random(T, d, seed=1)
        return random(d, scale=query_scale), keys, values

    cases = [
        case(1, 4),  # one key: its value comes back
        case(5, 4, query_scale=0.0),  # no preference: the mean
        case(5, 4),
        case(3, 16),
        case(6, 4, query_scale=400.0, key_scale=400.0),
    ]
    return check(answer, "attend", reference, cases, {
        "the scores are not divided by sqrt(d)": plain(lambda s, d: softmax(s)),
        "the scores are divided by d, not by sqrt(d)":
            plain(lambda s, d: softmax(s / d)),
        "the scores are used as weights: softmax is missing":
            plain(lambda s, d: s / math.sqrt(d)),
        "exp is there, but the weights are not divided by their sum":
            plain(lambda s, d: np.exp(s / math.sqrt(d))),
        "the keys are mixed, not the values":
            lambda q, k, v: softmax(k @ q / math.sqrt(len(q))) @ k,
        "the query is compared with the values, not with the keys":
            lambda q, k, v: softmax(v @ q / math.sqrt(len(q))) @ v,
        "exp overflows: subtract the largest score first":
            plain(lambda s, d: np.exp(s / math.sqrt(d))
                  / np.exp(s / math.sqrt(d)).sum()),
    })  # fmt: skip


def sliding_mask(answer):
    """sliding_mask(T, window) -> (T, T): a token sees itself and window - 1 before."""

    def reference(T, window):
        i, j = np.indices((T, T))
        return np.where((j <= i) & (j > i - window), 0.0, -np.inf)

    def mask(seen):
        def wrong(T, window):
            i, j = np.indices((T, T))
            return np.where(seen(i, j, window), 0.0, -np.inf)

        return wrong

    def ones(T, window):
        return np.where(reference(T, window) == 0, 1.0, 0.0)

    cases = [(4, 1), (5, 2), (6, 3), (8, 5), (3, 5), (1, 1)]
    return check(answer, "sliding_mask", reference, cases, {
        "the future is seen: a key to the right of the query must be -inf":
            mask(lambda i, j, w: j > i - w),
        "nothing is cut off on the left: that is the plain causal mask":
            mask(lambda i, j, w: j <= i),
        "a token sees window tokens before itself; the window counts itself":
            mask(lambda i, j, w: (j <= i) & (j >= i - w)),
        "a token does not see itself":
            mask(lambda i, j, w: (j < i) & (j >= i - w)),
        "it holds 1 and 0; as a term of the scores it must hold 0 and -inf": ones,
        "the -inf and the 0 have changed places":
            lambda T, w: np.where(reference(T, w) == 0, -np.inf, 0.0),
    })  # fmt: skip


def multi_head(answer):
    """multi_head(x, weight, bias, n_head): (T, C) -> the merged heads (T, C)."""

    def mix(q, k, v):
        return attention(q, k, v, causal_mask(q.shape[-2], k.shape[-2], q.dtype))[0]

    def variant(split=split_heads, merge=merge_heads, mix=mix, order="012"):
        def answer(x, weight, bias, n_head):
            parts = np.split(x @ weight + bias, 3, axis=-1)
            return merge(mix(*(split(parts[int(i)], n_head) for i in order)))

        return answer

    reference = variant()

    def weighed(weigh):
        """A head whose weights come from the unmasked scores in another way."""
        def mix(q, k, v):
            return weigh(q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1])) @ v

        return mix

    def wide_scale(q, k, v):  # by the width of the model: n_head times that of a head
        return mix(q / math.sqrt(q.shape[-3]), k, v)

    def cut(x, n_head):  # a reshape in place of a swap of axes
        return x.reshape(n_head, len(x), -1)

    def glue(x):
        return x.reshape(x.shape[1], -1)

    def no_bias(x, weight, bias, n_head):
        return reference(x, weight, 0 * bias, n_head)

    cases = [
        (random(T, C), random(C, 3 * C), random(3 * C), n_head)
        for T, C, n_head in [(1, 4, 2), (5, 4, 1), (5, 8, 2), (7, 12, 3)]
    ]
    return check(answer, "multi_head", reference, cases, {
        "the bias is missing": no_bias,
        "the mask is missing: a token sees the future": variant(mix=weighed(softmax)),
        "the scores of the future are 0; they must be -inf":
            variant(mix=weighed(lambda s: softmax(np.tril(s)))),
        "the mask comes after the softmax; add it to the scores":
            variant(mix=weighed(lambda s: np.tril(softmax(s)))),
        "the scores are divided by the root of C; take the width of a head":
            variant(mix=wide_scale),
        "all heads were computed as one: split q, k and v first":
            lambda x, w, b, n: reference(x, w, b, 1),
        "the heads were cut with a reshape alone: T and the heads must swap axes":
            variant(split=cut),
        "the heads were cut and glued with reshapes alone: axes must be swapped":
            variant(split=cut, merge=glue),
        "the heads were merged with a reshape alone: swap the axes back first":
            variant(merge=glue),
        "query and key have changed places: they come in the order q, k, v":
            variant(order="102"),
        "the order is query, key, value, and the value was taken elsewhere":
            variant(order="021"),
    })  # fmt: skip


def next_output(answer):
    """next_output(query, key, value, old_keys, old_values) -> (d,).

    The newest token's query, key and value (d,), and the keys and values of the T
    tokens before it (T, d).
    """

    def one_row(q, keys, values):
        return attention(q[None], keys, values, 0.0)[0][0] if len(keys) else 0 * q

    def reference(q, k, v, keys, values):
        return one_row(q, np.vstack([keys, k]), np.vstack([values, v]))

    def old_only(q, k, v, keys, values):
        return one_row(q, keys, values)

    def first(q, k, v, keys, values):
        return one_row(q, np.vstack([k, keys]), np.vstack([values, v]))

    def unscaled(q, k, v, keys, values):
        return softmax(np.vstack([keys, k]) @ q) @ np.vstack([values, v])

    cases = [
        (random(d), random(d, seed=1), random(d, seed=2),
         random(T, d), random(T, d, seed=1))
        for T, d in ((0, 4), (1, 4), (5, 4), (9, 8))
    ]  # fmt: skip
    return check(answer, "next_output", reference, cases, {
        "the newest token must see itself too: append its key and value":
            old_only,
        "keys and values are not in the same order: append the new one to both": first,
        "the scores are not divided by sqrt(d)": unscaled,
    })  # fmt: skip
