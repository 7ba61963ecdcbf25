"""Pictures of an incumbent: what is accepted, and what a hostile run cannot send."""

from __future__ import annotations

from typing import Any

import pytest

from trimtab.pictures import MOST_BYTES, PlotPicture, read_pictures
from trimtab.results import Incumbent

CELLS: dict[str, Any] = {
    "type": "cells",
    "title": "metal",
    "alt": "a cell",
    "rows": ["#.", ".#"],
    "classes": [{"mark": "#", "name": "metal"}],
    "cell": 3.0,
    "unit": "mm",
}
PLOT: dict[str, Any] = {
    "type": "plot",
    "title": "curve",
    "alt": "a curve",
    "x_label": "GHz",
    "y_label": "dB",
    "x": [1.0, 2.0],
    "y": [-30.0, 0.0],
    "curves": [{"name": "a", "x": [1.0, 2.0], "y": [-3.0, -4.0]}],
    "regions": [{"name": "limit", "x": [1.2, 1.4], "y": [-10.0, 0.0]}],
}


def test_pictures_survive_json_and_are_absent_when_there_are_none() -> None:
    assert "pictures" not in Incumbent(elapsed_s=0.0).model_dump(mode="json")
    point = Incumbent(elapsed_s=0.0, pictures=read_pictures([CELLS, PLOT]))
    again = Incumbent.model_validate(point.model_dump(mode="json"))
    assert again == point
    assert isinstance(again.pictures[1], PlotPicture)


@pytest.mark.parametrize(
    ("base", "change"),
    [
        (CELLS, {"type": "svg"}),
        (CELLS, {"title": "a\nb"}),
        (CELLS, {"title": "\x00"}),
        (CELLS, {"title": "x" * 61}),
        (CELLS, {"rows": ["##", "#"]}),
        (CELLS, {"rows": ["#" * 129]}),
        (CELLS, {"rows": []}),
        (CELLS, {"rows": ["<script> "]}),
        (CELLS, {"cell": 0.0}),
        (CELLS, {"cell": float("nan")}),
        (CELLS, {"classes": []}),
        (CELLS, {"href": "http://elsewhere.example"}),
        (PLOT, {"x": [2.0, 1.0]}),
        (PLOT, {"x": [-1.7e308, 1.7e308]}),
        (PLOT, {"y": [0.0, float("inf")]}),
        (PLOT, {"curves": [{"name": "a", "x": [1.0], "y": [1.0, 2.0]}]}),
        (PLOT, {"curves": [{"name": "a", "x": [0.0] * 402, "y": [0.0] * 402}]}),
        (PLOT, {"curves": []}),
        (PLOT, {"curves": "abc"}),
    ],
)
def test_other_values_are_refused(base: dict[str, Any], change: dict[str, Any]) -> None:
    read_pictures([base])
    with pytest.raises(ValueError, match="validation error"):
        read_pictures([{**base, **change}])


def test_number_and_size_are_limited() -> None:
    with pytest.raises(ValueError, match="at most 4"):
        read_pictures([CELLS] * 5)
    curve = {"name": "a", "x": [1.23456789012345] * 401, "y": [1.23456789012345] * 401}
    with pytest.raises(ValueError, match=f"at most {MOST_BYTES} bytes"):
        read_pictures([{**PLOT, "curves": [curve] * 4}])
