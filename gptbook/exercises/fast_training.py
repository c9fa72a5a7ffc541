"""The exercises of 5.3.2, fast training."""

from __future__ import annotations

import numpy as np

from gptbook.exercises import check, random


def times_as_fast(answer):
    """times_as_fast(plain_losses, plain_seconds, losses, seconds) -> float."""

    def ratio(pick, pick_loss=None, turned=False, judge=True):
        def answered(plain_losses, plain_seconds, losses, seconds):
            of_loss = pick_loss or pick
            if judge and of_loss(losses) > of_loss(plain_losses):
                return 0.0
            pair = pick(plain_seconds), pick(seconds)
            return pair[1] / pair[0] if turned else pair[0] / pair[1]

        return answered

    def each_pair(plain_losses, plain_seconds, losses, seconds):
        if np.median(losses) > np.median(plain_losses):
            return 0.0
        n = min(len(plain_seconds), len(seconds))
        return np.median(plain_seconds[:n] / seconds[:n])

    def worse_is_fine(plain_losses, plain_seconds, losses, seconds):
        return ratio(np.median)(-plain_losses, plain_seconds, -losses, seconds)

    def strictly(plain_losses, plain_seconds, losses, seconds):
        if np.median(losses) >= np.median(plain_losses):
            return 0.0
        return np.median(plain_seconds) / np.median(seconds)

    one, two = np.array([1.9, 1.8, 2.3, 1.7, 2.0]), np.array([1.6, 1.85, 1.7, 2.9, 1.8])
    slow, fast = np.array([80.0, 85, 300, 70, 90]), np.array([9.0, 4, 5, 4.5, 40])
    cases = [
        (one, slow, np.array([1.6, 1.85, 1.7, 1.75, 1.8]), fast),
        (one - 0.5, slow, one, fast),  # not reached
        (one, slow, two, fast),
        (two, slow, np.array([1.5, 1.9, 1.9, 1.9, 2.0]), fast),  # not reached
        (one, slow, one[::-1].copy(), fast),  # the same median is enough
        (one[:4], slow[:4], two, fast),
        (one, slow, np.array([1.8, 1.85, 2.4, 2.5]), fast[:4]),  # not reached by half
        (np.array([1.9, 1.9, 1.9]), slow[:3], np.array([1.8, 1.89, 4.0]), fast[:3]),
    ]
    return check(answer, "times_as_fast", ratio(np.median), cases, {
        "a loss that is not reached counts as 0": ratio(np.median, judge=False),
        "turn it over: the plain seconds by the other's": ratio(np.median, turned=True),
        "means of the seconds: one slow moment decides; take medians":
            ratio(np.mean, np.median),
        "take the median of the losses too": ratio(np.median, np.mean),
        "means: one slow moment or one bad seed decides; take medians": ratio(np.mean),
        "the fastest run decides; take medians": ratio(np.min, np.median),
        "0 is for a loss that is not reached, that is, higher": worse_is_fine,
        "an equal loss is reached: 0 is only for a higher one": strictly,
        "the runs are no pairs: take the median of each side, then divide": each_pair,
    })  # fmt: skip


def pair_rows(answer):
    """pair_rows(ids, vocab_size) -> rows (T,)."""

    def reference(ids, V):
        return np.concatenate([[V], ids[:-1]]) * V + ids

    def first_as(number):
        return lambda ids, V: np.concatenate([[number], ids[:-1]]) * V + ids

    def turned(ids, V):
        before = np.concatenate([[V], ids[:-1]])
        return ids * (V + 1) + before

    def mixed(ids, V):
        before = np.concatenate([[V], ids[:-1]])
        return ids * V + before

    def after(ids, V):
        return np.concatenate([ids[1:], [V]]) * V + ids

    def wider(ids, V):
        return np.concatenate([[V], ids[:-1]]) * (V + 1) + ids

    ids = np.array([3, 1, 4, 1, 5])
    cases = [(ids, 10), (ids, 6), (np.array([0]), 7), (np.array([2, 2, 0, 0]), 3)]
    return check(answer, "pair_rows", reference, cases, {
        "before the first token stands nothing, which counts as vocab_size, not as 0":
            first_as(0),
        "np.roll puts the last token before the first; nothing is before it":
            lambda ids, V: np.roll(ids, 1) * V + ids,
        "nothing counts as the token number vocab_size, one more than the last":
            lambda ids, V: np.concatenate([[V - 1], ids[:-1]]) * V + ids,
        "the token before is multiplied, the token itself is added": mixed,
        "the token before is multiplied, by vocab_size": turned,
        "that is the token after; move the text to the right": after,
        "multiply by vocab_size: nothing stands only before, never as the token itself":
            wider,
        "that adds the two; pairs such as (1, 4) and (4, 1) need rows of their own":
            lambda ids, V: np.concatenate([[V], ids[:-1]]) + ids,
    })  # fmt: skip


def share_of_peak(answer):
    """share_of_peak(step, steps, warmup, fall) -> float."""

    def share(rising=lambda s, w: (s + 1) / (w + 1), top=1.0, late=0, by=1.0):
        def answered(step, steps, warmup, fall):
            falling = (steps - step - late) / (fall * steps * by)
            return min(rising(step, warmup), top, falling)

        return answered

    def after_rest(step, steps, warmup, fall):
        return min((step + 1) / (warmup + 1), 1.0, (steps - step) / (steps - warmup))

    def rise_first(step, steps, warmup, fall):
        if step < warmup:
            return (step + 1) / (warmup + 1)
        return min(1.0, (steps - step) / (fall * steps))

    def keeps(step, steps, warmup, fall):
        falling = (steps - step) / ((1 - fall) * steps) if fall < 1 else 1.0
        return min((step + 1) / (warmup + 1), 1.0, falling)

    def product(step, steps, warmup, fall):
        rising, falling = (step + 1) / (warmup + 1), (steps - step) / (fall * steps)
        return min(rising, 1.0) * min(falling, 1.0)

    cases = [
        (step, steps, warmup, fall)
        for steps, warmup, fall in ((100, 10, 0.7), (50, 0, 0.4), (20, 15, 1.0))
        for step in (steps // 2, 0, warmup - 1 if warmup else 1, warmup, steps - 1)
    ]
    return check(answer, "share_of_peak", share(), cases, {
        "the smallest of the three holds, also where rise and fall meet": rise_first,
        "the fall is missing":
            lambda step, steps, w, fall: min((step + 1) / (w + 1), 1.0),
        "at step 0 the share is 1 / (warmup + 1)":
            share(lambda s, w: s / w if w else 1.0),
        "the share is 1 at step `warmup`, and not a step earlier":
            share(lambda s, w: (s + 1) / w if w else 1.0),
        "the warm-up is missing": share(lambda s, w: 1.0),
        "between rise and fall the share stays at 1": share(top=np.inf),
        "it would reach 0 at step number `steps`, one after the last": share(late=1),
        "the fall takes the last `fall` of the steps; before, the share stays at 1":
            after_rest,
        "`fall` is the share of the steps that the fall takes, not of those before it":
            keeps,
        "the smallest of the three holds; don't multiply them": product,
    })  # fmt: skip


def orthogonalise(answer):
    """orthogonalise(matrix, steps) -> an array of the shape of matrix (m, n)."""

    def iterate(norm=np.linalg.norm, a=3.4445, b=-4.7750, c=2.0315, before=False):
        def answered(matrix, steps):
            x = matrix / norm(matrix)
            for _ in range(steps):
                gram = x @ x.T
                x = a * x + (b * gram + c * gram @ gram) @ x
            return x

        return answered

    def elementwise(matrix, steps):
        x = matrix / np.linalg.norm(matrix)
        for _ in range(steps):
            x = 3.4445 * x - 4.7750 * x**3 + 2.0315 * x**5
        return x

    def square_of_entries(matrix, steps):
        x = matrix / np.linalg.norm(matrix)
        for _ in range(steps):
            gram = x @ x.T
            x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram**2) @ x
        return x

    def old_gram(matrix, steps):
        x = matrix / np.linalg.norm(matrix)
        gram = x @ x.T
        for _ in range(steps):
            x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
        return x

    def exact(matrix, steps):
        u, _, r = np.linalg.svd(matrix, full_matrices=False)
        return u @ r

    def each_row(matrix):
        return np.linalg.norm(matrix, axis=1, keepdims=True)

    cases = [
        (random(3, 5), 1), (random(4, 4, scale=20.0), 2), (random(5, 3), 5),
        (random(2, 6, scale=0.01), 3), (random(3, 4), 0),
    ]  # fmt: skip
    return check(answer, "orthogonalise", iterate(), cases, {
        "divide by the root of the sum of the squared entries, at the start":
            iterate(lambda x: 1.0),
        "the root of the sum of the squares; that is the sum": iterate(
            lambda x: (x**2).sum()),
        "that divides by the largest singular value; take the root of the sum of the "
        "squared entries": iterate(lambda x: np.linalg.norm(x, 2)),
        "divide by one number, not each row by its own length": iterate(each_row),
        "that works on each entry; singular values need products of matrices":
            elementwise,
        "gram squared is gram @ gram, not each entry's square": square_of_entries,
        "gram changes with x: compute it anew in every step": old_gram,
        "the second coefficient is negative": iterate(b=4.7750),
        "that is the exact answer; take `steps` steps towards it": exact,
    })  # fmt: skip
