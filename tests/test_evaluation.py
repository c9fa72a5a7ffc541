"""The measures of how good a model is."""

import math

import pytest

from gptbook.evaluation import interval


@pytest.mark.parametrize(("k", "n"), [(1, 3), (5, 10), (74, 100), (299, 300)])
def test_interval_ends_where_the_share_would_be_z_deviations_off(k, n):
    for bound in interval(k, n):
        deviation = math.sqrt(bound * (1 - bound) / n)
        assert abs(k / n - bound) == pytest.approx(1.96 * deviation)


def test_interval_stays_between_0_and_1():
    low, high = interval(0, 10)
    assert low == 0 and high == pytest.approx(1.96**2 / (10 + 1.96**2))
    assert interval(10, 10) == pytest.approx((1 - high, 1))
    assert interval(50, 100)[0] > interval(5, 10)[0]
