"""The comparison with the model and the gradient by differences, which chapters use."""

import numpy as np
import pytest

from gptbook.lesson import compare, numerical_gradient


def test_compare_says_how_near():
    assert compare([1.0, 2.0], [1.0, 2.0 + 9e-6]) == "max |difference| < 1e-05"
    assert compare([1.0], [1.3], bound=0.5) == "max |difference| < 0.5"


@pytest.mark.parametrize(
    ("mine", "theirs", "message"),
    [
        ([1.0, 2.0], [1.0, 2.1], "they differ by 0.1"),
        ([[1.0]], [1.0], r"shape \(1, 1\), expected \(1,\)"),
        ([np.nan], [1.0], "they differ by nan"),
    ],
)
def test_compare_refuses(mine, theirs, message):
    with pytest.raises(AssertionError, match=message):
        compare(mine, theirs)


def test_numerical_gradient_of_a_cubic():
    x = np.random.default_rng(0).normal(size=(2, 3))
    kept = x.copy()
    np.testing.assert_allclose(
        numerical_gradient(lambda x: (x**3).sum(), x), 3 * x**2, atol=1e-8
    )
    np.testing.assert_array_equal(x, kept)


def test_numerical_gradient_needs_float64():
    with pytest.raises(TypeError, match="must be float64, not float32"):
        numerical_gradient(np.sum, np.zeros(2, np.float32))
