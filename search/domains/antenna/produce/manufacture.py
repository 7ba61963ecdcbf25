"""Files for manufacture: Gerber and Excellon, DXF and GDSII. Lengths in millimetres.

Metal is one merged outline for each island; holes are cut out of it. The origin is the grid's
corner. Gerber: Ucamco, The Gerber Layer Format Specification, revision 2024.05. Drill file:
XNC format, Ucamco 2021.11, a strict subset of Excellon.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from search.domains.antenna.produce.outlines import Outline

_GDS_MM = 1e-6  # resolution of GDSII files
_ROUND = 5e-4  # of a hole's radius, by which its polygon in GDSII may deviate
_DIGITS = 1_000_000  # of a millimetre in Gerber coordinates
_PIN_MM = 1.3  # hole for the pin of an SMA connector, 1.27 mm
_PIN_OF_CELL = 0.43  # of a cell's side that a hole takes at most


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Metal, holes and board of one antenna."""

    outlines: Sequence[Outline]
    cell_mm: float
    size_mm: float  # of the grid
    margin_mm: float  # board beyond the grid
    posts: Sequence[tuple[int, int]]  # the feed's cell first, then vias

    @property
    def drill_mm(self) -> float:
        """Diameter of the holes for feed pin and vias."""
        return round(min(_PIN_MM, _PIN_OF_CELL * self.cell_mm), 2)

    def loops_mm(self) -> list[tuple[list[tuple[float, float]], bool]]:
        """Return (points, whether it is a hole) of each outline."""
        a = self.cell_mm
        return [([(x * a, y * a) for x, y in o.points], o.hole) for o in self.outlines]

    def holes_mm(self) -> list[tuple[float, float]]:
        """Return the centres of the posts."""
        return [
            ((i + 0.5) * self.cell_mm, (j + 0.5) * self.cell_mm) for i, j in self.posts
        ]

    def board_mm(self) -> list[tuple[float, float]]:
        """Return the board's corners."""
        low, high = -self.margin_mm, self.size_mm + self.margin_mm
        return [(low, low), (high, low), (high, high), (low, high)]


def gerber_metal(layout: Layout) -> str:
    """Return the metal layer: a dark region for each outline, a clear one for each hole."""
    lines = _gerber_head("Copper,L1,Top", "Positive")
    for points, hole in layout.loops_mm():
        lines += ["%LPC*%" if hole else "%LPD*%", "G36*"]
        lines += [f"{_at(points[0])}D02*", "G01*"]
        lines += [f"{_at(point)}D01*" for point in (*points[1:], points[0])]
        lines.append("G37*")
    return "\n".join([*lines, "M02*", ""])


def gerber_outline(layout: Layout) -> str:
    """Return the board's outline."""
    corners = layout.board_mm()
    lines = [*_gerber_head("Profile,NP", ""), "%ADD10C,0.1*%", "D10*"]
    lines += [f"{_at(corners[0])}D02*", "G01*"]
    lines += [f"{_at(point)}D01*" for point in (*corners[1:], corners[0])]
    return "\n".join([*lines, "M02*", ""])


def drill(layout: Layout) -> str:
    """Return the holes of feed and vias; attributes in comments say that they are plated."""
    holes = [f"X{x:.3f}Y{y:.3f}" for x, y in layout.holes_mm()]
    head = [
        "M48",
        "; #@! TF.FileFunction,Plated,1,2,PTH",
        ";TYPE=PLATED",
        "METRIC",
        "; #@! TA.AperFunction,Plated,PTH,ComponentDrill",
        f"T01C{layout.drill_mm:.3f}",
    ]
    return "\n".join([*head, "%", "G05", "T01", *holes, "M30", ""])


def write_dxf(layout: Layout, path: Path) -> None:
    """Write DXF R2000: layers METAL, FEED, VIA and BOARD; holes are closed polylines too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the library's own dependencies
        import ezdxf
        from ezdxf import units

    document = ezdxf.new("R2000", units=units.MM)
    for name, colour in (("METAL", 1), ("FEED", 3), ("VIA", 5), ("BOARD", 8)):
        document.layers.add(name, color=colour)
    space = document.modelspace()
    for points, _ in layout.loops_mm():
        space.add_lwpolyline(points, close=True, dxfattribs={"layer": "METAL"})
    board = {"layer": "BOARD"}
    space.add_lwpolyline(layout.board_mm(), close=True, dxfattribs=board)
    for number, centre in enumerate(layout.holes_mm()):
        layer = {"layer": "VIA" if number else "FEED"}
        space.add_circle(centre, layout.drill_mm / 2, dxfattribs=layer)
    document.saveas(path)


def write_gds(layout: Layout, path: Path) -> None:
    """Write GDSII with unit 1 mm: layer 1 metal, 2 holes, 3 board."""
    import gdstk

    library = gdstk.Library(unit=1e-3, precision=_GDS_MM * 1e-3)
    cell = library.new_cell("ANTENNA")
    metal = [gdstk.Polygon(points) for points, hole in layout.loops_mm() if not hole]
    air = [gdstk.Polygon(points) for points, hole in layout.loops_mm() if hole]
    # An island inside a hole is metal again, so holes are taken from the metal around them alone.
    merged: list[gdstk.Polygon] = []
    for island in metal:
        inner = [hole for hole in air if hole.area() < island.area()]
        # Its default would round corners to a micrometre, though the file has nanometres.
        merged += (
            gdstk.boolean(island, inner, "not", precision=_GDS_MM, layer=1)
            if inner
            else [island]
        )
    for polygon in merged:
        polygon.layer = 1
    cell.add(*merged, gdstk.Polygon(layout.board_mm(), layer=3))
    for centre in layout.holes_mm():
        radius = layout.drill_mm / 2
        # Its default, 0.01 mm, made a hole of 0.17 mm a tenth too small in area.
        cell.add(gdstk.ellipse(centre, radius, layer=2, tolerance=_ROUND * radius))
    library.write_gds(str(path))


def _gerber_head(function: str, polarity: str) -> list[str]:
    lines = [
        "%TF.GenerationSoftware,trimtab,antenna*%",
        f"%TF.FileFunction,{function}*%",
    ]
    if polarity:
        lines.append(f"%TF.FilePolarity,{polarity}*%")
    return [*lines, "%FSLAX46Y46*%", "%MOMM*%", "%LPD*%", "G01*"]


def _at(point: tuple[float, float]) -> str:
    return f"X{round(point[0] * _DIGITS)}Y{round(point[1] * _DIGITS)}"
