"""Statistics of measurements: intervals as published, and where they must lie."""

from __future__ import annotations

import math

import pytest

from workers.bench.stats import (
    bootstrap_interval,
    mean_interval,
    quantile,
    ratio_of_means,
    wilson,
)


def test_wilson_is_as_published() -> None:
    assert wilson(38, 40) == [0.835, 0.9862]
    assert wilson(0, 40) == [0.0, 0.0876]
    assert wilson(0, 0) is None


def test_ratios_are_resampled_by_pairs() -> None:
    """Where every pair has the same ratio, so has every resample."""
    ratio = ratio_of_means([1.0, 2.0, 3.0], [2.0, 4.0, 6.0])
    assert ratio == pytest.approx((0.5, 0.5, 0.5))
    middle, low, high = ratio_of_means([1.0, 2.0, 3.0], [3.0, 2.0, 1.0])
    assert low < middle == 1.0 < high


def test_quantiles_are_values_of_the_sample() -> None:
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([3.0, 1.0, 2.0], 1.0) == 3.0
    assert math.isnan(quantile([], 0.5))


def test_intervals_hold_the_mean() -> None:
    values = [1.0, 2.0, 4.0, 8.0]
    low, high = bootstrap_interval(values, resamples=500)
    mean, least, most = mean_interval(values)
    assert least < low < mean < high < most
    assert math.isnan(mean_interval([1.0])[1])
