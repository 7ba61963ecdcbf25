from __future__ import annotations

import xml.etree.ElementTree as Xml

from solvers.field.openems.pixels import simulation
from tests.solvers.field.boards import BOARD, FEED, GRID, random_mask


def document() -> Xml.Element:
    built = simulation(
        BOARD, GRID, random_mask(0), port=FEED, vias=[(4, 5)], band_hz=(2e9, 8e9)
    )
    return Xml.fromstring(built.xml())


def test_every_box_lies_on_mesh_lines() -> None:
    root = document()
    grid = root.find(".//RectilinearGrid")
    assert grid is not None
    lines = {
        axis: set((grid.findtext(f"{axis}Lines") or "").split(","))
        for axis in ("X", "Y", "Z")
    }
    boxes = [
        *root.findall(".//Metal/Primitives/Box"),
        *root.findall(".//Material/Primitives/Box"),
        *root.findall(".//LumpedElement/Primitives/Box"),
        *root.findall(".//Excitation/Primitives/Box"),
    ]
    assert len(boxes) > 6
    for box in boxes:
        for corner in box:
            for axis in ("X", "Y", "Z"):
                assert corner.attrib[axis] in lines[axis], (corner.tag, axis)


def test_probes_measure_the_port() -> None:
    root = document()
    kinds = {probe.attrib["Name"]: probe for probe in root.findall(".//ProbeBox")}
    assert set(kinds) == {"port_ut", "port_it"}
    start, end = kinds["port_ut"].findall(".//Box/*")
    assert start.attrib["X"] == end.attrib["X"], "a line along z"
    assert float(end.attrib["Z"]) - float(start.attrib["Z"]) == BOARD.height_m * 1e3


def test_settings_of_the_run() -> None:
    root = document()
    excitation = root.find("FDTD/Excitation")
    assert excitation is not None
    assert float(excitation.attrib["f0"]) == 5e9
    boundaries = root.find("FDTD/BoundaryCond")
    assert boundaries is not None
    assert set(boundaries.attrib.values()) == {"MUR"}
