"""Adaptive neighbourhood size."""

from __future__ import annotations

import pytest

from search.lns.size_control import Size


def test_size_moves_both_ways_and_stays_in_its_bounds() -> None:
    size = Size(k=100, least=10, most=200)
    assert size.after(proved=True, improved=False, seconds=0.01, limit_s=1.0).count > 100
    assert size.after(proved=False, improved=False, seconds=1.0, limit_s=1.0).count < 100
    assert size.after(proved=True, improved=False, seconds=0.9, limit_s=1.0).count == 100
    for _ in range(50):
        size = size.after(proved=True, improved=False, seconds=0.0, limit_s=1.0)
    assert size.count == 200
    for _ in range(50):
        size = size.after(proved=False, improved=False, seconds=1.0, limit_s=1.0)
    assert size.count == 10
    with pytest.raises(ValueError, match="least"):
        Size(k=1, least=5, most=2)


def test_factors_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="grow > 1"):
        Size(k=1, least=1, most=2, grow=0.9)


def test_what_no_size_changes_does_not_count() -> None:
    """0.14 s of 0.3 s are slow in themselves, but not where the LP alone takes 0.12 s."""
    size = Size(k=10, least=10, most=200)
    ended = {"proved": True, "improved": False, "seconds": 0.14}
    assert size.after(**ended, limit_s=0.3).count == 10
    assert size.after(**ended, limit_s=0.72, base_s=0.12).count > 10
