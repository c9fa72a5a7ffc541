"""The exercises of 3.4, feed-forward and the block around it."""

from __future__ import annotations

import numpy as np

from gptbook.exercises import check, random
from gptbook.layers import feed_forward, gelu, layer_norm, linear


def rms_norm(answer):
    """rms_norm(x, gain, epsilon=1e-5): (T, C), (C,) -> (T, C)."""

    def divided(root):
        return lambda x, gain, epsilon=1e-5: x / root(x, epsilon) * gain

    def mean_square(x, axis=-1):
        return (x * x).mean(axis=axis, keepdims=True)

    reference = divided(lambda x, e: np.sqrt(mean_square(x) + e))

    def by_columns(x, gain, epsilon=1e-5):  # without keepdims, where NumPy lets it
        if len(x) not in (1, x.shape[1]):
            return np.full(x.shape, np.nan)
        return x / np.sqrt(mean_square(x)[:, 0] + epsilon) * gain

    def no_gain(x, gain, epsilon=1e-5):
        return reference(x, 1, epsilon)

    def centred(x, gain, epsilon=1e-5):
        return layer_norm(x, gain, 0, epsilon)

    def other_epsilon(x, gain, epsilon=1e-5):
        return reference(x, gain)

    cases = [
        (np.array([[3.0, 4.0]]), np.ones(2)),
        (random(1, 6) + 1, np.ones(6)),
        (random(4, 4), random(4)),
        (random(5, 8), random(8)),
        (random(3, 6, scale=0.002), np.ones(6)),
        (random(3, 6), np.ones(6), 0.5),
        (np.zeros((2, 4)), np.ones(4)),
    ]
    return check(answer, "rms_norm", reference, cases, {
        "the mean was subtracted: that is LayerNorm": centred,
        "the root is missing: it divides by the mean square itself":
            divided(lambda x, e: mean_square(x) + e),
        "it takes the sum of the squares; take their mean":
            divided(lambda x, e: np.sqrt((x * x).sum(axis=-1, keepdims=True) + e)),
        "the mean is taken over the tokens (axis 0); take it over the width":
            divided(lambda x, e: np.sqrt(mean_square(x, axis=0) + e)),
        "the mean is taken over all of x; take it row by row":
            divided(lambda x, e: np.sqrt((x * x).mean() + e)),
        "columns are divided in place of rows: keepdims=True": by_columns,
        "the gain is missing": no_gain,
        "epsilon stands outside the root; add it to the mean square":
            divided(lambda x, e: np.sqrt(mean_square(x)) + e),
        "epsilon is always 1e-5; use the argument": other_epsilon,
        "epsilon is missing": divided(lambda x, e: np.sqrt(mean_square(x))),
    })  # fmt: skip


def contribution(answer):
    """contribution(x, m, w_1, b_1, w_2): what unit m writes, (T, C)."""

    def unit(act=gelu, bias=1, detector=None, writer=None):
        def answer(x, m, w_1, b_1, w_2):
            detect = w_1[:, m] if detector is None else detector(w_1, m)
            write = w_2[m] if writer is None else writer(w_2, m)
            return np.outer(act(x @ detect + bias * b_1[m]), write)

        return answer

    reference = unit()

    def all_units(x, m, w_1, b_1, w_2):
        return feed_forward(x, w_1, b_1, w_2, 0)

    def first_token(x, m, w_1, b_1, w_2):
        return np.broadcast_to(reference(x[:1], m, w_1, b_1, w_2), x.shape)

    def row_of(w_1, m):  # where the matrix is square it has such a row
        return w_1[m] if w_1.shape[0] == w_1.shape[1] else np.full(len(w_1), np.nan)

    def column_of(w_2, m):
        return w_2[:, m] if w_2.shape[0] == w_2.shape[1] else np.full(w_2.shape[1], 0)

    cases = [
        (random(T, C), m, random(C, n), random(n), random(n, C))
        for T, C, n, m in [(9, 3, 3, 1), (1, 2, 4, 0), (5, 4, 16, 7), (2, 4, 16, 15)]
    ]
    return check(answer, "contribution", reference, cases, {
        "GELU is missing": unit(lambda h: h),
        "it uses ReLU; take GELU": unit(lambda h: np.maximum(h, 0)),
        "the bias of the unit is missing": unit(bias=0),
        "that is what all units write together; take unit m alone": all_units,
        "the unit reads row m of w_1; it is column m": unit(detector=row_of),
        "the unit writes column m of w_2; it is row m": unit(writer=column_of),
        "every token gets what the first token gets": first_token,
    })  # fmt: skip


def block_parameters(answer):
    """block_parameters(C, ratio=4): a whole number."""

    def count(attn_bias=1, fed_bias=1, norms=4, attn=4, fed=2):
        def answer(C, ratio=4):
            biases = attn_bias * 4 * C + fed_bias * (ratio * C + C)
            return attn * C * C + fed * C * ratio * C + biases + norms * C

        return answer

    reference = count()

    def always_four(C, ratio=4):
        return reference(C)

    cases = [(5, 8), (1,), (1, 3), (2,), (3, 2), (128,), (768,)]
    return check(answer, "block_parameters", reference, cases, {
        "4C numbers are missing: gain and bias of both norms, or attention's biases":
            count(norms=0),
        "there are two norms, ln_1 and ln_2": count(norms=2),
        "the biases of the linear layers are missing": count(0, 0),
        "the biases of the feed-forward layer are missing": count(fed_bias=0),
        "c_proj of attention is missing": count(attn=3, attn_bias=0.75),
        "one of the two matrices of the feed-forward layer is missing": count(fed=1),
        "the ratio is always 4; use the argument": always_four,
    })  # fmt: skip


def ordered_block(answer):
    """ordered_block(x, attn, mlp, ln_1, ln_2, order): (T, C) -> (T, C)."""

    def pre(x, attn, mlp, ln_1, ln_2):
        x = x + attn(ln_1(x))
        return x + mlp(ln_2(x))

    def post(x, attn, mlp, ln_1, ln_2):
        x = ln_1(x + attn(x))
        return ln_2(x + mlp(x))

    def parallel(x, attn, mlp, ln_1, ln_2):
        return x + attn(ln_1(x)) + mlp(ln_1(x))

    right = {"pre": pre, "post": post, "parallel": parallel}

    def by_order(**changed):
        return lambda x, a, m, n, k, order: (right | changed)[order](x, a, m, n, k)

    def always(name):
        return lambda *parts_and_order: right[name](*parts_and_order[:5])

    def no_sum(x, attn, mlp, ln_1, ln_2):
        return mlp(ln_2(attn(ln_1(x))))

    def normed_sum(x, attn, mlp, ln_1, ln_2):
        x = ln_1(x) + attn(ln_1(x))
        return ln_2(x) + mlp(ln_2(x))

    def branch_normed(x, attn, mlp, ln_1, ln_2):
        x = x + ln_1(attn(x))
        return x + ln_2(mlp(x))

    T, C = 5, 4
    turn, gate = random(C, C), random(C, C, seed=1)

    def attn(x):
        return np.tril(np.ones((len(x), len(x)))) @ x @ turn / len(x)

    def mlp(x):
        return gelu(x @ gate)

    def ln_1(x):
        return layer_norm(x, 1.5, 0.5)

    def ln_2(x):
        return layer_norm(x, 0.5, -0.25)

    def zero(x):
        return 0 * x

    def same(x):
        return x

    cases = [
        (random(T, C), *parts, order)
        for parts in ((attn, zero, same, same), (zero, mlp, same, same),
                      (attn, mlp, ln_1, ln_2))
        for order in right
    ]  # fmt: skip
    return check(answer, "ordered_block", by_order(), cases, {
        "it is pre-LN whatever the order": always("pre"),
        "it is post-LN whatever the order": always("post"),
        "it is parallel whatever the order": always("parallel"),
        "pre: the residual sums are missing": by_order(pre=no_sum),
        "pre: x itself stays in the sum, not the normed x": by_order(pre=normed_sum),
        "pre: both halves use ln_1; the second has ln_2":
            by_order(pre=lambda x, a, m, n, k: pre(x, a, m, n, n)),
        "post: the norm comes after the sum, not on the branch":
            by_order(post=branch_normed),
        "post: the residual sums are missing":
            by_order(post=lambda x, a, m, n, k: k(m(n(a(x))))),
        "post: ln_1 follows attention, ln_2 the feed-forward layer":
            by_order(post=lambda x, a, m, n, k: post(x, a, m, k, n)),
        "parallel: both branches read ln_1(x)":
            by_order(parallel=lambda x, a, m, n, k: x + a(n(x)) + m(k(x))),
        "parallel: mlp reads the same as attn, not what attn has written":
            by_order(parallel=lambda x, a, m, n, k: pre(x, a, m, n, n)),
        "parallel: the branches read ln_1(x), not x":
            by_order(parallel=lambda x, a, m, n, k: x + a(x) + m(x)),
        "parallel: x itself stays in the sum":
            by_order(parallel=lambda x, a, m, n, k: a(n(x)) + m(n(x))),
    })  # fmt: skip


def fold(answer):
    """fold(gain, bias, weight, layer_bias): a weight (C, n) and a bias (n,).

    Judged by what they give right after a norm, for other weights may do the same.
    """
    x = random(7, 6, seed=3)

    def applied(fold):
        def outputs(gain, bias, weight, layer_bias):
            pair = fold(gain, bias, weight, layer_bias)
            if not isinstance(pair, tuple | list) or len(pair) != 2:
                return None if pair is None else (pair,)  # the check says what is wrong
            new_weight, new_bias = map(np.asarray, pair)
            if new_weight.shape != weight.shape or new_bias.shape != layer_bias.shape:
                return new_weight, new_bias
            normed = layer_norm(x[:, : len(gain)], 1, 0)
            return linear(normed, new_weight, 0), linear(0 * normed, weight, new_bias)

        return outputs

    def variant(weight=lambda g, w: g[:, None] * w, bias=lambda g, b, w, c: c + b @ w):
        return applied(lambda g, b, w, c: (weight(g, w), bias(g, b, w, c)))

    def by_columns(g, w):
        return g * w if len(g) == w.shape[1] else w

    reference = variant()
    cases = [
        (random(C), random(C, seed=1), random(C, n), random(n, seed=2))
        for C, n in ((2, 1), (3, 3), (4, 6), (6, 2))
    ]
    cases.insert(0, (random(3), np.zeros(3), random(3, 3), random(3, seed=2)))
    judged = applied(answer) if callable(answer) else answer
    return check(judged, "fold", reference, cases, {
        "the gain scales columns; number c belongs to row c of the weight":
            variant(by_columns),
        "the weight is unchanged: the gain belongs into it":
            variant(lambda g, w: w),
        "the bias of the norm is missing": variant(bias=lambda g, b, w, c: c),
        "the layer's own bias is missing": variant(bias=lambda g, b, w, c: b @ w),
        "the norm's bias is not multiplied by the gain; it comes after it":
            variant(bias=lambda g, b, w, c: c + (g * b) @ w),
    })  # fmt: skip
