"""The check's own rules, on designs that break one each."""

from __future__ import annotations

from typing import Any

import pytest

from search.domains.antenna.design import Design
from search.domains.antenna.verify.legality import broken_rules
from tests.search.domains.antenna.jobs import PATCH, design, job

FIRST = "...... .####. .####. .####. .####. ......"
CORNER = design("...... .##... .##... ...##. ...##. ......", (1, 1))
ISLANDS = design("...... .##... .##... ...... .####. ......", (1, 1))


def test_a_plain_patch_is_legal() -> None:
    assert (
        broken_rules(job(connected=True, symmetric=True, min_feature_mm=9.0), PATCH) == []
    )


@pytest.mark.parametrize(
    ("fields", "made", "part"),
    [
        ({}, CORNER, "meet at a corner alone"),
        ({}, design(FIRST, (0, 0)), "feed: expected a cell of the metal"),
        ({}, design(FIRST, (0, 9)), "feed: expected a cell of the metal"),
        ({"feed": [1, 1]}, PATCH, "feed: expected [1, 1], got [2, 2]"),
        ({}, design(FIRST, (2, 2), (3, 3)), "vias: expected at most 0, got 1"),
        ({"max_vias": 1}, design(FIRST, (2, 2), (2, 2)), "cells of their own"),
        ({"symmetric": True}, ISLANDS, "mirror symmetry"),
        ({"connected": True}, ISLANDS, "expected one piece"),
        ({"min_feature_mm": 6.0}, ISLANDS, "at least 2 cells wide"),
        ({"grid": {"cells": 7, "cell_mm": 3.0}}, PATCH, "expected 7 x 7 cells"),
    ],
)
def test_each_rule_is_checked(fields: dict[str, Any], made: Design, part: str) -> None:
    assert part in "; ".join(broken_rules(job(**fields), made))
