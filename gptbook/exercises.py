"""The checks behind the exercises.

A check runs the reader's function on cases that are not shown, compares it with the
book's own, prints one line and returns True only if every case is right. An answer that
equals a known mistake is told which; any other wrong answer is shown where it differs.
"""

from __future__ import annotations

import math

import numpy as np

from gptbook.layers import attention, causal_mask, merge_heads, softmax, split_heads

_OPEN = "not written yet (it returns None)"


def _verdict(name, problem):
    print(f"{name}: {problem or 'right'}")
    return problem is None


def _check(answer, name, reference, cases, mistakes=()):
    """Compares `answer` with `reference` on each case, a tuple of arguments.

    mistakes: {what to say: a function that makes this mistake}.
    """
    if not callable(answer):
        return _verdict(name, f"give the function itself, not {type(answer).__name__}")
    for case in cases:
        given = [np.copy(a) if isinstance(a, np.ndarray) else a for a in case]
        try:
            with np.errstate(all="ignore"):  # the verdict says it better
                got = answer(*given)
        except Exception as error:  # whatever it is, the reader wants to know
            first_line = str(error).split("\n")[0]
            return _verdict(name, f"raises {type(error).__name__}: {first_line}")
        problem = _problem(got, reference, case, mistakes)
        if problem:
            return _verdict(name, problem)
        for a, b in zip(given, case, strict=True):
            if isinstance(a, np.ndarray) and not np.array_equal(a, b):
                return _verdict(name, "it changes its arguments; work on copies")
    return _verdict(name, None)


def _problem(got, reference, case, mistakes):
    if got is None:
        return _OPEN
    expected = reference(*case)
    try:
        got = np.asarray(got)
    except ValueError:
        return "it returns several arrays, or rows of unequal length: return one array"
    if not np.issubdtype(got.dtype, np.number):
        return f"it should return an array of numbers, not of {got.dtype}"
    if got.shape != expected.shape:
        return f"the shape is {got.shape}, and {expected.shape} is right"
    if _same(got, expected):
        return None
    for message, wrong in dict(mistakes).items():
        with np.errstate(all="ignore"):
            if _same(got, wrong(*case)):
                return message
    if np.isnan(got).any():
        return "there is a nan: does exp overflow, or is 0 divided by 0 or times inf?"
    place = tuple(int(i) for i in np.argwhere(~np.isclose(got, expected, atol=1e-5))[0])
    return (
        f"entry {place} of {got.shape} is {got[place]:.4f}, and {expected[place]:.4f} "
        "is right"
    )


def _same(a, b):
    return a.shape == b.shape and np.allclose(a, b, rtol=1e-4, atol=1e-5)


def _random(*shape, scale=1.0, seed=0):
    return np.random.default_rng([seed, *shape]).normal(0, scale, shape)


# 3.3 Self-attention


def attend(answer):
    """attend(query, key, value): one query (d,), keys and values (T, d) -> (d,)."""

    def reference(q, k, v):
        return attention(q[None], k, v, 0.0)[0][0]

    def plain(weigh):
        return lambda q, k, v: weigh(k @ q, q.shape[-1]) @ v

    def case(T, d, query_scale=1.0, key_scale=1.0):
        keys, values = _random(T, d, scale=key_scale), _random(T, d, seed=1)
        return _random(d, scale=query_scale), keys, values

    cases = [
        case(1, 4),  # one key: its value comes back
        case(5, 4, query_scale=0.0),  # no preference: the mean
        case(5, 4),
        case(3, 16),
        case(6, 4, query_scale=400.0, key_scale=400.0),
    ]
    return _check(answer, "attend", reference, cases, {
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
    return _check(answer, "sliding_mask", reference, cases, {
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
        (_random(T, C), _random(C, 3 * C), _random(3 * C), n_head)
        for T, C, n_head in [(1, 4, 2), (5, 4, 1), (5, 8, 2), (7, 12, 3)]
    ]
    return _check(answer, "multi_head", reference, cases, {
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
        (_random(d), _random(d, seed=1), _random(d, seed=2),
         _random(T, d), _random(T, d, seed=1))
        for T, d in ((0, 4), (1, 4), (5, 4), (9, 8))
    ]  # fmt: skip
    return _check(answer, "next_output", reference, cases, {
        "the newest token must see itself too: append its key and value":
            old_only,
        "keys and values are not in the same order: append the new one to both": first,
        "the scores are not divided by sqrt(d)": unscaled,
    })  # fmt: skip
