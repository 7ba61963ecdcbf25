"""Neighbourhoods of mixed and equality-constrained models can move."""

from __future__ import annotations

import numpy as np
import pytest

from search.lns.arms import ARMS, ArmParts
from search.lns.coupling import Coupling
from search.lns.decision_rows import decision_rows
from search.lns.guide import Guide
from search.lns.neighbourhoods import (
    ConstraintBlockNeighbourhood,
    VariableGraphNeighbourhood,
)
from search.lns.sub_mip import Slicer
from solvers.feasibility import is_feasible
from solvers.highs import HighsSolver
from solvers.types import Floats, MilpModel, SolveParams
from tests.search.models import milp, random_cover
from workers.corpus.mixed_programs import FAMILIES, generate


def some_solution(model: MilpModel) -> Floats:
    found = HighsSolver().solve(model, SolveParams(time_limit_s=5, relative_gap=0.5))
    assert found.x is not None
    return np.where(model.integrality, np.round(found.x), found.x)


def mask(model: MilpModel, *columns: int) -> np.ndarray:
    free = np.zeros(model.n, dtype=bool)
    free[list(columns)] = True
    return free


def test_a_freed_column_of_an_assignment_brings_the_column_at_one() -> None:
    rows = [(1.0, [1.0] * 6 + [0.0] * 6, 1.0), (1.0, [0.0] * 6 + [1.0] * 6, 1.0)]
    model = milp([1.0] * 12, rows)
    x = np.zeros(12)
    x[[2, 7]] = 1.0
    coupling = Coupling(model, Slicer(model).by_row)
    assert np.flatnonzero(coupling.completed(x, mask(model, 4))).tolist() == [2, 4]
    assert np.flatnonzero(coupling.completed(x, mask(model, 4, 9))).tolist() == [
        2,
        4,
        7,
        9,
    ]


def test_short_equality_rows_bring_their_other_columns_once() -> None:
    # u_t - u_{t-1} = v_t - w_t, columns u0..u3, v1..v3, w1..w3.
    rows = []
    for t in (1, 2, 3):
        row = [0.0] * 10
        row[t], row[t - 1], row[3 + t], row[6 + t] = 1.0, -1.0, -1.0, 1.0
        rows.append((0.0, row, 0.0))
    model = milp([1.0] * 10, rows)
    completed = Coupling(model, Slicer(model).by_row).completed(
        np.zeros(10), mask(model, 3)
    )
    # Its own row, and not the row before: that would run along the whole horizon.
    assert np.flatnonzero(completed).tolist() == [2, 3, 6, 9]


def test_covers_and_set_partitionings_stay_as_they_are() -> None:
    cover = random_cover(10, 20, 1)
    # Each column in two rows: no exchange keeps both.
    overlap = milp(
        [1.0] * 6, [(1.0, [1.0] * 6, 1.0), (1.0, [1.0, 1.0, 1.0, 1.0, 1.0, 0.0], 1.0)]
    )
    for model in (cover, overlap):
        free = mask(model, 1, 3)
        x = mask(model, 0).astype(float)
        completed = Coupling(model, Slicer(model).by_row).completed(x, free)
        assert (completed == free).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_every_arm_chooses_integers_and_keeps_continuous_columns_free(
    family: str,
) -> None:
    model = generate(family, 1, size="tiny", regime="recurring")
    x = some_solution(model)
    slicer, guide = Slicer(model), Guide(model)
    guide.pool.add(model.objective(x), x)
    guide.pool.add(model.objective(x) + 1, 1 - x)
    coupling = Coupling(model, slicer.by_row)
    everything = np.ones(model.n, dtype=bool)
    for row in ARMS:
        if row.weights is not None:
            continue
        arm = row.make(ArmParts(guide=guide, slicer=slicer))
        free = arm.choose(x, 8, np.random.default_rng(0), everything)
        assert free[~model.integrality].all(), row.word
        assert 1 <= (free & model.integrality).sum() <= 8, row.word
        completed = coupling.completed(x, free)
        assert (completed | ~free).all()
        # The incumbent is a solution of every sub-MIP.
        sub = slicer.cut(x, completed)
        assert sub is not None, row.word
        assert is_feasible(sub.model, x[sub.columns]), row.word


def test_the_ball_grows_through_stock_to_set_ups_of_other_periods() -> None:
    items, periods = 6, 8
    model = generate("lot-sizing", 1, size="tiny")
    slicer = Slicer(model)
    arm = VariableGraphNeighbourhood(model, slicer.by_row, slicer.by_column)
    first = items * periods  # of the set-ups
    pairs = 0
    for seed in range(20):
        chosen = arm._grow(12, np.random.default_rng(seed), np.arange(first, 2 * first))
        assert len(chosen) == 12
        item, period = np.divmod(np.sort(chosen) - first, periods)
        pairs += int(((np.diff(item) == 0) & (np.diff(period) == 1)).sum())
    # Pairs of neighbouring periods of one item; 0.9 for balls that do not grow through stock.
    assert pairs / 20 > 4


def test_a_row_of_flows_speaks_of_the_arcs_that_they_need() -> None:
    nodes, commodities = 6, 5
    model = generate("network-design", 1, size="tiny")
    by_row = Slicer(model).by_row
    rows = decision_rows(model, by_row)
    assert rows.shape == by_row.shape
    assert model.integrality[rows.indices].all()
    balance = rows[: nodes * commodities]  # conservation has no arc of its own
    assert not model.integrality[by_row[: nodes * commodities].indices].any()
    assert (np.diff(balance.indptr) >= 2).all()
    every = np.ones(model.n, dtype=bool)
    free = ConstraintBlockNeighbourhood(model, by_row).choose(
        some_solution(model), 6, np.random.default_rng(0), every
    )
    assert (free & model.integrality).sum() == 6
    cover = random_cover(10, 20, 1)
    assert decision_rows(cover, Slicer(cover).by_row).nnz == cover.nnz
