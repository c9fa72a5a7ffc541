"""The exercises of 8.4, pretraining and alignment."""

from __future__ import annotations

import numpy as np

from gptbook.exercises import check, random


def softplus(x):
    """ln(1 + e^x), for any x: -ln of the sigmoid of -x."""
    return np.logaddexp(0, x)


def sigmoid(x):
    return np.exp(-softplus(-np.asarray(x, dtype=float)))


def reward_loss(answer):
    """reward_loss(better, worse): rewards (B,) each -> the mean loss of the pairs."""

    def reference(better, worse):
        return softplus(worse - better).mean()

    def plain(better, worse):
        return -np.log(1 / (1 + np.exp(worse - better))).mean()

    cases = [
        (np.array([1.0, 0, 2]), np.array([0.0, 1, -1])),
        (np.array([0.5]), np.array([0.5])),
        (random(6, scale=2), random(6, scale=2, seed=1)),
        (np.array([0.0, 1.0]), np.array([1000.0, 1.0])),
        (np.array([1000.0, 0.0]), np.array([-1000.0, 3.0])),
    ]
    return check(answer, "reward_loss", reference, cases, {
        "the sign of the difference is wrong: the better should get more":
            lambda b, w: softplus(b - w).mean(),
        "that is the sum; take the mean over the pairs":
            lambda b, w: softplus(w - b).sum(),
        "that is the mean probability of being right; take -ln first":
            lambda b, w: sigmoid(b - w).mean(),
        "take -ln of each pair's probability, then the mean, not the other way round":
            lambda b, w: -np.log(sigmoid(b - w).mean()),
        "the minus is missing: a probability has a negative logarithm":
            lambda b, w: -softplus(w - b).mean(),
        "the loss is a number for each pair; take the mean":
            lambda b, w: softplus(w - b),
        "exp overflows for a large difference: np.logaddexp(0, x) does not": plain,
    })  # fmt: skip


def best_policy(answer):
    """best_policy(p, r, beta): p and r (m,) -> the best policy at beta, (m,)."""

    def policy(p, r, beta):
        z = np.log(p) + r / beta
        z = np.exp(z - z.max())
        return z / z.sum()

    def no_norm(p, r, beta):
        return p * np.exp(r / beta)

    def pure(p, r, beta):
        return np.eye(len(p))[np.argmax(r)]

    cases = [
        (np.array([1, 1 / 2, 1 / 4]) / 1.75, np.array([0.0, 1, 2]), 0.5),
        (np.array([0.1, 0.2, 0.3, 0.4]), np.array([1.0, -1, 0, 0.5]), 2.0),
        (np.full(3, 1 / 3), np.array([2.0, 2.0, 2.0]), 0.1),
        (np.array([0.7, 0.1, 0.2]), np.array([100.0, 101.0, 99.0]), 0.05),
    ]
    return check(answer, "best_policy", policy, cases, {
        "divide by the sum, so that it is a distribution": no_norm,
        "the reference p is missing: it is multiplied by exp(r / beta)":
            lambda p, r, beta: policy(np.ones_like(p), r, beta),
        "beta divides the reward; a large beta keeps the policy near p":
            lambda p, r, beta: policy(p, r * beta, 1.0),
        "beta is missing": lambda p, r, beta: policy(p, r, 1.0),
        "the sign of the reward is wrong": lambda p, r, beta: policy(p, -r, beta),
        "that is the best answer alone, which only a beta of 0 would choose": pure,
    })  # fmt: skip


def dpo_slope(answer):
    """dpo_slope(log_p, ref, counts, beta): (2, T) each -> (loss, gradient)."""

    def variant(sign=1, by_mean=False, everything=False, no_ref=False, mask=True,
                steep=False, beta_out=False, minus=1, both=False):  # fmt: skip
        def loss_and_gradient(log_p, ref, counts, beta):
            c = np.ones_like(log_p) if everything else counts.astype(float)
            gain = (log_p - (0 if no_ref else ref)) * c
            gain = gain.sum(axis=1)
            if by_mean:
                gain = gain / c.sum(axis=1)
            margin = sign * beta * (gain[0] - gain[1])
            weight = sigmoid(margin) if steep else sigmoid(-margin)
            slope = -sign * minus * weight * (1 if beta_out else beta)
            rows = np.array([[1.0], [1.0 if both else -1.0]])
            by = slope * rows * (c if mask else np.ones_like(c))
            if by_mean:
                by = by / c.sum(axis=1, keepdims=True)
            return softplus(-margin), by

        return loss_and_gradient

    def case(T, first, lengths, beta, seed, scale=1.0):
        place = np.arange(T)
        counts = (place >= first) & (place < np.array(lengths)[:, None])
        ref = -np.abs(random(2, T, seed=seed))
        return ref + random(2, T, scale=scale, seed=seed + 1), ref, counts, beta

    cases = [
        case(5, 2, (5, 4), 0.5, 0),
        case(8, 3, (6, 8), 0.1, 2, scale=3.0),
        case(4, 1, (2, 4), 2.0, 4),
        case(6, 2, (6, 6), 1.0, 6, scale=900.0),
    ]
    return check(answer, "dpo_slope", variant(), cases, {
        "better and worse have changed places": variant(sign=-1),
        "DPO sums the ln p of an answer's tokens; that is their mean":
            variant(by_mean=True),
        "tokens where `counts` is False (prompt, padding) must be left out":
            variant(everything=True),
        "the reference is missing": variant(no_ref=True),
        "the gradient is 0 where `counts` is False": variant(mask=False),
        "the gradient's weight is sigmoid(-margin): large where the model is wrong":
            variant(steep=True),
        "beta is missing in the gradient": variant(beta_out=True),
        "the sign of the gradient is wrong: more ln p of the better, less loss":
            variant(minus=-1),
        "the worse answer's gradient has the other sign": variant(both=True),
    })  # fmt: skip


def best_of_n(answer):
    """best_of_n(p, r, n): p, r (m,) -> the probability that each is the one kept."""

    def reference(p, r, n):
        order = np.argsort(r)
        below = np.concatenate([[0], np.cumsum(p[order])])
        q = np.empty_like(p)
        q[order] = np.diff(below**n)
        return q

    def worst(p, r, n):
        return reference(p, -r, n)

    def in_order(p, r, n):
        return np.diff(np.concatenate([[0], np.cumsum(p)]) ** n)

    def sorted_out(p, r, n):
        return np.diff(np.concatenate([[0], np.cumsum(p[np.argsort(r)])]) ** n)

    def powers(p, r, n):
        return p**n / (p**n).sum()

    def seen(p, r, n):
        return 1 - (1 - p) ** n

    cases = [
        (np.array([0.5, 0.3, 0.2]), np.array([0.0, 1, 2]), 2),
        (np.array([0.1, 0.4, 0.2, 0.3]), np.array([3.0, -1, 2, 0.5]), 4),
        (np.array([0.25, 0.75]), np.array([1.0, 0]), 1),
        (np.array([0.9, 0.06, 0.04]), np.array([0.0, 2, 1]), 16),
    ]
    return check(answer, "best_of_n", reference, cases, {
        "that keeps the worst of n": worst,
        "sort by the reward first": in_order,
        "put the probabilities back into the order of p": sorted_out,
        "that is n equal answers in a row; an answer is also kept over worse ones":
            powers,
        "that is the probability of being among the n; a better one may be, too": seen,
        "n is missing: that is p itself": lambda p, r, n: p,
    })  # fmt: skip
