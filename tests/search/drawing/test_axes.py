"""Round ticks at every scale, and points that stay within the axes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.drawing.axes import LinePlot
from search.drawing.ticks import round_ticks, tick_text


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (-30.0, 0.0, [-30.0, -25.0, -20.0, -15.0, -10.0, -5.0, 0.0]),
        (5.15, 6.46, [5.2, 5.4, 5.6, 5.8, 6.0, 6.2, 6.4]),
        (0.0, 24.0, [0.0, 5.0, 10.0, 15.0, 20.0]),
        (-90.0, 90.0, [-50.0, 0.0, 50.0]),
    ],
)
def test_ticks_are_round(low: float, high: float, ticks: list[float]) -> None:
    assert round_ticks(low, high) == pytest.approx(ticks)


@given(st.floats(-1e12, 1e12), st.floats(1e-6, 1e12), st.integers(3, 12))
def test_ticks_lie_in_the_range_and_are_few(low: float, span: float, most: int) -> None:
    high = low + span
    if not high > low or span < 1e-9 * abs(low):
        return
    ticks = round_ticks(low, high, most=most)
    assert 1 <= len(ticks) <= most
    slack = 1e-6 * span + 1e-12 * abs(low)
    assert all(low - slack <= tick <= high + slack for tick in ticks)


@pytest.mark.parametrize(
    ("value", "span", "text"),
    [
        (0.3, 1.0, "0.3"),
        (3 * 0.1, 0.5, "0.3"),
        (-50.0, 180.0, "-50"),
        (1234.5, 2.0, "1234.5"),
        (20000.0, 8e4, "20000"),
        (2e9, 8e9, "2e+09"),
        (2e-6, 8e-6, "2e-06"),
        (0.0, 1.0, "0"),
    ],
)
def test_ticks_are_written_short(value: float, span: float, text: str) -> None:
    assert tick_text(value, span) == text


def test_neighbours_have_different_texts() -> None:
    for low, high in ((100.0, 100.004), (0.0, 7.0), (-3e4, 9e5), (5.0, 5.5)):
        ticks = round_ticks(low, high)
        texts = [tick_text(tick, high - low) for tick in ticks]
        assert len(set(texts)) == len(ticks) >= 2


def test_a_range_beyond_doubles_keeps_its_ends() -> None:
    assert round_ticks(-1.7e308, 1.7e308, most=1) == [-1.7e308, 1.7e308]


def test_points_beyond_the_axes_are_drawn_at_the_edge() -> None:
    plot = LinePlot("t", (0.0, 1.0), (0.0, 1.0), x_label="x", y_label="y", keys=0)
    assert plot.place(-5.0, 7.0) == plot.place(0.0, 1.0)
    assert all(math.isfinite(value) for value in plot.place(1e308, -1e308))
