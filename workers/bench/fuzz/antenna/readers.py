"""Independent readers of an antenna's files. They share no code with what wrote them.

Each returns the metal as cells: True where the centre of a cell lies in metal.
"""

from __future__ import annotations

import math
import re
import warnings
import xml.etree.ElementTree as Xml
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Cells = NDArray[np.bool_]
Loop = NDArray[np.float64]  # (points, 2), closed, mm
_FORMAT = re.compile(r"%FSLAX(\d)(\d)Y\1\2\*%")
_MOVE = re.compile(r"X(-?\d+)Y(-?\d+)D0([12])\*")
_HOLE = re.compile(r"^X(-?[\d.]+)Y(-?[\d.]+)$", re.M)


@dataclass(frozen=True, kw_only=True)
class Read:
    """The metal that a file describes."""

    cells: Cells
    area_mm2: float


def read_gerber(text: str, *, count: int, cell_mm: float) -> Read:
    """Read regions in the order of the file: dark ones add metal, clear ones remove it."""
    unit = _gerber_unit(text)
    cells, area, dark = np.zeros((count, count), bool), 0.0, True
    in_region = False
    loop: list[list[float]] = []
    for line in text.splitlines():
        if line in ("%LPD*%", "%LPC*%"):
            dark = line == "%LPD*%"
        elif line == "G36*":
            in_region, loop = True, []
        elif line == "G37*":
            points = np.array(loop)
            if (points[0] != points[-1]).any():
                raise ValueError("a region is not closed")
            inside = _inside(points, count, cell_mm)
            if dark and (cells & inside).any():
                raise ValueError("a dark region lies over metal")
            cells = cells | inside if dark else cells & ~inside
            area += abs(_area(points)) * (1 if dark else -1)
            in_region = False
        elif (move := _MOVE.fullmatch(line)) and in_region:
            loop.append([int(move[1]) * unit, int(move[2]) * unit])
    if not text.endswith("M02*\n"):
        raise ValueError("the file has no end")
    return Read(cells=cells, area_mm2=area)


def read_profile(text: str) -> Loop:
    """Return the board's outline of a Gerber profile."""
    unit = _gerber_unit(text)
    moves = [_MOVE.fullmatch(line) for line in text.splitlines()]
    return np.array([[int(m[1]) * unit, int(m[2]) * unit] for m in moves if m])


def read_drill(text: str) -> tuple[float, Loop]:
    """Return the tool's diameter and the holes of an XNC file in millimetres."""
    tool = re.search(r"^T01C([\d.]+)$", text, re.M)
    if tool is None or "\nMETRIC\n" not in text or not text.startswith("M48\n"):
        raise ValueError("no tool, unit or header")
    return float(tool[1]), np.array(
        [[float(x), float(y)] for x, y in _HOLE.findall(text)]
    )


def read_dxf(path: Path, *, count: int, cell_mm: float) -> tuple[Read, Loop]:
    """Read metal and feed (centre, radius) of a DXF file; loops by the even-odd rule."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ezdxf

        document = ezdxf.readfile(path)
        faults = document.audit().errors
    if faults:
        raise ValueError(f"the DXF file has faults: {faults[0].message}")
    cells, area = np.zeros((count, count), bool), 0.0
    space = document.modelspace()
    loops = [
        np.array([(x, y) for x, y, *_ in line.get_points()])
        for line in space.query('LWPOLYLINE[layer=="METAL"]')
    ]
    for loop in loops:
        cells ^= _inside(loop, count, cell_mm)
    # Metal inside a hole is metal again: a loop counts by the number of loops around it.
    for loop in loops:
        around = sum(_contains(other, loop[0]) for other in loops if other is not loop)
        area += abs(_area(loop)) * (1 if around % 2 == 0 else -1)
    circles = [
        [circle.dxf.center.x, circle.dxf.center.y, circle.dxf.radius]
        for circle in space.query('CIRCLE[layer=="FEED"]')
    ]
    return Read(cells=cells, area_mm2=area), np.array(circles)


def read_gds(path: Path, *, count: int, cell_mm: float) -> Read:
    """Read layer 1 of a GDSII file."""
    import gdstk

    library = gdstk.read_gds(str(path))
    metal = [
        polygon
        for cell in library.cells
        for polygon in cell.polygons
        if polygon.layer == 1
    ]
    scale = library.unit / 1e-3
    centres = (np.arange(count) + 0.5) * cell_mm / scale
    points = [(x, y) for x in centres for y in centres]
    covered = [gdstk.inside(points, [polygon]) for polygon in metal]
    if covered and np.sum(covered, axis=0).max() > 1:
        raise ValueError("polygons overlap")
    inside = np.any(covered, axis=0) if covered else np.zeros(len(points), bool)
    area = sum(polygon.area() for polygon in metal) * scale**2
    return Read(cells=np.reshape(inside, (count, count)), area_mm2=float(area))


def read_simulation(text: bytes, *, count: int, cell_mm: float) -> Cells:
    """Read the sheets of an openEMS model; every sheet must end on mesh lines."""
    root = Xml.fromstring(text)  # noqa: S314 - written by the process that reads it
    lines = {
        name: {float(v) for v in root.findtext(f".//{name}Lines", "").split(",")}
        for name in "XYZ"
    }
    cells = np.zeros((count, count), bool)
    centres = (np.arange(count) + 0.5) * cell_mm
    for box in root.findall(".//Metal[@Name='metal']/Primitives/Box"):
        ends = {}
        for name in "XYZ":
            pair = [float(box.find(p).get(name)) for p in ("P1", "P2")]  # type: ignore[union-attr, arg-type]
            if not set(pair) <= lines[name]:
                raise ValueError(f"a sheet ends at {name} = {pair}, off the mesh lines")
            ends[name] = pair
        if ends["Z"][0] != ends["Z"][1]:
            continue  # a via
        x = (centres > ends["X"][0]) & (centres < ends["X"][1])
        y = (centres > ends["Y"][0]) & (centres < ends["Y"][1])
        if (cells & np.outer(x, y)).any():
            raise ValueError("sheets overlap")
        cells |= np.outer(x, y)
    return cells


def read_touchstone(text: str) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
    """Return frequencies in hertz and S11 of a one-port file in real and imaginary parts."""
    rows = [line for line in text.splitlines() if line and not line.startswith("!")]
    words = rows[0].split()
    if words[:4] != ["#", "Hz", "S", "RI"] or words[4] != "R":
        raise ValueError(f"unexpected option line {rows[0]!r}")
    table = np.array([[float(word) for word in row.split()] for row in rows[1:]])
    if table.shape[1] != 3 or (np.diff(table[:, 0]) <= 0).any():
        raise ValueError("expected three columns in ascending order of frequency")
    return table[:, 0], table[:, 1] + 1j * table[:, 2]


def _gerber_unit(text: str) -> float:
    form = _FORMAT.search(text)
    if form is None or "%MOMM*%" not in text:
        raise ValueError("no format or unit")
    return 10.0 ** -int(form[2])


def _inside(loop: Loop, count: int, cell_mm: float) -> Cells:
    """Return the cells whose centres lie inside, by crossings of a ray along x."""
    centres = (np.arange(count) + 0.5) * cell_mm
    x, y = np.meshgrid(centres, centres, indexing="ij")
    crossings = np.zeros((count, count), int)
    for (x0, y0), (x1, y1) in zip(loop, np.roll(loop, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        between = (y > min(y0, y1)) & (y < max(y0, y1))
        at = x0 + (y - y0) * (x1 - x0) / (y1 - y0)
        crossings += between & (at > x)
    return np.asarray(crossings % 2 == 1)


def _contains(loop: Loop, point: Loop) -> bool:
    """Return whether a point, moved a little off the lattice, lies inside."""
    px, py = point[0] + math.pi * 1e-5, point[1] + math.e * 1e-5
    crossings = 0
    for (x0, y0), (x1, y1) in zip(loop, np.roll(loop, -1, axis=0), strict=True):
        if min(y0, y1) < py < max(y0, y1):
            crossings += x0 + (py - y0) * (x1 - x0) / (y1 - y0) > px
    return crossings % 2 == 1


def _area(loop: Loop) -> float:
    x, y = loop[:, 0], loop[:, 1]
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2)
