import json
from dataclasses import replace

import pytest

from cost_models.antenna.facts import SurrogateFacts, outside
from cost_models.antenna.heads import Head
from cost_models.antenna.nets import Trunk
from tests.workers.train.antenna.conftest import BOARD
from workers.train.antenna.boards import DEFAULT, read_board
from workers.train.steps import StepError


def test_own_board(board_file):
    board = read_board(board_file)
    assert board.feeds == ((1, 3),)
    assert board.facts.cells == (6, 6)
    assert board.facts.feed == (1, 3)
    assert board.frequencies_hz[[0, -1]].tolist() == [3e9, 6e9]
    sizes = {"width": 8, "depth": 1, "readout": 8, "poles": 4, "grid": 31}
    facts = SurrogateFacts(board=DEFAULT.facts, trunk=Trunk.CNN, head=Head.RLC, **sizes)
    assert "height_m" in str(outside(facts, board.facts))


def test_default_board_is_the_jobs_default_and_any_feed():
    assert DEFAULT.facts.feed is None
    assert DEFAULT.facts.height_m == pytest.approx(3.175e-3)
    assert DEFAULT.digest != replace(DEFAULT, f_max_hz=7e9).digest


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"feed": [1, 9]}, "feed"),
        ({"feed": [1]}, "feed: expected two"),
        ({"feed": "a"}, "feed: expected two"),
        ({"board": {"eps_r": 0.5}}, "eps_r"),
        ({"board": {"height": 1}}, "height"),
        ({"grid": {"cells": 400}}, "cells"),
        ({"f_min_hz": 7e9}, "f_lo_hz"),
        ({"f_max_hz": 6.0}, "f_hi_hz|f_lo_hz|GHz"),
        ({"f_max_hz": 60e9}, "cell_mm|highest|times"),
        ({"f_min_hz": "low"}, "low"),
        ({"thickness": 1}, "thickness"),
    ],
)
def test_bad_boards_are_refused_by_field(change, named, tmp_path):
    path = tmp_path / "bad.json"
    path.write_text(json.dumps({**BOARD, **change}))
    with pytest.raises(StepError, match=named):
        read_board(path)


@pytest.mark.parametrize("text", ["", "[1]", "{", "null"])
def test_files_that_are_no_object_are_refused(text, tmp_path):
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(StepError, match="board: expected"):
        read_board(path)
    with pytest.raises(StepError, match="readable"):
        read_board(tmp_path / "absent.json")
