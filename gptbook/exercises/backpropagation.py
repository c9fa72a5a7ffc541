"""The exercises of 4.5, backpropagation."""

from __future__ import annotations

import numpy as np

from gptbook.exercises import check, random
from gptbook.layers import cross_entropy_backward, layer_norm_backward, softmax


def one_hot(targets, V):
    return np.eye(V)[targets]


def loss_gradient(answer):
    """loss_gradient(logits, targets): (N, V), (N,) -> (N, V), of the mean loss."""

    def reference(logits, targets):
        return cross_entropy_backward(logits, targets)

    def case(N, V, scale=2.0):
        targets = np.random.default_rng([N, V]).integers(0, V, N)
        return random(N, V, scale=scale), targets

    cases = [
        (np.array([[2.0, 1.0, 0.0]]), np.array([1])),
        case(4, 3),
        (random(3, 5), np.array([4, 4, 4])),  # one token, three times
        case(6, 7, scale=500.0),
        (random(3, 4) - [[0], [2000], [0]], np.array([1, 0, 2])),  # a row far below
    ]

    def naive(logits, targets):
        p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
        return (p - one_hot(targets, logits.shape[-1])) / len(targets)

    return check(answer, "loss_gradient", reference, cases, {
        "it is the gradient of the sum; the mean divides by N":
            lambda z, y: reference(z, y) * len(y),
        "the sign is wrong: what the model said, less what came":
            lambda z, y: -reference(z, y),
        "the target is not subtracted": lambda z, y: softmax(z) / len(y),
        "only the targets have a gradient; the other tokens have one too":
            lambda z, y: reference(z, y) * one_hot(y, z.shape[-1]),
        "it is divided by all entries; divide by the number of rows":
            lambda z, y: reference(z, y) / z.shape[-1],
        "the softmax is missing": lambda z, y: (z - one_hot(y, z.shape[-1])) / len(y),
        "1 was subtracted from whole columns: take one entry in each row":
            lambda z, y: (softmax(z) - one_hot(y, z.shape[-1]).max(axis=0)) / len(y),
        "the softmax goes along the wrong axis; take the last":
            lambda z, y: (softmax(z.T).T - one_hot(y, z.shape[-1])) / len(y),
        "exp overflows: subtract the largest logit first": naive,
    })  # fmt: skip


def norm_gradient(answer):
    """norm_gradient(grad, x): (N, C) both -> (N, C), without gain and bias."""

    def reference(grad, x):
        return layer_norm_backward(grad, x, np.ones(x.shape[-1]))[0]

    def variant(mean=True, along=True, scale=True, share=True, epsilon=1e-5,
                root="row", axis=-1):  # fmt: skip
        def wrong(grad, x):
            centred = x - x.mean(axis=axis, keepdims=True)
            variance = (centred**2).mean(axis=axis, keepdims=True) + epsilon
            inverse = 1 / variance if root == "none" else 1 / np.sqrt(variance)
            normed = centred * inverse
            inner = (grad * normed).sum(axis=axis, keepdims=True)
            inner = inner / (x.shape[axis] if share else 1)
            back = grad - mean * grad.mean(axis=axis, keepdims=True)
            back = back - along * normed * inner
            return back * inverse if scale else back

        return wrong

    def unbiased(grad, x):
        centred = x - x.mean(axis=-1, keepdims=True)
        inverse = 1 / np.sqrt(x.var(axis=-1, ddof=1, keepdims=True) + 1e-5)
        normed = centred * inverse
        inner = (grad * normed).mean(axis=-1, keepdims=True)
        return inverse * (grad - grad.mean(axis=-1, keepdims=True) - normed * inner)

    def of_x(grad, x):
        """Along x, and not along the normed x."""
        inverse = 1 / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
        inner = (grad * x).mean(axis=-1, keepdims=True)
        return inverse * (grad - grad.mean(axis=-1, keepdims=True) - x * inner)

    cases = [
        (random(3, 4), random(3, 4, seed=1) * 2 + 5),
        (np.ones((2, 5)), random(2, 5)),  # the same for all: nothing is left
        (random(4, 6), random(4, 6, seed=1)),
        (random(2, 8), 0.002 * random(2, 8, seed=1)),  # so small that epsilon counts
    ]
    return check(answer, "norm_gradient", reference, cases, {
        "mean and variance depend on x too: two terms are missing":
            variant(mean=False, along=False),
        "the mean of the gradient is not taken away: x acts through the mean too":
            variant(mean=False),
        "the part along the normed x is missing: x acts through the variance too":
            variant(along=False),
        "the factor 1 / sqrt(variance + epsilon) is missing": variant(scale=False),
        "the part along the normed x is a sum; take the mean over the C numbers":
            variant(share=False),
        "it divides by the variance, not by its root": variant(root="none"),
        "epsilon is missing under the root": variant(epsilon=0.0),
        "the means go over the rows of other tokens; each row is on its own":
            variant(axis=0),
        "the variance divides by C - 1; LayerNorm divides by C": unbiased,
        "take the part along the normed x, not along x": of_x,
    })  # fmt: skip


def through_stream(answer):
    """through_stream(grad, branches): by the stream's end -> by its start."""

    def reference(grad, branches):
        for branch in reversed(branches):
            grad = grad + branch(grad)
        return grad

    def forwards(grad, branches):
        for branch in branches:
            grad = grad + branch(grad)
        return grad

    def branch_only(grad, branches):
        for branch in reversed(branches):
            grad = branch(grad)
        return grad

    def side_by_side(grad, branches):
        return grad + sum((branch(grad) for branch in branches), 0 * grad)

    def last_only(grad, branches):
        return grad + branches[-1](grad) if branches else grad

    def sums_only(grad, branches):
        return reference(grad, branches) - grad

    def twice(grad, branches):
        for branch in reversed(branches):
            grad = 2 * grad + branch(grad)
        return grad

    def product(matrix):
        return lambda grad: grad @ matrix

    def on_a_copy(grad, branches):  # who reverses the list in place does no harm
        return answer(grad, list(branches))

    a, b, c = (random(4, 4, seed=seed) for seed in (1, 2, 3))
    square = product(np.triu(np.ones((4, 4))))
    cases = [
        (random(2, 4), []),
        (random(2, 4), [product(a)]),
        (random(3, 4), [lambda grad: 0 * grad]),
        (random(3, 4), [product(a), product(b)]),
        (random(2, 4), [square, product(b), product(c), lambda grad: 0 * grad]),
    ]
    tested = on_a_copy if callable(answer) else answer
    return check(tested, "through_stream", reference, cases, {
        "the branches are gone through in the order of the forward pass": forwards,
        "the straight way is missing: the gradient goes both ways": branch_only,
        "every branch got the gradient of the end; each needs that above itself":
            side_by_side,
        "only the last branch was used": last_only,
        "the gradient of the end itself is missing": sums_only,
        "the straight way was counted twice": twice,
    })  # fmt: skip


def adamw(answer):
    """adamw(w, g, m, u, k, rate, beta1, beta2, decay) -> w, m, u."""

    def step(w, g, m, u, k, rate=0.1, beta1=0.9, beta2=0.99, decay=0.1, *, plan=""):
        m = beta1 * m + (1 - beta1) * g
        u = beta2 * u + (1 - beta2) * g * g
        m_hat, u_hat = m / (1 - beta1**k), u / (1 - beta2**k)
        if plan == "uncorrected":
            m_hat, u_hat = m, u
        if plan == "k - 1":
            m_hat, u_hat = m / (1 - beta1 ** (k + 1)), u / (1 - beta2 ** (k + 1))
        root = u_hat if plan == "no root" else np.sqrt(u_hat)
        move = m_hat / (root + (0 if plan == "no epsilon" else 1e-8))
        if plan == "epsilon in the root":
            move = m_hat / np.sqrt(u_hat + 1e-8)
        if plan == "epsilon too soon":
            move = m_hat / ((np.sqrt(u) + 1e-8) / np.sqrt(1 - beta2**k))
        if plan == "no decay":
            decay = 0.0
        if plan == "decay not times rate":
            decay = decay / rate
        if plan == "upwards":
            move = -move
        if plan == "decay up":
            decay = -decay
        new = w - rate * (move + decay * w)
        if plan == "decay of the new":
            new = (w - rate * move) * (1 - rate * decay)
        if plan == "returns corrected":
            return new, m_hat, u_hat
        return new, m, u

    def planned(plan):
        return lambda *arguments: step(*arguments, plan=plan)

    def coupled(w, g, m, u, k, rate=0.1, beta1=0.9, beta2=0.99, decay=0.1):
        return step(w, g + decay * w, m, u, k, rate, beta1, beta2, 0.0)

    def swapped(w, g, m, u, k, rate=0.1, beta1=0.9, beta2=0.99, decay=0.1):
        return step(w, g, m, u, k, rate, 1 - beta1, 1 - beta2, decay)

    def case(*shape, k, steps=0, **settings):
        w, m, u = random(*shape), np.zeros(shape), np.zeros(shape)
        for i in range(steps):
            w, m, u = step(w, random(*shape, seed=i + 5), m, u, i + 1)
        return (w, random(*shape, seed=1), m, u, k, *settings.values())

    cases = [
        case(3, k=1),
        case(2, 3, k=1, rate=0.01, beta1=0.8, beta2=0.95, decay=0.0),
        case(4, 2, k=4, steps=3),
        case(5, k=2, steps=1, rate=0.5, beta1=0.9, beta2=0.999, decay=0.3),
        (random(3), np.array([3e-8, -1e-8, 2e-8]), np.zeros(3), np.zeros(3), 1,
         0.1, 0.9, 0.999, 0.1),  # slopes so small that epsilon counts
    ]
    return check(answer, "adamw", step, cases, {
        "the bias correction is missing": planned("uncorrected"),
        "the bias correction takes k as it is; the first step is 1": planned("k - 1"),
        "divide by the root of u": planned("no root"),
        "the decay is missing": planned("no decay"),
        "the decay, too, is multiplied by the rate": planned("decay not times rate"),
        "the decay went into the gradient; that is Adam, AdamW keeps it apart": coupled,
        "the step goes uphill": planned("upwards"),
        "the decay pushes away from 0": planned("decay up"),
        "the decay takes the old w": planned("decay of the new"),
        "return the means as they are; the corrected ones are for the step only":
            planned("returns corrected"),
        "beta and 1 - beta have changed places": swapped,
        "epsilon is missing beside the root": planned("no epsilon"),
        "epsilon is added to the root, not under it": planned("epsilon in the root"),
        "epsilon is added to the root of the corrected u": planned("epsilon too soon"),
    })  # fmt: skip


def table_gradient(answer):
    """table_gradient(grad, ids, gain, table) -> (V, C)."""

    def variant(head_gain=True, input_gain=True, repeats=True, head=True, read=True):
        def build(grad, ids, gain, table):
            as_head = grad.T @ (table[ids] * (gain if head_gain else 1))
            by_rows = grad @ table * (gain if input_gain else 1)
            as_input = np.zeros_like(table)
            if repeats:
                np.add.at(as_input, ids, by_rows)
            else:
                as_input[ids] = by_rows
            return head * as_head + read * as_input

        return build

    def case(ids, V, C, gain=True):
        ids = np.array(ids)
        gain = random(C, seed=2) + 2 if gain else np.ones(C)
        return random(len(ids), V), ids, gain, random(V, C, seed=1)

    cases = [
        case([2, 0], 3, 4, gain=False),
        case([1, 1, 3], 4, 3, gain=False),
        case([2, 0, 1], 4, 5),
        case([3, 0, 3, 3], 5, 4),
    ]
    return check(answer, "table_gradient", variant(), cases, {
        "a token that occurs twice gets only one of its gradients":
            variant(repeats=False),
        "the way back to the input does not go through the gain":
            variant(input_gain=False),
        "both faults are still there: repeated tokens, and the gain on the way back":
            variant(repeats=False, input_gain=False),
        "the head's gradient lacks the gain: it was right before":
            variant(head_gain=False),
        "the use as input is missing": variant(read=False),
        "the use as head is missing": variant(head=False),
    })  # fmt: skip
