"""The checks behind the exercises: one module for each notebook, of the same name.

    from gptbook.exercises import self_attention as check

A check runs the reader's function on cases that are not shown, compares it with the
book's own, prints one line and returns True only if every case is right. An answer that
equals a known mistake is told which; any other wrong answer is shown where it differs.
"""

from __future__ import annotations

import numpy as np

OPEN = "not written yet (it returns None)"


def verdict(name, problem):
    print(f"{name}: {problem or 'right'}")
    return problem is None


def check(answer, name, reference, cases, mistakes=()):
    """Compares `answer` with `reference` on each case, a tuple of arguments.

    mistakes: {what to say: a function that makes this mistake}.
    """
    if not callable(answer):
        return verdict(name, f"give the function itself, not {type(answer).__name__}")
    for case in cases:
        given = [np.copy(a) if isinstance(a, np.ndarray) else a for a in case]
        try:
            with np.errstate(all="ignore"):  # the verdict says it better
                got = answer(*given)
        except Exception as error:  # whatever it is, the reader wants to know
            first_line = str(error).split("\n")[0]
            return verdict(name, f"raises {type(error).__name__}: {first_line}")
        problem = find_problem(got, reference, case, mistakes)
        if problem:
            return verdict(name, problem)
        for a, b in zip(given, case, strict=True):
            if isinstance(a, np.ndarray) and not np.array_equal(a, b):
                return verdict(name, "it changes its arguments; work on copies")
    return verdict(name, None)


def find_problem(got, reference, case, mistakes):
    if got is None:
        return OPEN
    expected = reference(*case)
    if problem := find_wrong_kind(got, expected):
        return problem
    if same(got, expected):
        return None
    for message, wrong in dict(mistakes).items():
        with np.errstate(all="ignore"):
            if same(wrong(*case), got):
                return message
    return find_difference(got, expected)


def find_wrong_kind(got, expected):
    """What keeps an answer from being compared, number by number."""
    if isinstance(expected, tuple):
        if not isinstance(got, tuple | list) or len(got) != len(expected):
            return f"it should return {len(expected)} things: return a, b, ..."
        parts = enumerate(zip(got, expected, strict=True), start=1)
        problems = ((n, find_wrong_kind(*pair)) for n, pair in parts)
        return next((f"result {n}: {p}" for n, p in problems if p), None)
    if not is_numeric(expected):
        if isinstance(got, type(expected)):
            return None
        right = type(expected).__name__
        return f"it returns a {type(got).__name__}, and a {right} is right"
    try:
        got = np.asarray(got)
    except ValueError:
        return "it returns several arrays, or rows of unequal length: return one array"
    if not np.issubdtype(got.dtype, np.number):
        return f"it should return an array of numbers, not of {got.dtype}"
    if got.shape != np.shape(expected):
        return f"the shape is {got.shape}, and {np.shape(expected)} is right"
    return None


def find_difference(got, expected):
    if isinstance(expected, tuple):
        pairs = enumerate(zip(got, expected, strict=True), start=1)
        return next(
            f"result {n}: {find_difference(*pair)}"
            for n, pair in pairs
            if not same(*pair)
        )
    if not is_numeric(expected):
        return f"it returns {got!r}, and {expected!r} is right"
    got, expected = np.asarray(got), np.asarray(expected)
    if np.isnan(got).any():
        return "there is a nan: does exp overflow, or is 0 divided by 0 or times inf?"
    if not got.shape:
        return f"it returns {got:.4f}, and {expected:.4f} is right"
    place = tuple(int(i) for i in np.argwhere(~np.isclose(got, expected, atol=1e-5))[0])
    return (
        f"entry {place} of {got.shape} is {got[place]:.4f}, and {expected[place]:.4f} "
        "is right"
    )


def is_numeric(thing):
    return np.issubdtype(np.asarray(thing).dtype, np.number)


def same(a, b):
    """Equal, numbers to within rounding, in tuples part by part."""
    if isinstance(b, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if not is_numeric(b):
        return a == b
    return np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=1e-4, atol=1e-5)


def random(*shape, scale=1.0, seed=0):
    """Normal numbers, the same for the same shape, scale and seed."""
    return np.random.default_rng([seed, *shape]).normal(0, scale, shape)
