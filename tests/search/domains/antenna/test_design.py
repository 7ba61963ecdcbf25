"""Designs as JSON."""

from __future__ import annotations

import json

import pytest

from search.domains.antenna.design import AntennaSolution, Design
from tests.search.domains.antenna.jobs import PATCH, design


def test_json_round_trip_keeps_orientation() -> None:
    made = design("#. ## ..", (0, 1), (1, 1))  # three rows along x, lowest y first
    assert made.mask.shape == (2, 3)
    read = Design.from_json(json.loads(json.dumps(made.to_json())))
    assert read.key == made.key
    assert read.mask[0, 0]
    assert not read.mask[1, 0]


@pytest.mark.parametrize(
    "change",
    [
        {"metal": ["#", "##"]},
        {"metal": ["#x", "##"]},
        {"metal": "##"},
        {"feed": [0.5, 1]},
        {"feed": [True, 1]},
        {"vias": [[1]]},
        {"objective_db": float("nan")},
        {"objective_db": "3"},
    ],
)
def test_damaged_solutions_are_refused(change: dict[str, object]) -> None:
    data = json.loads(AntennaSolution(design=PATCH, objective_db=1.0).to_bytes())
    with pytest.raises((ValueError, KeyError, TypeError)):
        AntennaSolution.from_bytes(json.dumps({**data, **change}).encode())
