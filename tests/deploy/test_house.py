"""Figures of the code: the definitions, and the frame of the measured page."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.deploy.markdown import ROOT

TOOL = ROOT / "deploy" / "tools" / "house.py"


@pytest.fixture(scope="module")
def house() -> ModuleType:
    spec = importlib.util.spec_from_file_location("house", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["house"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_page_has_todays_rows_goals_and_other_projects() -> None:
    """Today's own figures are not compared: each commit changes them."""
    run = subprocess.run(
        [sys.executable, str(TOOL), "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_row_has_a_cell_for_every_project(house: ModuleType) -> None:
    for label, _, _, others in house.CONSTANTS:
        assert len(others.split(" | ")) == len(house.PROJECTS), label


def test_the_frame_leaves_out_todays_column_and_the_date(house: ModuleType) -> None:
    labels = [row[0] for row in house.CONSTANTS]
    one, two = (
        house._page(dict.fromkeys(labels, figure), stamp)
        for figure, stamp in (("1", "a Monday"), ("2", "a Tuesday"))
    )
    assert one != two
    assert house._frame(one) == house._frame(two)
    assert house._frame(one) != house._frame(one.replace("procrastinate", "another"))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("pass", 1),
        ("if a and b and c: pass", 4),
        ("return [x for x in a if x] if b else c", 3),
        ("try: a()\n except ValueError: pass\n assert b", 3),
        ("match a:\n  case 1: pass\n  case _: pass", 3),
    ],
)
def test_complexity(house: ModuleType, body: str, expected: int) -> None:
    (function,) = ast.parse(f"def f():\n {body}").body
    assert house._complexity(function) == expected


def test_characters_are_counted_without_indentation_and_blank_lines(
    house: ModuleType, tmp_path: Path
) -> None:
    file = tmp_path / "a.py"
    file.write_text("def f():\n    return 1\n\n\n")
    figures = house.Figures()
    house._measure(file, figures)
    assert (figures.filled_lines, figures.characters) == (2, 16)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Huang et al. (2023)", 1),
        ("Berthold 2013; Achterberg (2007)", 2),
        ("arXiv 2102.1, https://doi.org/10.1", 2),
        ("measured in 2026", 0),
    ],
)
def test_sources(house: ModuleType, text: str, expected: int) -> None:
    assert len(house.SOURCE.findall(text)) == expected


def test_places_are_read_from_the_recipes(
    house: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert house._places_in_recipe("Add an endpoint") == 3
    with pytest.raises(ValueError, match="expected a table below 'Add a moon'"):
        house._places_in_recipe("Add a moon")
