"""Ratios over paired rounds, and ceilings by the bytes that a step reads."""

from __future__ import annotations

from typing import Any

import pytest

from workers.bench.llm import speed_tables


def line(contender: str, rounds: list[float]) -> dict[str, Any]:
    return {"scenario": "1x100", "contender": contender, "rounds_cpu_ms": rounds}


def found(rows: list[dict[str, Any]]) -> tuple[float, float, float]:
    ratio = speed_tables.ratio(rows, "1x100", "slow", "fast")
    assert ratio is not None
    return ratio


def test_a_ratio_is_over_all_rounds_with_an_interval_around_it() -> None:
    rows = [
        line("slow", [20.0, 24.0, 22.0, 30.0]),
        line("fast", [10.0, 12.0, 11.0, 15.0]),
    ]
    ratio, low, high = found(rows)
    # A busy round slows both: the pairs agree exactly.
    assert ratio == pytest.approx(2.0)
    assert low == pytest.approx(2.0)
    assert high == pytest.approx(2.0)
    rows[1] = line("fast", [10.0, 15.0, 11.0, 12.0])
    ratio, low, high = found(rows)
    assert low < ratio < high


def test_the_ceiling_is_one_without_eviction_and_grows_with_the_cache() -> None:
    # Scores and positions cost a little.
    assert 0.97 < speed_tables.ceiling(1, 2048, 2048) < 1
    long, longer = (speed_tables.ceiling(1, n, n // 5) for n in (2048, 8192))
    batch = speed_tables.ceiling(8, 8192, 8192 // 5)
    assert 1 < long < longer < batch < 5


def test_the_ceiling_counts_weights_keys_values_and_scores() -> None:
    full = 134_500_000 + 8 * 2048 * 23_040
    evicting = 134_500_000 + 8 * 409 * (23_040 + 1080)
    assert speed_tables.ceiling(8, 2048, 409) == pytest.approx(full / evicting)


def test_an_engine_that_did_not_run_has_no_figure() -> None:
    assert speed_tables._speed_cell([], "1x100", "openvino") == "not run"
    assert speed_tables.ratio([line("slow", [1.0])], "1x100", "slow", "fast") is None
