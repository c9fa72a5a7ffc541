"""What the chapters share: a sentence, a comparison, and a gradient by differences."""

from __future__ import annotations

import numpy as np

SENTENCE = "Once upon a time, Mia the kind mouse lost her red ball in the garden."


def compare(mine, theirs, bound=1e-5):
    """A line that says how near two arrays are; AssertionError where they are not.

    Every difference must be below `bound`, and the shapes must be the same.
    """
    mine, theirs = np.asarray(mine), np.asarray(theirs)
    assert mine.shape == theirs.shape, f"shape {mine.shape}, expected {theirs.shape}"
    gap = np.abs(mine - theirs).max()
    assert gap < bound, f"they differ by {gap}, the bound is {bound}"
    return f"max |difference| < {bound}"


def numerical_gradient(f, x, epsilon=1e-5):
    """The gradient of the scalar f(x) by central differences, in the shape of x.

    x: float64, TypeError otherwise: float32 has too few digits for a difference of two
    nearly equal numbers. `f` is called twice for each entry; x is left as it was.
    """
    if x.dtype != np.float64:
        raise TypeError(f"x must be float64, not {x.dtype}")
    grad = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        old = x[place]
        x[place] = old + epsilon
        above = f(x)
        x[place] = old - epsilon
        below = f(x)
        x[place] = old
        grad[place] = (above - below) / (2 * epsilon)
    return grad
