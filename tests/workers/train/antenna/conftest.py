"""A small board, so that designs are solved in milliseconds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from workers.train.antenna.boards import read_board

BOARD = {
    "board": {"eps_r": 2.2, "tan_d": 0.001, "height_mm": 1.5},
    "grid": {"cells": 6, "cell_mm": 4.0},
    "feed": [1, 3],
    "f_min_hz": 3e9,
    "f_max_hz": 6e9,
}


@pytest.fixture
def board_file(tmp_path: Path) -> Path:
    """A file of an own board."""
    path = tmp_path / "board.json"
    path.write_text(json.dumps(BOARD))
    return path


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of that board on both meshes, computed once."""
    folder = tmp_path_factory.mktemp("antenna")
    (folder / "board.json").write_text(json.dumps(BOARD))
    board = read_board(folder / "board.json")
    for fine in (False, True):
        board.tables(fine=fine, cache=folder / "tables")
    return folder / "tables"


@pytest.fixture
def work(tables: Path, tmp_path: Path) -> Path:
    """A folder for shards with the tables in it."""
    shutil.copytree(tables, tmp_path / "work" / "tables")
    return tmp_path / "work"
