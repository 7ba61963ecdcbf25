"""Pictures are well-formed and show what they must."""

from __future__ import annotations

import xml.etree.ElementTree as Xml
from pathlib import Path

import numpy as np

from search.domains.antenna.produce.plots import draw_pattern, draw_smith
from search.domains.antenna.verify.fine import solve_fine
from tests.search.domains.antenna.jobs import PATCH, problem


def test_smith_chart_and_pattern_are_xml_and_name_their_parts(tmp_path: Path) -> None:
    made = problem(tmp_path)
    fine = solve_fine(made, PATCH)
    frequencies = np.linspace(*made.range_hz, 51)
    curves = {"method of moments": (frequencies, fine.response(frequencies))}
    smith = draw_smith(made.spec, curves)
    pattern = draw_pattern([fine.far_field_at(6.1e9)])
    for text in (smith, pattern):
        assert Xml.fromstring(text).tag.endswith("svg")
        assert "nan" not in text
    assert "squares: within a band" in smith
    assert "+j0.5" in smith
    inside = (frequencies >= 6.0e9) & (frequencies <= 6.2e9)
    assert smith.count('class="bar c0"') == inside.sum() + 1  # and the legend
    assert "φ = 90°" in pattern
    assert ">-50<" in pattern
