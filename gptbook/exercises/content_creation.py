"""The exercises of 6.4, content creation."""

from __future__ import annotations

import copy
import math

import numpy as np

from gptbook.exercises import check


def on_copies(answer):
    """The answer, with lists of its own: one that changes them does no harm."""
    if not callable(answer):
        return answer
    return lambda *arguments: answer(*copy.deepcopy(arguments))


def drafts_needed(answer):
    """drafts_needed(q, goal): the smallest n with 1 - (1 - q)**n >= goal."""

    def variant(start=1, strict=False, keep=lambda q: 1 - q):
        def count(q, goal):
            n = start
            while (done := 1 - keep(q) ** n) < goal or (strict and done == goal):
                n += 1
            return n

        return count

    def as_a_sum(q, goal):
        return math.ceil(goal / q)

    def not_rounded(q, goal):
        return math.log(1 - goal) / math.log(1 - q)

    def before(q, goal):
        return variant()(q, goal) - 1

    def behind(q, goal):
        return variant()(q, goal) + 1

    def rounded_down(q, goal):
        return math.floor(math.log(1 - goal) / math.log(1 - q))

    cases = [
        (0.74, 0.99),
        (0.5, 0.75),  # exactly two
        (0.9, 0.2),  # one is enough, and at least one is needed
        (0.01, 0.99),
        (0.3, 0.95),
        (0.25, 0.5),
    ]
    return check(answer, "drafts_needed", variant(), cases, {
        "chances don't add up: two drafts of 0.5 are not certain": as_a_sum,
        "exactly `goal` is enough": variant(strict=True),
        "a number of drafts is a whole number": not_rounded,
        "that is one draft too few": before,
        "that is one draft too few; round up": rounded_down,
        "that is one draft too many": behind,
        "all drafts fail with (1 - q)**n, not with q**n": variant(keep=lambda q: q),
    })  # fmt: skip


def longest_copy(answer):
    """longest_copy(mine, source): the length of the longest run that both have."""

    def variant(mine, source):
        best, old = 0, [0] * (len(source) + 1)
        for a in mine:
            new = [0] * (len(source) + 1)
            for j, b in enumerate(source):
                new[j + 1] = old[j] + 1 if a == b else 0
            best, old = max(best, *new), new
        return best

    def with_gaps(mine, source):
        old = [0] * (len(source) + 1)
        for a in mine:
            new = [0] * (len(source) + 1)
            for j, b in enumerate(source):
                new[j + 1] = old[j] + 1 if a == b else max(old[j + 1], new[j])
            old = new
        return old[-1]

    def from_the_start(mine, source):
        n = 0
        while n < min(len(mine), len(source)) and mine[n] == source[n]:
            n += 1
        return n

    def skips_ahead(mine, source):
        best = i = 0
        while i < len(mine):
            runs = [from_the_start(mine[i:], source[j:]) for j in range(len(source))]
            run = max(runs, default=0)
            best, i = max(best, run), i + max(run, 1)
        return best

    def same_place(mine, source):
        best = run = 0
        for a, b in zip(mine, source, strict=False):
            run = run + 1 if a == b else 0
            best = max(best, run)
        return best

    def known_tokens(mine, source):
        best = run = 0
        for a in mine:
            run = run + 1 if a in source else 0
            best = max(best, run)
        return best

    def known_pairs(mine, source):
        pairs = set(zip(source, source[1:], strict=False))
        best = run = 1 if set(mine) & set(source) else 0
        for pair in zip(mine, mine[1:], strict=False):
            run = run + 1 if pair in pairs else 1
            best = max(best, run)
        return best

    def as_text(mine, source):
        spelled = "".join(map(str, source))
        runs = (
            mine[i:j] for i in range(len(mine)) for j in range(i + 1, len(mine) + 1)
        )
        found = [len(run) for run in runs if "".join(map(str, run)) in spelled]
        return max(found, default=0)

    def one_less(mine, source):
        return variant(mine, source) - 1

    def one_more(mine, source):
        return variant(mine, source) + 1

    def at_the_end(mine, source):
        return from_the_start(mine[::-1], source[::-1])

    cases = [
        ([5, 6, 7], [5, 6, 7]),
        (
            [8, 7, 4, 5, 7, 4, 7, 4],
            [8, 4, 5, 8, 9, 5, 7, 4, 7, 9],
        ),  # each mistake differs
        ([9, 1, 2, 3, 8], [1, 2, 3, 4]),
        ([1, 2, 3, 4, 5], [9, 1, 2, 8, 3, 4, 5]),
        ([1, 2, 1, 3], [2, 1, 9, 1, 3, 9, 1, 2]),
        ([0, 1, 2, 3, 4, 5, 6], [1, 2, 3, 9, 2, 3, 4, 5, 6]),  # overlap
        ([1, 2, 3], [3, 2, 1]),  # the same tokens in another order
        ([1, 2], [12, 3]),  # tokens, not digits
        ([1, 2, 3], [4, 5]),
        ([], [1, 2]),
        ([1, 2, 3], []),
        ([7, 7, 7, 7], [7, 7, 1]),
    ]
    return check(on_copies(answer), "longest_copy", variant, cases, {
        "that is one too few: of m tokens, m - n + 1 runs have the length n": one_less,
        "that is one too many": one_more,
        "the run has to stand in the source in one piece, without gaps": with_gaps,
        "a run may begin anywhere in both": from_the_start,
        "a run may stand elsewhere in the source": same_place,
        "a longer run may begin within a shorter one: try every beginning": skips_ahead,
        "the tokens are there, but not in this order": known_tokens,
        "each pair is there, but not all in one piece": known_pairs,
        "compare tokens, not their digits: 1, 2 is not 12": as_text,
        "a run may end anywhere in both": at_the_end,
    })  # fmt: skip


def at_least_one(answer):
    """at_least_one(n, c, k): the chance that k of n drafts hold a right one."""

    def reference(n, c, k):
        return 1 - math.comb(n - c, k) / math.comb(n, k)

    def put_back(n, c, k):
        return 1 - (1 - c / n) ** k

    def none(n, c, k):
        return math.comb(n - c, k) / math.comb(n, k)

    def every(n, c, k):
        return math.comb(c, k) / math.comb(n, k)

    def exactly_one(n, c, k):
        return c * math.comb(n - c, k - 1) / math.comb(n, k)

    def as_a_sum(n, c, k):
        return min(1.0, k * c / n)

    def not_all_right(n, c, k):
        return 1 - math.comb(c, k) / math.comb(n, k)

    cases = [
        (4, 1, 2),
        (8, 3, 2),
        (10, 2, 5),
        (6, 5, 3),  # there are not enough wrong ones
        (5, 0, 2),
        (5, 5, 1),
        (200, 7, 40),
    ]
    return check(answer, "at_least_one", reference, cases, {
        "no draft is taken twice: without putting back the chance is larger": put_back,
        "that is the chance that none is right": none,
        "that is the chance that all of them are right": every,
        "that is the chance of exactly one": exactly_one,
        "chances of several drafts don't add up": as_a_sum,
        "count the choices with wrong drafts only, not those with right ones only":
            not_all_right,
    })  # fmt: skip


def strongest(answer):
    """strongest(is_green, w): the largest z of w neighbouring pairs."""

    def windows(is_green, w):
        total = np.concatenate([[0], np.cumsum(is_green)])
        return total[w:] - total[:-w]

    def variant(pick=np.max, scale=lambda w: math.sqrt(w / 4), cut=0, step=1):
        def z(is_green, w):
            g = windows(is_green, w)
            g = g[: len(g) - cut][::step] if len(g) > cut else g
            return float((pick(g) - w / 2) / scale(w))

        return z

    def whole(is_green, w):
        n = len(is_green)
        return float((np.sum(is_green) - n / 2) / math.sqrt(n / 4))

    def count(is_green, w):
        return float(windows(is_green, w).max())

    def share(is_green, w):
        return float(windows(is_green, w).max() / w)

    rng = np.random.default_rng(0)
    quoted = rng.random(60) < 0.5
    quoted[20:32] = True
    cases = [
        (np.array([0, 0, 0, 1, 1, 1, 0], bool), 3),
        (np.array([True, False, False, True, True]), 2),  # in the last window
        (np.array([False, False, True, False]), 4),  # one window only
        (quoted, 12),
        (np.array([False] * 6), 4),
        (rng.random(40) < 0.5, 7),
    ]
    return check(answer, "strongest", variant(), cases, {
        "that is z of the whole text": whole,
        "the last window is missing": variant(cut=1),
        "windows may overlap: try every beginning": variant(step=2),
        "divide by the root of w / 4": variant(scale=lambda w: w / 4),
        "the standard deviation is sqrt(w / 4), not sqrt(w)": variant(scale=math.sqrt),
        "that is the number of green ones; z is asked for": count,
        "that is the share of green ones; z is asked for": share,
        "take the largest, not the mean": variant(pick=np.mean),
    })  # fmt: skip
