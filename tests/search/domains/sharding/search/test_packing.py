"""Packing by integer programming covers every cut into multiples of 4."""

from __future__ import annotations

import numpy as np
import pytest

from search.domains.sharding.encode.plan import fits
from search.domains.sharding.search import packing
from search.domains.sharding.search.packing import pack
from tests.search.domains.sharding.conftest import items_of


@pytest.mark.parametrize(("columns", "possible"), [(32, True), (28, False)])
def test_packing_is_over_every_cut(columns: int, possible: bool) -> None:
    """Three tables of 20 columns on two devices of 32: 20 + 12 and 20 + 8, or nothing."""
    items = items_of(20, 20, 20)
    capacity = np.full(2, columns * 4e3)
    plan, impossible = pack(items, capacity, seconds=20)
    assert (plan is not None) is possible
    assert impossible is not possible
    assert plan is None or fits(items, plan, capacity)


def test_huge_problems_are_left_to_the_heuristics(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(packing, "MAX_PACKING", 3)
    assert pack(items_of(20, 20), np.full(2, 1.0), seconds=20) == (None, False)
