"""Surrogate of a user's board: labelled in parts, fitted from the shipped one, measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from trimtab.specs.antenna import AntennaBoard, AntennaGrid
from workers.train.antenna.boards import TrainingBoard
from workers.train.antenna.own import (
    draw_families,
    error_db,
    fit_own,
    label_families,
    on_board,
    solved_curves,
    start_for,
)
from workers.train.antenna.train import Plan

# Another substrate than the shipped surrogate's.
BOARD = TrainingBoard(board=AntennaBoard(eps_r=3.5), grid=AntennaGrid())


def test_families_are_whole_and_equal_for_equal_seeds() -> None:
    families = draw_families(BOARD, 60, 3)
    assert sum(map(len, families)) == 60
    assert all(len({s.family for s in family}) == 1 for family in families)
    again = draw_families(BOARD, 60, 3)
    assert all(
        np.array_equal(a.mask, b.mask)
        for one, other in zip(families, again, strict=True)
        for a, b in zip(one, other, strict=True)
    )


def test_a_fit_from_the_shipped_weights_helps_on_another_board(tmp_path: Path) -> None:
    families = draw_families(BOARD, 90, 0)
    fit, held_out = families[:-20], [s for family in families[-20:] for s in family]
    stops, tables = iter([False, True]), tmp_path / "tables"
    first = label_families(
        BOARD,
        fit,
        tmp_path,
        seed=0,
        cache=tables,
        stopped=lambda: next(stops, True),
    )
    assert 0 < first < sum(map(len, fit)), "stopped after the first part"
    written = (tmp_path / "coarse-00000.npz").stat().st_mtime_ns
    steps: list[tuple[int, int]] = []
    done = label_families(
        BOARD,
        fit,
        tmp_path,
        seed=0,
        cache=tables,
        on_part=lambda *step: steps.append(step),
    )
    assert done == sum(map(len, fit)) == steps[-1][0]
    assert (tmp_path / "coarse-00000.npz").stat().st_mtime_ns == written
    plan = Plan(epochs=4, fine_epochs=0, rate=1e-3)
    start = start_for(plan)
    assert start is not None
    surrogate = fit_own(BOARD, tmp_path, plan, say=lambda text: None, start=start)
    curves = solved_curves(BOARD, held_out, BOARD.tables(fine=False, cache=tables))
    fitted = error_db(surrogate, BOARD, held_out, curves)
    before = error_db(on_board(start, BOARD), BOARD, held_out, curves)
    assert fitted < before, (fitted, before)


def test_a_plan_of_another_form_starts_from_nothing() -> None:
    assert start_for(Plan(width=8)) is None
