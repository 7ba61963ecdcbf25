import json
import re
from dataclasses import replace
from pathlib import Path

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
        ({"feed": [1, 9]}, "json: feed: expected a cell of the grid, 0 to 5 each"),
        ({"feed": [1]}, "feed"),
        ({"feed": "a"}, "feed"),
        ({"board": {"eps_r": 0.5}}, r"json: board.eps_r: expected .*, got 0.5; give"),
        ({"board": {"height": 1}}, "board.height: expected no such field"),
        ({"grid": {"cells": 400}}, "grid.cells: expected .*, got 400; change cell_mm"),
        ({"f_min_hz": 7e9}, "f_min_hz: expected a value below f_max_hz"),
        ({"f_max_hz": 6.0}, "f_max_hz: expected .* got 6; give hertz"),
        ({"f_min_hz": 3.0, "f_max_hz": 6.0}, "f_min_hz: expected .* got 3; give hertz"),
        ({"f_max_hz": 60e9}, "f_max_hz: expected a highest frequency of at most 8 times"),
        ({"f_min_hz": "low"}, "f_min_hz: expected a number, got 'low'"),
        ({"thickness": 1}, "thickness"),
    ],
)
def test_bad_boards_are_refused_by_field(change, named, tmp_path):
    path = tmp_path / "bad.json"
    path.write_text(json.dumps({**BOARD, **change}))
    with pytest.raises(StepError, match=named):
        read_board(path)


@pytest.mark.parametrize("guide", ["learn.md", "antenna.md"])
def test_boards_of_the_guides_are_read(guide, tmp_path):
    text = Path("deploy/docs/guide", guide).read_text()
    blocks = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.S)]
    (board,) = (block for block in blocks if "f_min_hz" in block)
    path = tmp_path / "board.json"
    path.write_text(json.dumps(board))
    assert read_board(path).frequencies_hz[0] == board["f_min_hz"]


@pytest.mark.parametrize("text", ["", "[1]", "{", "null"])
def test_files_that_are_no_object_are_refused(text, tmp_path):
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(StepError, match="board: expected"):
        read_board(path)
    with pytest.raises(StepError, match="readable"):
        read_board(tmp_path / "absent.json")
