"""The second solver's model, and its failures as opinions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.domains.antenna.verify import second_solver
from search.domains.antenna.verify.second_solver import (
    NOT_CHECKED,
    Opinions,
    second_opinion,
    simulation_of,
)
from solvers.field.openems.process import OpenEmsFailed
from tests.search.domains.antenna.jobs import PATCH, problem


def test_the_board_has_the_size_that_was_asked_for(tmp_path: Path) -> None:
    model = simulation_of(problem(tmp_path, board={"size_mm": 40.0}), PATCH)
    (x0, y0, _), (x1, y1, _) = model.slab
    assert (x1 - x0, y1 - y0) == pytest.approx((40.0, 40.0))
    assert model.port_ohm == 50.0


@pytest.mark.parametrize(("factor", "margin_mm"), [(1, 24.0), (10, 2.66)])
def test_a_board_without_a_size_shrinks_with_the_wavelength(
    tmp_path: Path, factor: int, margin_mm: float
) -> None:
    """A margin of 24 mm is five wavelengths at 60 GHz, too much for openEMS."""
    job = problem(
        tmp_path,
        bands=[{"f_lo_hz": 5.625e9 * factor, "f_hi_hz": 5.875e9 * factor}],
        board={"height_mm": 2.0 / factor, "size_mm": None},
        grid={"cells": 6, "cell_mm": 2.5 / factor},
    )
    model = simulation_of(job, PATCH)
    (x0, _, _), (x1, _, _) = model.slab
    assert x1 - x0 == pytest.approx(15.0 / factor + 2 * margin_mm, abs=0.01)


def test_no_time_is_an_opinion_too(tmp_path: Path) -> None:
    opinion = second_opinion(problem(tmp_path), PATCH, left_s=0.5, stopped=lambda: False)
    assert opinion.verdict == NOT_CHECKED
    assert "give the job more seconds" in opinion.detail


def test_a_failed_run_is_no_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OpenEmsFailed("openEMS did not end within its time limit")

    monkeypatch.setattr(second_solver, "run", fail)
    opinion = second_opinion(problem(tmp_path), PATCH, left_s=9.0, stopped=lambda: False)
    assert opinion.verdict == NOT_CHECKED
    assert "time limit" in opinion.detail


def test_a_check_without_time_repeats_why_the_search_had_no_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OpenEmsFailed(
            "openEMS did not end within its time limit: after 9,000 steps"
        )

    monkeypatch.setattr(second_solver, "run", fail)
    opinions, job = Opinions(), problem(tmp_path)
    for left_s in (9.0, 0.5):
        made = opinions(job, PATCH, left_s=left_s, stopped=lambda: False)
        assert "after 9,000 steps; give the job more seconds" in made.detail


def test_lines_at_edges_scale_with_the_cells(tmp_path: Path) -> None:
    """A larger antenna at a lower frequency is the same one: so is its mesh."""
    steps = []
    for factor in (1, 4):
        job = problem(
            tmp_path,
            bands=[{"f_lo_hz": 5.6e9 / factor, "f_hi_hz": 5.9e9 / factor}],
            board={"height_mm": 2.0 * factor, "size_mm": None},
            grid={"cells": 6, "cell_mm": 2.5 * factor},
        )
        steps.append(float(np.diff(simulation_of(job, PATCH).x).min()) / factor)
    assert steps[1] == pytest.approx(steps[0])
