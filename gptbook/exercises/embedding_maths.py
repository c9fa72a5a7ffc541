"""The exercises of 4.1, the mathematics of the embedding."""

from __future__ import annotations

import numpy as np

from gptbook.exercises import check, random


def central_difference(answer):
    """central_difference(f, x, epsilon): the slope of f at x, a number."""

    def cube(x):
        return x**3

    def reference(f, x, epsilon):
        return (f(x + epsilon) - f(x - epsilon)) / (2 * epsilon)

    cases = [
        (cube, 2.0, 0.5),
        (np.sin, 1.0, 0.3),
        (np.cos, 1.0, 0.3),  # it falls
        (lambda x: 5 * x + 1, -2.0, 0.1),  # a line: exact with any step
        (np.exp, 0.0, 1e-4),
    ]
    return check(answer, "central_difference", reference, cases, {
        "the two points are 2 epsilon apart, not epsilon":
            lambda f, x, e: (f(x + e) - f(x - e)) / e,
        "a / 2 * epsilon multiplies by epsilon: put 2 * epsilon in brackets":
            lambda f, x, e: (f(x + e) - f(x - e)) / 2 * e,
        "that is the step to the right alone": lambda f, x, e: (f(x + e) - f(x)) / e,
        "that is the step to the left alone": lambda f, x, e: (f(x) - f(x - e)) / e,
        "a falling curve has a negative slope: keep the sign":
            lambda f, x, e: abs(reference(f, x, e)),
        "the sign is wrong: right minus left":
            lambda f, x, e: (f(x - e) - f(x + e)) / (2 * e),
        "the step is another one: use the epsilon that is given":
            lambda f, x, e: reference(f, x, 1e-5),
    })  # fmt: skip


def torch_linear_backward(answer):
    """torch_linear_backward(grad, x, weight (out, in)): by x, weight and bias."""

    def reference(grad, x, weight):
        return grad @ weight, grad.T @ x, grad.sum(axis=0)

    def variant(by_x=None, by_weight=None, by_bias=None):
        def wrong(grad, x, weight):
            right = reference(grad, x, weight)
            parts = zip((by_x, by_weight, by_bias), right, strict=True)
            try:
                return tuple(f(grad, x, weight) if f else r for f, r in parts)
            except ValueError:  # the shapes don't fit
                return right

        return wrong

    cases = [
        (random(T, n), random(T, m, seed=1), random(n, m, seed=2))
        for T, m, n in [(3, 3, 3), (5, 2, 4), (1, 3, 2)]
    ]
    return check(answer, "torch_linear_backward", reference, cases, {
        "by x: the weight is (out, in) here and needs no transpose":
            variant(by_x=lambda g, x, w: g @ w.T),
        "by weight: it is turned round; it must be (out, in) like the weight":
            variant(by_weight=lambda g, x, w: x.T @ g),
        "by bias: every row adds to it, so take the sum, not the mean":
            variant(by_bias=lambda g, x, w: g.mean(axis=0)),
        "by bias: sum over the rows, not along them":
            variant(by_bias=lambda g, x, w: g.sum(axis=1)),
        "by weight: the sum over the rows, not their mean":
            variant(by_weight=lambda g, x, w: g.T @ x / len(x)),
        "these are the rules of y = x @ weight + bias; here it is weight.T":
            variant(lambda g, x, w: g @ w.T, lambda g, x, w: x.T @ g),
    })  # fmt: skip


def lookup_gradient(answer):
    """lookup_gradient(grad, ids, n_tokens): (T, C), (T,) -> (n_tokens, C)."""

    def reference(grad, ids, n_tokens):
        return np.eye(n_tokens)[ids].T @ grad

    def last(grad, ids, n_tokens):
        table = np.zeros((n_tokens, grad.shape[1]))
        table[ids] += grad
        return table

    def first(grad, ids, n_tokens):
        return last(grad[::-1], ids[::-1], n_tokens)

    def mean(grad, ids, n_tokens):
        times = np.bincount(ids, minlength=n_tokens)[:, None]
        return reference(grad, ids, n_tokens) / np.maximum(times, 1)

    def everywhere(grad, ids, n_tokens):
        return np.tile(grad.sum(axis=0), (n_tokens, 1))

    def by_position(grad, ids, n_tokens):
        return reference(grad, np.arange(len(ids)) % n_tokens, n_tokens)

    cases = [
        (random(3, 2), np.array([4, 0, 2]), 5),
        (random(4, 3), np.array([1, 3, 1, 1]), 4),
        (random(1, 2), np.array([0]), 3),
        (random(6, 2), np.array([2, 2, 0, 0, 2, 1]), 3),
    ]
    return check(answer, "lookup_gradient", reference, cases, {
        "of a token that occurs several times only the last row was kept; add them":
            last,
        "of a token that occurs several times only the first row was kept; add them":
            first,
        "of a token that occurs several times take the sum, not the mean": mean,
        "a row of the table receives only the rows of its own token": everywhere,
        "the rows went to their positions; they belong to their tokens": by_position,
    })  # fmt: skip


def tied_gradient(answer):
    """tied_gradient(by_logits (T, n), ids (T,), table (n, C)) -> (n, C)."""

    def head(by_logits, ids, table):
        return by_logits.T @ table[ids]

    def lookup(by_logits, ids, table):
        return np.eye(len(table))[ids].T @ (by_logits @ table)

    def reference(*args):
        return head(*args) + lookup(*args)

    def lossy(by_logits, ids, table):
        by_table = head(by_logits, ids, table)
        by_table[ids] += by_logits @ table
        return by_table

    def same_x(by_logits, ids, table):
        return head(by_logits, ids, table) + np.eye(len(table))[ids].T @ table[ids]

    cases = [
        (random(len(ids), n), np.array(ids), random(n, C, seed=1))
        for ids, n, C in [([2, 0], 4, 3), ([1, 1, 0, 1], 3, 2), ([0], 2, 5)]
    ]
    return check(answer, "tied_gradient", reference, cases, {
        "that is the head's part alone: the look-up adds another": head,
        "that is the look-up's part alone: the head adds another": lookup,
        "an id occurs twice, and += kept only one of its rows": lossy,
        "the two parts are added, not averaged": lambda *args: reference(*args) / 2,
        "the two parts are added, not subtracted":
            lambda *args: head(*args) - lookup(*args),
        "the look-up passes on the gradient by x, not x itself": same_x,
    })  # fmt: skip


def directions_needed(answer):
    """directions_needed(table, share) -> a whole number of directions."""

    def count(table, share, centre=True, power=2):
        table = table - table.mean(axis=0) * centre
        held = np.cumsum(np.linalg.svd(table, compute_uv=False) ** power)
        return int(np.argmax(held / held[-1] >= share)) + 1

    def cross(*lengths):
        """Two rows along each axis, at plus and minus a length."""
        return np.concatenate([np.diag(lengths), -np.diag(lengths)])

    cases = [
        (cross(3.0, 2.0, 1.0), 0.95),  # 9, 4 and 1 of 14
        (cross(3.0, 2.0, 1.0), 0.6),
        (cross(3.0, 2.0, 1.0), 0.9),
        (cross(1.0, 3.0, 2.0), 0.95),
        (cross(2.0, 2.0, 2.0, 2.0), 0.6),
        (cross(3.0, 2.0, 1.0) + 10, 0.9),  # far from 0
        (cross(3.0, 2.0, 1.0) + np.array([9.0, -9.0, 0.0]), 0.9),
        (random(40, 6), 0.8),
    ]
    return check(answer, "directions_needed", count, cases, {
        "variance is the square of a singular value":
            lambda table, share: count(table, share, power=1),
        "subtract the mean row first": lambda table, share: count(table, share, False),
        "that is one too few: places count from 0, directions from 1":
            lambda table, share: count(table, share) - 1,
        "that is one too many": lambda table, share: count(table, share) + 1,
        "that is how many it takes for the other part, 1 - share":
            lambda table, share: count(table, 1 - share),
    })  # fmt: skip
