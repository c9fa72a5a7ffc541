"""The exercises of 5.3.1, pretraining."""

from __future__ import annotations

import math

import numpy as np

from gptbook.exercises import check, random


def learning_rate(answer):
    """learning_rate(k, steps, warmup, peak) -> a float; GPT-3's schedule."""

    def schedule(k, steps, warmup, peak, *, late=0, line=False, lowest=0.1, cut=False,
                 stays=True, waves=1, from_start=False, rises=True):  # fmt: skip
        if rises and k <= warmup:
            return peak * (k + late) / warmup
        if stays:
            k = min(k, steps)
        done = k / steps if from_start else (k - warmup) / (steps - warmup)
        s = 1 - done if line else 0.5 + 0.5 * math.cos(waves * math.pi * done)
        if cut:
            return max(peak * s, peak / 10)
        return peak * (lowest + (1 - lowest) * s)

    def wrong(**plan):
        return lambda *case: schedule(*case, **plan)

    cases = [
        (1, 100, 10, 3.0), (5, 100, 10, 3.0), (10, 100, 10, 3.0), (100, 100, 10, 3.0),
        (11, 100, 10, 3.0), (32, 100, 10, 3.0), (55, 100, 10, 3.0), (90, 100, 10, 3.0),
        (7, 30, 1, 40.0), (29, 30, 1, 40.0), (130, 100, 10, 3.0), (500, 100, 10, 3.0),
    ]  # fmt: skip
    return check(answer, "learning_rate", schedule, cases, {
        "the rate is late by a step: step 1 already has peak / warmup": wrong(late=-1),
        "the rate is early by a step: it is at the peak at step number warmup":
            wrong(late=1),
        "there is no warm-up": wrong(rises=False),
        "it falls in a straight line; take half a cosine": wrong(line=True),
        "it is cut off at a tenth; the cosine itself should end there": wrong(cut=True),
        "it falls to 0; it should arrive at a tenth of the peak": wrong(lowest=0),
        "behind the last step the cosine rises again; the rate should stay":
            wrong(stays=False),
        "that is a whole wave of the cosine; half of it falls": wrong(waves=2),
        "the fall is counted from step 0; it begins at the end of the warm-up":
            wrong(from_start=True),
    })  # fmt: skip


def clip(answer):
    """clip(grads, limit) -> (a dictionary, the length before)."""

    def lengths(arrays):
        return [math.sqrt((a * a).sum()) for a in arrays]

    def length(arrays):
        return math.hypot(*lengths(arrays))

    def build(factor, found=length):
        """A way to clip; the cases give the limit, then the arrays."""

        def way(limit, *arrays):
            factors = factor(limit, arrays)
            if not isinstance(factors, list):
                factors = [factors] * len(arrays)
            new = [f * a for f, a in zip(factors, arrays, strict=True)]
            return (*new, found(arrays))

        return way

    def right(limit, arrays):
        return min(1.0, limit / (length(arrays) or 1.0))

    def entries(limit, *arrays):
        return (*(np.clip(a, -limit, limit) for a in arrays), length(arrays))

    def after(limit, *arrays):
        return (*build(right)(limit, *arrays)[:-1], min(limit, length(arrays)))

    def tested(limit, *arrays):
        grads = {f"array {i}": np.copy(a) for i, a in enumerate(arrays)}
        given = dict(grads)
        got = answer(given, limit)
        if got is None:
            return None
        if not (isinstance(got, tuple | list) and len(got) == 2):
            raise TypeError("return two things, the new dictionary and the length")
        new, found = got
        if not isinstance(new, dict) or new.keys() != grads.keys():
            raise TypeError("the first result should be a dictionary with the same "
                            "names")  # fmt: skip
        pairs = zip(grads.values(), arrays, strict=True)
        if not all(np.array_equal(a, b) for a, b in pairs):
            raise ValueError("it changes the arrays of grads; make new ones")
        if given.keys() != grads.keys() or any(given[n] is not grads[n] for n in grads):
            raise ValueError("it changes grads; make a new dictionary")
        return (*(new[name] for name in grads), found)

    big = random(3, 4, scale=10.0)
    cases = [
        (2.0, big, random(5), random(2, 2, seed=1)),
        (1.0, np.array([3.0]), np.array([4.0])),
        (10.0, np.array([3.0]), np.array([4.0])),  # shorter than the limit
        (5.0, np.array([3.0, 0.0]), np.array([0.0, -5.0])),  # each alone is short
        (1.0, np.zeros(3), np.zeros((2, 2))),  # nothing to divide by
        (0.5, random(4, scale=0.01)),
    ]
    return check(tested if callable(answer) else answer, "clip", build(right), cases, {
        "each array was clipped for itself, which changes the direction":
            build(lambda limit, arrays: [min(1.0, limit / (n or 1.0))
                                         for n in lengths(arrays)]),
        "each entry was clipped for itself, which changes the direction": entries,
        "what is shorter than the limit should stay as it is":
            build(lambda limit, arrays: limit / (length(arrays) or 1.0)),
        "nothing was clipped": build(lambda limit, arrays: 1.0),
        "the length is not the sum of the arrays' lengths: add the squares":
            build(lambda limit, arrays: min(1.0, limit / (sum(lengths(arrays)) or 1.0)),
                  lambda arrays: sum(lengths(arrays))),
        "the root is missing: that is the square of the length":
            build(lambda limit, arrays: min(1.0, limit / (length(arrays) ** 2 or 1.0)),
                  lambda arrays: length(arrays) ** 2),
        "return the length that the gradient had before": after,
        "the length should be that of all arrays together, not of the longest":
            build(lambda limit, arrays: min(1.0, limit / (max(lengths(arrays)) or 1.0)),
                  lambda arrays: max(lengths(arrays))),
    })  # fmt: skip


def count_decayed(answer):
    """count_decayed(shapes) -> (numbers that decay, numbers that don't)."""
    table, head = "transformer.wte.weight", "lm_head.weight"

    def build(decays=lambda name, shape: len(shape) == 2, tied="once", unit=math.prod):
        def count(shapes):
            counts = [0, 0]
            for name, shape in shapes.items():
                if name == head and (
                    tied == "never" or (tied == "once" and table in shapes)
                ):
                    continue
                counts[not decays(name, shape)] += unit(shape)
            return tuple(counts)

        return count

    def tested(shapes):
        given = dict(shapes)
        got = answer(given)
        if got is not None and given != shapes:
            raise ValueError("it changes shapes; work on a copy")
        return got

    block = {
        "transformer.h.0.ln_1.weight": (8,), "transformer.h.0.ln_1.bias": (8,),
        "transformer.h.0.attn.c_attn.weight": (8, 24),
        "transformer.h.0.attn.c_attn.bias": (24,),
    }  # fmt: skip
    cases = [
        ({"transformer.h.0.mlp.c_fc.weight": (3, 12),
          "transformer.h.0.mlp.c_fc.bias": (12,)},),
        (block,),
        ({table: (11, 8), "transformer.wpe.weight": (5, 8), **block},),
        ({table: (11, 8), **block, head: (11, 8)},),
        ({head: (11, 8), **block, table: (11, 8)},),  # in the other order
        ({**block, head: (11, 8)},),  # nothing to be tied to
    ]  # fmt: skip
    return check(tested if callable(answer) else answer, "count_decayed", build(),
                 cases, {
        "the head is the same array as the token table and was counted twice":
            build(tied="twice"),
        "the head counts where there is no token table": build(tied="never"),
        "the gain of a LayerNorm is called weight, but has one dimension":
            build(lambda name, shape: name.endswith("weight")),
        "the two numbers have changed places":
            build(lambda name, shape: len(shape) != 2),
        "those are arrays; count the numbers in them": build(unit=lambda shape: 1),
        "the tables have two dimensions and decay too":
            build(lambda name, shape: len(shape) == 2 and "transformer.w" not in name),
        "the number of entries is the product of the dimensions, not their sum":
            build(unit=sum),
    })  # fmt: skip


def adam(answer):
    """adam(w, slopes, state) -> (w, state), which can be cut anywhere."""

    def run(w, slopes, cut, *, forget="", correct=True, root=True, up=False,
            under=0.0):  # fmt: skip
        m, u, k = 0 * w, 0 * w, 0
        for i, g in enumerate(slopes):
            if i == cut:
                m = 0 * m if "m" in forget else m
                u = 0 * u if "u" in forget else u
                k = 0 if "k" in forget else k
            k += 1
            m, u = 0.9 * m + 0.1 * g, 0.99 * u + 0.01 * g * g
            m_hat = m / (1 - 0.9**k) if correct else m
            u_hat = u / (1 - 0.99**k) if correct else u
            below = np.sqrt(u_hat + under) if root else u_hat
            step = m_hat / (below + (0.0 if under else 1e-8))
            w = w + 0.1 * step if up else w - 0.1 * step
        return w

    def wrong(**plan):
        return lambda *case: run(*case, **plan)

    def tested(w, slopes, cut):
        """Goes on twice from the same state, as from a checkpoint."""
        own = np.copy(w)
        first = answer(own, list(slopes[:cut]))
        if first is None:
            return None
        if not (isinstance(first, tuple | list) and len(first) == 2):
            raise TypeError("return two things, the new w and the state")
        if not np.array_equal(own, w):
            raise ValueError("it changes w; make a new array")
        kept, state = np.copy(first[0]), first[1]
        rest = slopes[cut:]
        ends = [answer(np.copy(kept), list(rest), state)[0] for _ in range(2)]
        if not np.array_equal(*ends, equal_nan=True):
            raise ValueError("going on from a state changes it: m += ... changes the "
                             "array itself")  # fmt: skip
        return ends[0]

    cases = [
        (random(3), random(1, 3), 1),  # one step, and nothing after it
        (random(3), random(2, 3), 2),
        (random(2, 3), random(6, 2, 3), 3),
        (random(4), random(9, 4, seed=1), 1),
        (random(2), np.array([[8.0, 0.02]] * 5 + [[-0.1, 0.03]] * 4), 6),
        (random(2), np.array([[1e-8, 0.0]] * 4), 2),  # as small as epsilon
    ]
    return check(tested if callable(answer) else answer, "adam", run, cases, {
        "it is right without a cut, and after it m, u and k begin anew: is the state "
        "used?": wrong(forget="muk"),
        "k begins anew after the cut; it belongs to the state": wrong(forget="k"),
        "m begins anew after the cut; it belongs to the state": wrong(forget="m"),
        "u begins anew after the cut; it belongs to the state": wrong(forget="u"),
        "m and u begin anew after the cut; they belong to the state":
            wrong(forget="mu"),
        "the bias correction is missing": wrong(correct=False),
        "divide by the root of u": wrong(root=False),
        "the step goes uphill": wrong(up=True),
        "epsilon is added to the root, not under it": wrong(under=1e-8),
    })  # fmt: skip
