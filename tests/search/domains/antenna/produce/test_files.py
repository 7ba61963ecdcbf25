"""Files of a result agree with each other."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from search.domains.antenna.produce.files import produce
from search.domains.antenna.verify.fine import solve_fine
from search.types import Extra
from tests.search.domains.antenna.jobs import PATCH, problem

FILES = {
    "design.json",
    "antenna.s1p",
    "antenna.svg",
    "s11.svg",
    "smith.svg",
    "pattern.svg",
    "antenna.png",
    "poles-zeros.csv",
    "antenna-metal.gbr",
    "antenna-outline.gbr",
    "antenna.drl",
    "antenna.dxf",
    "antenna.gds",
    "antenna-openems.xml",
}


def test_files_are_written_and_agree(tmp_path: Path) -> None:
    made = problem(tmp_path)
    items = produce(made, PATCH, solve_fine(made, PATCH), None, tmp_path)
    assert {item.name for item in items} == FILES
    for item in items:
        if isinstance(item, Extra):
            item.write(tmp_path / item.name)
        assert (tmp_path / item.name).stat().st_size > 0
    described = json.loads((tmp_path / "design.json").read_text())
    assert described["second_solver"]["verdict"] == "not checked by a second solver"
    lines = (tmp_path / "antenna.s1p").read_text().splitlines()
    assert lines[2] == "# Hz S RI R 50"
    table = np.array([[float(word) for word in line.split()] for line in lines[3:]])
    s11 = table[:, 1] + 1j * table[:, 2]
    inside = (table[:, 0] >= 6.0e9) & (table[:, 0] <= 6.2e9)
    worst = 20 * np.log10(np.abs(s11[inside]).max())
    assert worst == pytest.approx(described["bands"][0]["worst_db"], abs=0.05)
    # Poles lie in the upper half plane of e^{jωt}, apart from a few spurious ones.
    poles = np.array(described["poles_hz"])
    assert (poles[:, 1] > 0).mean() > 0.7
    rows = (tmp_path / "poles-zeros.csv").read_text().splitlines()
    assert rows[0] == "kind,re_hz,im_hz,quality"
    assert sum(row.startswith("pole") for row in rows) == len(poles)
    first = next(row.split(",") for row in rows if row.startswith("pole"))
    assert [float(first[1]), float(first[2])] == pytest.approx(list(poles[0]))
    pictures = [item for item in items if item.media_type == "image/svg+xml"]
    assert all(item.alt for item in pictures)
    assert b"antenna" not in (tmp_path / "antenna-openems.xml").read_bytes()[:20]
