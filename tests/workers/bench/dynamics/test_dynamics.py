"""Suites of Scan and Snap at small sizes: lines, resumption, pictures, refusals."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from gnn.dynamics.training import SgdParams
from workers.bench.dynamics import cli, levels, published, text
from workers.bench.dynamics.picture import Panel, draw


def test_the_published_table_has_64_cells_and_a_tolerance_each() -> None:
    cells = list(published.cells())
    assert len(cells) == 64
    assert {cell.tolerance for cell in cells} == {0.03, 0.10, 0.155, 0.20, 0.33}
    for (
        row
    ) in published.PUBLISHED.values():  # entropy falls with the rate at a fixed ratio
        assert (np.diff(np.array(row), axis=0) < 0).all()


def test_the_published_table_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = list(published.cells())[:2]
    monkeypatch.setattr(published, "cells", lambda: iter(few))
    out = tmp_path / "lines.jsonl"
    arguments = ["published", "--seeds", "2", "--steps", "2", "--out", str(out)]
    assert cli.main(arguments) == 0
    first = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line.get("rate") for line in first] == [0.5, 0.5, None]
    assert cli.main(arguments) == 0
    again = [json.loads(line) for line in out.read_text().splitlines()][3:]
    assert [line["cells"] for line in again] == [2]
    assert again[0]["inside"] == first[2]["inside"]


def test_a_short_run_of_one_published_cell_is_near_its_start() -> None:
    cell = next(published.cells())
    line = published._measure(cell, range(2), SgdParams(steps=1), "zero")
    share = np.linspace(0.1, 1, 10) / 5.5
    assert line["entropy"] == pytest.approx(-(share * np.log(share)).sum(), abs=1e-3)
    assert not line["inside"]


def test_levels_agree_on_the_margin_and_are_drawn(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(levels, "CASES", ((10, 100, 0.1),))
    picture = tmp_path / "levels.svg"
    out = ["--out", str(tmp_path / "x.jsonl"), "--picture", str(picture)]
    assert cli.main(["levels", "--horizon", "1", *out]) == 0
    lines = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    names = {line["level"] for line in lines}
    assert len(names) == 5
    for line in lines:
        if line["level"] == "population" and line["t"] > 10:
            assert line["margin"] == pytest.approx(line["margin_law"], rel=0.03)
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")


def test_the_law_of_profiles_fails_where_its_assumption_does() -> None:
    lines = list(levels.validity(seeds=1, steps=60))
    infinite = [line["law_error"] for line in lines if line["length"] == "infinite"]
    assert infinite[0] > 2 * infinite[-1]
    panel = levels.validity_panels(lines)
    assert len(panel[0].curves) == 2


def test_signs_hold_at_every_step() -> None:
    for line in levels.signs(steps=10):
        assert line["common_fell"]
        assert line["distinct_rose"]


def test_windows_of_a_text_and_how_training_settles() -> None:
    params = text.TextParams(
        words=6, window=3, queries=1, following=2, batch=8, steps=16, points=4
    )
    story = "a x q b . a x q b . c y q d . c y q d . " * 8
    data = text.windows(story, params)
    assert data.counts.shape[1] == 6
    assert len(set(data.following.tolist())) == 2
    (line,) = text.run(rates=(2.0,), seeds=(0,), params=params, text=story)
    assert len(line["entropy"]) == 5
    assert line["likelihood"][1] > line["likelihood"][0]
    with pytest.raises(ValueError, match="use a longer text"):
        text.windows("one two three", params)


def test_pictures_need_points() -> None:
    with pytest.raises(ValueError, match="expected at least one point"):
        draw([Panel(title="x", x="", y="", curves=[])], label="none")
    with pytest.raises(SystemExit, match="levels or validity"):
        cli._draw("text", [], Path("x.svg"))
