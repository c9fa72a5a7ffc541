"""The exercises of 5.4, generation."""

from __future__ import annotations

import math

import numpy as np

from gptbook.exercises import check, random
from gptbook.layers import softmax


def warm(answer):
    """warm(p, tau): probabilities (V,) at temperature 1 -> those at temperature tau."""

    def reference(p, tau):
        q = (p / p.max()) ** (1 / tau)
        return q / q.sum()

    def power(p, tau):
        return p ** (1 / tau)

    p = np.array([0.1, 0.6, 0.0, 0.3])
    flat = np.full(5, 0.2)
    many = softmax(random(1024))
    cases = [(p, 1.0), (p, 0.5), (p, 2.0), (flat, 0.3), (many, 0.7), (many, 0.001),
             (p, 8.0)]  # fmt: skip
    return check(answer, "warm", reference, cases, {
        "that is the power tau, and 1 / tau is right":
            lambda p, tau: p**tau / (p**tau).sum(),
        "the power is right, but the sum is not 1: divide by it": power,
        "the probabilities are divided by tau; that changes no odds":
            lambda p, tau: p / tau,
        "softmax wants logits, and these are probabilities":
            lambda p, tau: softmax(p / tau),
        "nothing has changed": lambda p, tau: p,
    })  # fmt: skip


def nucleus(answer):
    """nucleus(p, top_p): probabilities (V,) -> the probabilities (V,) after top-p."""

    def variant(stay=lambda before, p, top_p: before < top_p, sign=-1, share=True):
        def cut(p, top_p):
            order = np.argsort(sign * p, kind="stable")
            q = p[order]
            kept = np.where(stay(q.cumsum() - q, q, top_p), q, 0)
            result = np.zeros_like(p)
            result[order] = kept
            return result / result.sum() if share else result

        return cut

    reference = variant()

    def in_order(p, top_p):
        return -np.sort(-reference(p, top_p))

    p = np.array([0.06, 0.25, 0.05, 0.5, 0.125, 0.015])
    long = np.array([0.13, 0.12, 0.3, 0.11, 0.1, 0.09, 0.08, 0.07])
    cases = [
        (long, 0.75),
        (p, 0.6),
        (p, 0.5),  # reached exactly
        (p, 0.3),  # the likeliest alone
        (p, 0.8),
        (np.array([0.25, 0.25, 0.25, 0.25]), 0.5),
        (softmax(random(50, scale=2.0)), 0.9),
    ]
    return check(answer, "nucleus", reference, cases, {
        "the token that crosses the line is missing: the sum must be at least top_p":
            variant(lambda before, q, top_p: before + q <= top_p),
        "one token too many: where top_p is reached exactly, it is enough":
            variant(lambda before, q, top_p: before <= top_p),
        "the sum is not 1: divide by it": variant(share=False),
        "the unlikeliest tokens are kept: sort -p": variant(sign=1),
        "they come back sorted; put each at its own place": in_order,
        "tokens are kept whose own probability is above 1 - top_p":
            variant(lambda before, q, top_p: q >= 1 - top_p),
    })  # fmt: skip


def users(answer):
    """users(memory, N, L, h, h_kv, C, T, itemsize) -> how many caches fit."""

    def variant(
        both=2,
        row=lambda h, h_kv, C: h_kv * (C // h),
        weights=lambda N, itemsize: N * itemsize,
        least=0,
        whole=int,
    ):
        def count(memory, N, L, h, h_kv, C, T, itemsize):
            one = both * L * row(h, h_kv, C) * T * itemsize
            return max(least, whole((memory - weights(N, itemsize)) / one))

        return count

    cases = [
        (1e12, 8e9, 32, 32, 8, 4096, 8192, 2),
        (4e9, 124_439_808, 12, 12, 12, 768, 1024, 4),
        (1e8, 957_184, 4, 4, 1, 128, 256, 4),
        (640e9, 405e9, 126, 128, 8, 16384, 8192, 2),  # the weights don't fit
        (2000, 100, 2, 4, 2, 16, 5, 1),
    ]
    return check(answer, "users", variant(), cases, {
        "keys and values are two: the 2 is missing": variant(both=1),
        "that is a key for each of the h heads: only h_kv heads have keys and values, "
        "each C // h wide": variant(row=lambda h, h_kv, C: C),
        "each of the h_kv heads has C // h numbers, not C":
            variant(row=lambda h, h_kv, C: h_kv * C),
        "the weights need memory too": variant(weights=lambda N, itemsize: 0),
        "the weights have itemsize bytes a number too":
            variant(weights=lambda N, itemsize: N),
        "no negative number of users: at least 0":
            variant(least=-math.inf, whole=math.floor),
        "give a whole number, rounded down": variant(whole=float),
    })  # fmt: skip


def verify(answer):
    """verify(p, q, token, u) -> the probabilities (V,) of the written token."""

    def variant(accept=lambda p, q, t, u: u < p[t] / q[t],
                rest=lambda p, q, t: np.maximum(p - q, 0), share=True):  # fmt: skip
        def rule(p, q, token, u):
            if accept(p, q, token, u):
                return np.eye(len(p))[token]
            left = rest(p, q, token)
            return left / left.sum() if share else left

        return rule

    def without(p, q, t):
        left = p.copy()
        left[t] = 0
        return left

    p = np.array([0.5, 0.3, 0.2, 0.0])
    q = np.array([0.2, 0.35, 0.05, 0.4])
    other = softmax(random(6)), softmax(random(6, seed=1))
    low = int(np.argmin(other[0] / other[1]))
    cases = [
        *((p, q, 0, u) for u in (0.3, 0.45, 0.99)),  # p > q: always accepted
        (p, q, 1, 0.8),
        (p, q, 1, 0.9),
        (p, q, 3, 0.0),  # impossible in the large model
        (p, q, 2, 0.3),
        (p, p, 1, 0.999),  # the same model: always
        (*other, low, 0.99),
        (*other, low, 0.01),
    ]
    return check(answer, "verify", variant(), cases, {
        "the token is accepted with the chance p; the small model has drawn it with q, "
        "so p / q is right": variant(accept=lambda p, q, t, u: u < p[t]),
        "u = 0 accepts a token that is impossible in the large model: < and not <=":
            variant(accept=lambda p, q, t, u: u <= p[t] / q[t]),
        "it is always accepted: that writes what the small model writes":
            variant(accept=lambda p, q, t, u: True),
        "the chance is p / q, not q / p":
            variant(accept=lambda p, q, t, u: u < q[t] / p[t]),
        "after a refusal it draws from p, and gives too much where q was large":
            variant(rest=lambda p, q, t: p),
        "after a refusal it draws from p without the token; max(0, p - q) is right":
            variant(rest=without),
        "after a refusal it draws from max(0, q - p); p - q is right":
            variant(rest=lambda p, q, t: np.maximum(q - p, 0)),
        "negative probabilities: cut p - q at 0": variant(rest=lambda p, q, t: p - q),
        "what is left does not sum to 1: divide by its sum": variant(share=False),
        "accepted and refused have changed places":
            variant(accept=lambda p, q, t, u: u >= p[t] / q[t]),
        "p is returned; after the draw of u the token is accepted or refused":
            lambda p, q, t, u: p,
    })  # fmt: skip
