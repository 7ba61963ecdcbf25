"""Files for manufacture, read back by their libraries or by a few lines."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import replace
from pathlib import Path

import ezdxf
import gdstk
import pytest

from search.domains.antenna.produce import manufacture
from search.domains.antenna.produce.outlines import outlines
from tests.search.domains.antenna.jobs import design

RING = design("##### #...# #.#.# #...# #####", (0, 0), (4, 4))
LAYOUT = manufacture.Layout(
    outlines=outlines(RING.mask),
    cell_mm=3.0,
    size_mm=15.0,
    margin_mm=10.0,
    posts=(RING.feed, *RING.vias),
)
METAL_MM2 = 17 * 9.0


def test_gerber_regions_and_polarity() -> None:
    text = manufacture.gerber_metal(LAYOUT)
    assert re.findall(r"%LP([DC])\*%\nG36", text) == ["D", "C", "D"]
    assert text.count("G36*") == text.count("G37*") == 3
    assert text.endswith("M02*\n")
    areas = []
    for region in re.findall(r"G36\*\n(.*?)G37", text, re.DOTALL):
        points = [
            (int(x) / 1e6, int(y) / 1e6)
            for x, y in re.findall(r"X(-?\d+)Y(-?\d+)D", region)
        ]
        assert points[0] == points[-1]
        areas.append(
            sum(a * d - c * b for (a, b), (c, d) in itertools.pairwise(points)) / 2
        )
    assert sum(areas) == pytest.approx(METAL_MM2)


def test_board_and_holes() -> None:
    assert "X25000000Y25000000D01*" in manufacture.gerber_outline(LAYOUT)
    text = manufacture.drill(LAYOUT)
    lines = text.splitlines()
    assert [line for line in lines[:6] if not line.startswith(";")] == [
        "M48",
        "METRIC",
        "T01C1.290",
    ]
    assert "; #@! TF.FileFunction,Plated,1,2,PTH" in lines
    assert re.findall(r"X([\d.]+)Y([\d.]+)", text) == [
        ("1.500", "1.500"),
        ("13.500", "13.500"),
    ]


def test_dxf_has_the_same_outlines(tmp_path: Path) -> None:
    manufacture.write_dxf(LAYOUT, tmp_path / "a.dxf")
    space = ezdxf.readfile(tmp_path / "a.dxf").modelspace()
    metal = space.query('LWPOLYLINE[layer=="METAL"]')
    assert len(metal) == 3
    assert all(line.closed for line in metal)
    assert len(space.query("CIRCLE")) == 2


def test_gds_metal_has_the_area_of_the_cells(tmp_path: Path) -> None:
    manufacture.write_gds(LAYOUT, tmp_path / "a.gds")
    (cell,) = gdstk.read_gds(str(tmp_path / "a.gds")).top_level()
    metal = [polygon for polygon in cell.polygons if polygon.layer == 1]
    assert sum(polygon.area() for polygon in metal) == pytest.approx(METAL_MM2)


@pytest.mark.parametrize(("cell_mm", "drill_mm"), [(0.4, 0.17), (3.0, 1.29), (10.0, 1.3)])
def test_holes_fit_their_cells_and_an_sma_pin(cell_mm: float, drill_mm: float) -> None:
    assert replace(LAYOUT, cell_mm=cell_mm).drill_mm == drill_mm


@pytest.mark.parametrize("cell_mm", [0.1, 0.4, 3.0])
def test_gds_holes_are_round(tmp_path: Path, cell_mm: float) -> None:
    layout = replace(LAYOUT, cell_mm=cell_mm)
    manufacture.write_gds(layout, tmp_path / "a.gds")
    (cell,) = gdstk.read_gds(str(tmp_path / "a.gds")).top_level()
    holes = [polygon.area() for polygon in cell.polygons if polygon.layer == 2]
    circle = math.pi * layout.drill_mm**2 / 4
    assert holes == [pytest.approx(circle, rel=1e-3)] * 2
