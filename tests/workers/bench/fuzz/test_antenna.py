"""The antenna fuzzer: its readers notice what is wrong, and its own cases pass."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from search.domains.antenna.design import Design
from search.domains.antenna.produce import manufacture
from search.domains.antenna.produce.files import layout_of
from trimtab.specs.antenna import AntennaSpec
from workers.bench.fuzz.antenna import check, draw, readers

SPEC = AntennaSpec.model_validate(
    {
        "bands": [{"f_lo_hz": 5e9, "f_hi_hz": 5.1e9}],
        "grid": {"cells": 6, "cell_mm": 3.0},
    },
    strict=False,
)


def ring() -> Design:
    """A ring around an island."""
    mask = np.ones((6, 6), bool)
    mask[1:5, 1:5] = False
    mask[2:4, 2:4] = True
    return Design(mask=mask, feed=(0, 0), vias=((2, 3),))


def test_readers_see_a_ring_around_an_island(tmp_path: Path) -> None:
    design = ring()
    layout = layout_of(SPEC, design)
    manufacture.write_dxf(layout, tmp_path / "a.dxf")
    manufacture.write_gds(layout, tmp_path / "a.gds")
    gerber = readers.read_gerber(manufacture.gerber_metal(layout), count=6, cell_mm=3.0)
    dxf, circles = readers.read_dxf(tmp_path / "a.dxf", count=6, cell_mm=3.0)
    gds = readers.read_gds(tmp_path / "a.gds", count=6, cell_mm=3.0)
    for read in (gerber, dxf, gds):
        assert np.array_equal(read.cells, design.mask)
        assert read.area_mm2 == pytest.approx(design.mask.sum() * 9.0)
    assert circles[0].tolist() == pytest.approx([1.5, 1.5, layout.drill_mm / 2])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("%LPC*%", "%LPD*%"),
        ("X18000000Y", "X15000000Y"),
        ("%MOMM*%", "%MOIN*%"),
        ("M02*", ""),
    ],
)
def test_a_wrong_gerber_file_is_noticed(old: str, new: str) -> None:
    design = ring()
    text = manufacture.gerber_metal(layout_of(SPEC, design))
    changed = text.replace(old, new)
    assert changed != text
    try:
        read = readers.read_gerber(changed, count=6, cell_mm=3.0)
    except ValueError:
        return
    assert not np.array_equal(read.cells, design.mask)


def test_illegal_designs_are_noticed() -> None:
    design = ring()
    check._obeys(SPEC.model_copy(update={"max_vias": 1}), design)
    for fields in (
        {"max_vias": 0},
        {"max_vias": 1, "connected": True},
        {"max_vias": 1, "feed": (1, 0)},
        {"max_vias": 1, "min_feature_mm": 6.0},
    ):
        with pytest.raises(check.Disagreement):
            check._obeys(SPEC.model_copy(update=fields), design)
    corner = np.eye(6, dtype=bool)
    with pytest.raises(check.Disagreement, match="corner"):
        check._obeys(SPEC, Design(mask=corner, feed=(0, 0)))


@pytest.mark.parametrize("number", range(len(draw.FAULTS)))
def test_every_fault_is_refused_by_name(number: int) -> None:
    rng = np.random.default_rng(number)
    name, change = draw.FAULTS[number]
    body = draw.valid(rng, small=False)
    change(body, rng)
    assert check._refuse(body, name) == "refused"


@pytest.mark.parametrize("index", range(12))
def test_cases_pass(index: int) -> None:
    outcome = check.check(index, np.random.default_rng([7, index]))
    assert outcome.finding is None, outcome.finding
