"""Choice of the surrogate: the result says which, or why none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from search.domains.antenna.search.model import choose_model
from search.domains.antenna.search.samples import BandSamples
from search.types import InvalidInput
from tests.search.domains.antenna.jobs import problem

COVERED: dict[str, Any] = {
    "grid": {"cells": 12, "cell_mm": 3.0},
    "board": {},
    "feed": [3, 6],
    "search": "genetic",
}
NAME = "antenna-duroid"


def chosen(folder: Path, **fields: Any) -> tuple[bool, str]:
    made = problem(folder, **{**COVERED, **fields})
    model, note = choose_model(made, BandSamples(made.spec))
    return model is not None, note


def test_auto_takes_the_shipped_one_where_it_covers_the_job(tmp_path: Path) -> None:
    assert chosen(tmp_path) == (True, NAME)


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"model": "none"}, "model is none"),
        ({"search": "tabu"}, "exact solves"),
        ({"board": {"eps_r": 4.4}}, "made for eps_r 2.2, not 4.4"),
        ({"board": {"eps_r": 4.4}, "model": NAME}, "made for eps_r 2.2, not 4.4"),
        ({"grid": {"cells": 10, "cell_mm": 3.0}}, "grid of 12 x 12"),
        ({"max_vias": 1}, "without vias"),
    ],
)
def test_the_note_says_why_none_is_used(
    tmp_path: Path, fields: dict[str, Any], part: str
) -> None:
    used, note = chosen(tmp_path, **fields)
    assert not used
    assert note.startswith("none: ")
    assert part in note


def test_a_name_is_used_by_tabu_search_too(tmp_path: Path) -> None:
    assert chosen(tmp_path, search="tabu", model=NAME) == (True, NAME)


def test_an_unknown_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"model: expected one of auto, none, antenna"):
        chosen(tmp_path, model="antenna-magic")


def test_a_file_that_is_no_surrogate_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    path.write_bytes(b"PK")
    made = replace(problem(tmp_path, **COVERED), model_file=path)
    with pytest.raises(InvalidInput, match=r"model_file: surrogate 'own\.safetensors'"):
        choose_model(made, BandSamples(made.spec))
