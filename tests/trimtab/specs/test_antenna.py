"""Bad input of kind `antenna`: each message names field, value and remedy."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from trimtab.faults import faults_of
from trimtab.specs.antenna import AntennaBoard, AntennaGrid, AntennaSpec
from trimtab.specs.common import request_model

BAND = {"f_lo_hz": 5.15e9, "f_hi_hz": 5.35e9}


def refused(**fields: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        AntennaSpec.model_validate_json(json.dumps({"bands": [BAND], **fields}))
    return str(caught.value)


@pytest.mark.parametrize(
    ("fields", "parts"),
    [
        ({"bands": []}, ["bands", "at least 1 item"]),
        (
            {"bands": [{"f_lo_hz": 5.15, "f_hi_hz": 5.35}]},
            ["bands[0].f_lo_hz: expected", "got 5.15", "give hertz, e.g. 2.45e9"],
        ),
        (
            {"bands": [{"f_lo_hz": 5.4e9, "f_hi_hz": 5.3e9}]},
            ["bands[0]: expected f_lo_hz below f_hi_hz", "got 5.4e+09", "exchange them"],
        ),
        (
            {"bands": [BAND, {"f_lo_hz": 5.3e9, "f_hi_hz": 5.5e9}]},
            [
                "bands[1]: expected bands that do not overlap",
                "bands[0]",
                "merge or separate",
            ],
        ),
        ({"bands": [BAND, BAND]}, ["expected bands that do not overlap"]),
        (
            {"avoid": [{"f_lo_hz": 5.2e9, "f_hi_hz": 5.25e9}]},
            ["avoid[0]: expected bands that do not overlap", "merge or separate"],
        ),
        (
            {"bands": [BAND, {"f_lo_hz": 50e9, "f_hi_hz": 51e9}]},
            ["at most 8 times the lowest", "split the job"],
        ),
        (
            {"grid": {"cells": 12, "cell_mm": 10.0}},
            [
                "grid.cell_mm: expected at least 6 cells per wavelength",
                "got 3.8",
                "at most 6.3 mm",
            ],
        ),
        (
            {"bands": [{"f_lo_hz": 6e7, "f_hi_hz": 7e7}]},
            [
                "grid: expected a side of at least 0.01 wavelengths",
                "got 36 mm",
                "larger grid",
            ],
        ),
        ({"grid": {"cells": 40}}, ["grid.cells", "less than or equal to 19"]),
        ({"grid": {"cell_mm": 0.0}}, ["grid.cell_mm", "greater than or equal to 0.1"]),
        (
            {"feed": [3, 12]},
            ["feed: expected a cell of the grid, 0 to 11", "got [3, 12]"],
        ),
        ({"board": {"size_mm": 20.0}}, ["board.size_mm: expected at least 38", "got 20"]),
        ({"board": {"eps_r": 0.5}}, ["board.eps_r", "greater than or equal to 1"]),
        ({"board": {"tan_d": -0.1}}, ["board.tan_d", "greater than or equal to 0"]),
        ({"board": {"tan_d": 0.5}}, ["board.tan_d", "less than or equal to 0.1"]),
        (
            {"min_feature_mm": 20.0},
            ["min_feature_mm: expected at most half the grid (18)"],
        ),
        ({"fine_solves": 0}, ["fine_solves", "greater than or equal to 1"]),
        ({"verify_runs": 6}, ["verify_runs", "less than or equal to 5"]),
        ({"search": "magic"}, ["search", "annealing", "magic"]),
        ({"topologie": "pixels"}, ["topologie", "Extra inputs"]),
    ],
)
def test_bad_input_is_refused_with_a_remedy(
    fields: dict[str, Any], parts: list[str]
) -> None:
    message = refused(**fields)
    for part in parts:
        assert part in message, message


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"board": {"height_mm": 0.003175}},
            "board.height_mm: expected a value of at least 0.05, got 0.003175; give millimetres",
        ),
        (
            {"board": {"tan_d": 2}},
            "board.tan_d: expected a value of at most 0.1, got 2; give a fraction, e.g. 0.02 for "
            "2 %",
        ),
        (
            {"grid": {"cell_mm": 3000}},
            "grid.cell_mm: expected a value of at most 20, got 3000; give millimetres",
        ),
        (
            {"bands": [{**BAND, "s11_max_db": 10}]},
            "bands.0.s11_max_db: expected a value of at most -1, got 10; give dB: -10 is a tenth "
            "of the power reflected",
        ),
        (
            {"feed": [-1, 3]},
            "feed.0: expected a value of at least 0, got -1; count cells from 0",
        ),
        ({"board": {"eps_r": "x"}}, "board.eps_r: expected a number, got 'x'"),
    ],
)
def test_numbers_out_of_range_have_a_remedy(
    fields: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        AntennaSpec.model_validate_json(json.dumps({"bands": [BAND], **fields}))
    assert str(faults_of(caught.value)[0]) == expected


def test_every_range_has_a_remedy() -> None:
    """Numbers out of the ranges of the schema, in every field that has one."""
    for owner, path in (
        (AntennaSpec, ()),
        (AntennaBoard, ("board",)),
        (AntennaGrid, ("grid",)),
    ):
        for name, schema in owner.model_json_schema()["properties"].items():
            bounds = [schema, *schema.get("anyOf", [])]
            least = next((row["minimum"] for row in bounds if "minimum" in row), None)
            if least is None:
                continue
            value: dict[str, Any] = {name: least - 1}
            for part in path:
                value = {part: value}
            with pytest.raises(ValidationError) as caught:
                AntennaSpec.model_validate({"bands": [BAND], **value}, strict=False)
            (fault,) = faults_of(caught.value)
            assert fault.remedy, f"{name}: no remedy"


def test_not_a_number_is_refused() -> None:
    with pytest.raises(ValidationError, match="finite number"):
        AntennaSpec.model_validate_json('{"bands": [{"f_lo_hz": NaN, "f_hi_hz": 5.3e9}]}')


def test_the_example_is_a_complete_request() -> None:
    model = request_model(AntennaSpec)
    request = model.model_validate_json(json.dumps(AntennaSpec.EXAMPLE))
    assert request.spec.feed == (3, 6)


def test_a_feature_is_rounded_up_to_whole_cells() -> None:
    spec = AntennaSpec(bands=(BAND,), min_feature_mm=3.1)
    assert spec.feature_cells == 2
    assert AntennaSpec(bands=(BAND,), min_feature_mm=6.0).feature_cells == 2
    assert spec.lowest_hz == 5.15e9
    assert spec.cells_per_wavelength == pytest.approx(12.59, abs=0.01)
