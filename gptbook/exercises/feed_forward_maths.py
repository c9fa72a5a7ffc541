"""The exercises of 4.4, the mathematics of the feed-forward layer."""

from __future__ import annotations

import numpy as np

from gptbook.exercises import check, random


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def silu_slope(x):
    s = sigmoid(x)
    return s + x * s * (1 - s)


def relu_backward(answer):
    """relu_backward(grad, x): arrays of one shape -> the gradient by x."""

    def reference(grad, x):
        return grad * (x > 0)

    x = random(4, 5)
    x[1, 2], x[3] = 0, [0, 1, -1, 2, 0]
    cases = [
        (np.array([2.0, -3.0, 5.0, -7.0]), np.array([1.0, 2.0, -1.0, -2.0])),
        (random(3, 4, seed=1), random(3, 4)),
        (random(4, 5, seed=1), x),
        (random(6, seed=1), random(6)),
    ]
    return check(answer, "relu_backward", reference, cases, {
        "that is ReLU of x itself; the gradient is grad times its slope":
            lambda grad, x: np.maximum(x, 0),
        "that is ReLU of grad; it is x that opens the gate":
            lambda grad, x: np.maximum(grad, 0),
        "that is the slope alone; multiply it by grad":
            lambda grad, x: (x > 0) * 1.0,
        "grad is multiplied by ReLU(x); multiply by its slope, 0 or 1":
            lambda grad, x: grad * np.maximum(x, 0),
        "the gradient passes unchanged: where x is below 0 it must be 0":
            lambda grad, x: grad,
        "the gate is the wrong way round": lambda grad, x: grad * (x < 0),
        "negative x let the gradient through, with its sign turned: that is |x|":
            lambda grad, x: grad * np.sign(x),
        "where x is exactly 0, take the slope 0": lambda grad, x: grad * (x >= 0),
    })  # fmt: skip


def silu_backward(answer):
    """silu_backward(grad, x): arrays of one shape -> the gradient by x."""

    def reference(grad, x):
        return grad * silu_slope(x)

    def gate(x):
        return sigmoid(x) * (1 - sigmoid(x))

    cases = [
        (np.array([1.0, 1.0, -2.0]), np.array([0.0, 1.0, -3.0])),
        (random(3, 4, seed=1), random(3, 4, scale=2.0)),
        (random(5, seed=1), random(5, scale=4.0)),
    ]
    return check(answer, "silu_backward", reference, cases, {
        "that is the slope alone; multiply it by grad": lambda grad, x: silu_slope(x),
        "the term x times the slope of the sigmoid is missing":
            lambda grad, x: grad * sigmoid(x),
        "the term sigmoid(x) is missing": lambda grad, x: grad * x * gate(x),
        "that is the slope of the sigmoid; SiLU is x times the sigmoid":
            lambda grad, x: grad * gate(x),
        "the second term lacks its factor x":
            lambda grad, x: grad * (sigmoid(x) + gate(x)),
        "that is SiLU itself, not its slope": lambda grad, x: grad * x * sigmoid(x),
        "the slope of the sigmoid is s * (1 - s), not s":
            lambda grad, x: grad * (sigmoid(x) + x * sigmoid(x)),
        "the slope of the sigmoid is s * (1 - s), not 1 - s":
            lambda grad, x: grad * (sigmoid(x) + x * (1 - sigmoid(x))),
    })  # fmt: skip


def forward_flops(answer):
    """forward_flops(T, C, n_layer, vocab_size): a whole number."""

    def count(fed=16, attended=8, square=4, logits=2, scale=1):
        def answer(T, C, n_layer, vocab_size):
            block = (fed + attended) * T * C * C + square * T * T * C
            return scale * (n_layer * block + logits * T * C * vocab_size)

        return answer

    reference = count()

    def one_layer(T, C, n_layer, vocab_size):
        return reference(T, C, 1, vocab_size)

    def one_token(T, C, n_layer, vocab_size):
        return reference(T, C, n_layer, vocab_size) / T

    def last_only(T, C, n_layer, vocab_size):
        return count(logits=0)(T, C, n_layer, vocab_size) + 2 * C * vocab_size

    cases = [
        (3, 5, 2, 7),
        (1, 1, 1, 1),
        (7, 2, 3, 5),
        (2, 3, 1, 1),
        (17, 128, 4, 1024),
        (1024, 768, 12, 50257),
    ]
    return check(answer, "forward_flops", reference, cases, {
        "a multiplication with its addition is 2 FLOPs; you have counted it as 1":
            count(scale=0.5),
        "that is forward and backward together": count(scale=3),
        "the T^2 part of attention is missing": count(square=0),
        "the T^2 part has two products, scores and mix": count(square=2),
        "the logits are missing": count(logits=0),
        "the logits are computed at every position, not only at the last": last_only,
        "a multiplication with its addition is 2 FLOPs in the logits too":
            count(logits=1),
        "the feed-forward layers are missing": count(fed=0),
        "8TC^2 are missing: a matrix of the feed-forward layer, or attention's four":
            count(fed=8),
        "c_proj of attention is missing": count(attended=6),
        "that is for one block: multiply by n_layer": one_layer,
        "that is for one token of the T": one_token,
    })  # fmt: skip


def through_points(answer):
    """through_points(x, y): (F + 1,) each -> weights (F,) and the constant."""

    def slopes(x, y):
        return np.diff(y) / np.diff(x)

    def reference(x, y):
        return np.diff(slopes(x, y), prepend=0.0), y[0]

    def no_first(x, y):
        weights = reference(x, y)[0]
        weights[0] = 0
        return weights, y[0]

    cases = [
        (np.array([0.0, 1.0, 3.0]), np.array([1.0, 3.0, 2.5])),
        (np.array([-1.0, 2.0]), np.array([4.0, -2.0])),
        (np.sort(random(6)), random(6, seed=1)),
        (np.linspace(0, 1, 9), random(9)),
    ]
    return check(answer, "through_points", reference, cases, {
        "these are the slopes; a unit adds the change of slope at its point":
            lambda x, y: (slopes(x, y), y[0]),
        "the constant is the height at the first point, where all units are 0":
            lambda x, y: (reference(x, y)[0], 0.0),
        "the first unit has to make the first slope": no_first,
        "the steps of x are not all 1: divide by them":
            lambda x, y: (np.diff(np.diff(y), prepend=0.0), y[0]),
        "slopes are changes of y by changes of x, not the other way":
            lambda x, y: (np.diff(np.diff(x) / np.diff(y), prepend=0.0), y[0]),
        "the constant is the height at the first point, not the mean":
            lambda x, y: (reference(x, y)[0], y.mean()),
    })  # fmt: skip


def gate_backward(answer):
    """gate_backward(grad, h_gate, h): (T, F) each -> the gradients by both."""

    def gradients(by_a=silu_slope, by_b=lambda a: a * sigmoid(a)):
        return lambda grad, a, b: (grad * b * by_a(a), grad * by_b(a))

    reference = gradients()

    def swapped(grad, a, b):
        return reference(grad, a, b)[::-1]

    def no_other(grad, a, b):
        return grad * silu_slope(a), grad * a * sigmoid(a)

    def slope_alone(grad, a, b):
        return b * silu_slope(a), a * sigmoid(a)

    cases = [
        (random(T, F, seed=2), random(T, F, scale=2.0), random(T, F, seed=1))
        for T, F in ((1, 3), (4, 5), (2, 8))
    ]
    return check(answer, "gate_backward", reference, cases, {
        "the two gradients have changed places: first by h_gate, then by h": swapped,
        "by h_gate: the other factor h is missing": no_other,
        "grad is missing: multiply both by it": slope_alone,
        "by h_gate: the slope of SiLU is missing": gradients(by_a=lambda a: 1),
        "by h_gate: that is SiLU itself; take its slope":
            gradients(by_a=lambda a: a * sigmoid(a)),
        "by h_gate: the term h_gate times the slope of the sigmoid is missing":
            gradients(by_a=sigmoid),
        "by h: the other factor is SiLU(h_gate), not its slope":
            gradients(by_b=silu_slope),
        "by h: the other factor is SiLU(h_gate), not the sigmoid":
            gradients(by_b=sigmoid),
        "by h: the other factor is SiLU(h_gate), not h_gate":
            gradients(by_b=lambda a: a),
    })  # fmt: skip
