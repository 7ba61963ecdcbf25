from dataclasses import replace

import pytest

from cost_models.antenna.facts import SurrogateFacts, outside
from tests.cost_models.antenna.conftest import BOARD, small

FACTS = small().facts
WANTED = replace(BOARD, feed=(1, 2), f_min_hz=3e9, f_max_hz=3.2e9)


def test_a_job_on_the_same_board_is_covered():
    assert outside(FACTS, WANTED) is None
    assert outside(FACTS, replace(WANTED, feed=None)) is None
    assert outside(FACTS, replace(WANTED, f_min_hz=2e9, f_max_hz=8e9)) is None


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"eps_r": 2.3}, "eps_r"),
        ({"tan_d": 0.002}, "tan_d"),
        ({"height_m": 1.6e-3}, "height_m"),
        ({"conductivity_s_m": 1e7}, "conductivity_s_m"),
        ({"cell_m": 2e-3}, "cell_m"),
        ({"cells": (8, 8)}, "8 x 8"),
        ({"vias": 1}, "vias"),
        ({"f_min_hz": 1.9e9}, "1.9"),
        ({"f_max_hz": 8.1e9}, "8.1"),
    ],
)
def test_what_differs_is_named(change, named):
    why = outside(FACTS, replace(WANTED, **change))
    assert why is not None
    assert named in why


def test_a_surrogate_of_one_feed_covers_no_other():
    fixed = replace(FACTS, board=replace(BOARD, feed=(3, 2)))
    assert outside(fixed, replace(WANTED, feed=(3, 2))) is None
    assert "(1, 2)" in str(outside(fixed, WANTED))
    assert "free" in str(outside(fixed, replace(WANTED, feed=None)))


def test_json_round_trip():
    facts = replace(
        FACTS, board=replace(BOARD, feed=(3, 2)), errors={"complex_mae": 0.05}
    )
    assert SurrogateFacts.from_json(facts.to_json()) == facts


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="square"):
        replace(FACTS, board=replace(BOARD, cells=(3, 4)))
    with pytest.raises(ValueError, match="f_min_hz"):
        replace(FACTS, board=replace(BOARD, f_min_hz=9e9))
