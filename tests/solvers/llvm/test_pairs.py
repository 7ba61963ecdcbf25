"""Paired timings: exact intervals, and robustness to noise and drift."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

from solvers.llvm.pairs import median_interval, time_pairs


@pytest.mark.parametrize("n", [5, 6, 9, 11, 15, 40])
def test_the_interval_is_exact_order_statistics(n: int) -> None:
    low, high = median_interval([float(i) for i in range(n)])
    if not math.isfinite(high):
        assert n < 6, "five values have no interval of 95 %"
        return
    k = int(low)
    assert high == n - 1 - k
    outside = 2 * sum(math.comb(n, i) for i in range(k + 1)) / 2**n
    assert outside <= 0.05 < 2 * sum(math.comb(n, i) for i in range(k + 2)) / 2**n


def test_the_interval_encloses_the_median_with_its_confidence() -> None:
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(2000):
        low, high = median_interval(sorted(rng.lognormal(size=11).tolist()))
        inside += low <= 1.0 <= high
    assert inside / 2000 >= 0.95


def test_equal_programs_are_rarely_called_faster() -> None:
    rng = np.random.default_rng(1)
    faster = sum(
        time_pairs(
            lambda: rng.normal(1.0, 0.05), lambda: rng.normal(1.0, 0.05), 11
        ).faster
        for _ in range(400)
    )
    assert faster / 400 <= 0.025 + 0.02, "one side of the 95 %"
    timing = time_pairs(lambda: rng.normal(0.8, 0.05), lambda: rng.normal(1.0, 0.05), 11)
    assert timing.faster
    assert timing.ratio == pytest.approx(0.8, abs=0.07)
    with pytest.raises(ValueError, match="expected at least 1, got 0"):
        time_pairs(lambda: 1.0, lambda: 1.0, 0)


def test_a_drifting_machine_affects_both_alike() -> None:
    """Each run is slower than the one before; in alternating pairs that cancels."""
    slow = iter(1.0 + 0.02 * i for i in range(1000))
    ratios = [
        time_pairs(lambda: next(slow), lambda: next(slow), 10).ratio for _ in range(5)
    ]
    assert statistics.fmean(ratios) == pytest.approx(1.0, abs=0.01)


def test_the_order_alternates_within_pairs() -> None:
    calls: list[str] = []

    def run(name: str) -> float:
        calls.append(name)
        return 1.0

    time_pairs(lambda: run("ours"), lambda: run("theirs"), 3)
    assert calls == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]


def test_the_sentence_names_ratio_interval_and_pairs() -> None:
    seconds = iter([1.0, 2.0] * 40)
    timing = time_pairs(lambda: next(seconds), lambda: 2.0, 8)
    assert timing.baseline_s == 2.0
    assert f"{timing.ratio:.3f} [" in timing.sentence()
    assert timing.sentence().endswith("of the 2 s of -O2, 8 pairs of runs")
