"""Pictures are well-formed and show what they must."""

from __future__ import annotations

import xml.etree.ElementTree as Xml
from pathlib import Path

import numpy as np

from search.domains.antenna.produce.plots import (
    draw_metal,
    draw_pattern,
    draw_s11,
    draw_smith,
)
from search.domains.antenna.verify.fine import solve_fine
from tests.search.domains.antenna.jobs import PATCH, problem


def test_every_picture_is_xml_and_names_its_parts(tmp_path: Path) -> None:
    made = problem(tmp_path, avoid=[{"f_lo_hz": 5.5e9, "f_hi_hz": 5.6e9}])
    fine = solve_fine(made, PATCH)
    frequencies = np.linspace(*made.range_hz, 51)
    curves = {"method of moments": (frequencies, fine.response(frequencies))}
    pictures = {
        "metal": draw_metal(made.spec, PATCH),
        "s11": draw_s11(made.spec, curves),
        "smith": draw_smith(made.spec, curves),
        "pattern": draw_pattern([fine.far_field_at(6.1e9)]),
    }
    for text in pictures.values():
        assert Xml.fromstring(text).tag.endswith("svg")
        assert "nan" not in text
    assert pictures["metal"].count('class="bar metal"') == 16 + 1  # cells and legend
    assert "4.5 mm" in pictures["metal"]
    assert "at most -10 dB" in pictures["s11"]
    assert "at least -3 dB" in pictures["s11"]
    assert "within a band" in pictures["smith"]
    assert "φ = 90°" in pictures["pattern"]
