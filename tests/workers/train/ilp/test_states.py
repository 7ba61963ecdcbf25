"""States of the local-branching expert."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from solvers.feasibility import is_feasible
from solvers.types import MilpModel
from workers.corpus.mixed_programs import generate
from workers.train.ilp.published import collect_expert
from workers.train.ilp.states import (
    Expert,
    ExpertParams,
    State,
    changed,
    expert_states,
    load,
    path_of,
    save,
)
from workers.train.ilp.trial import first_solution


def test_states_survive_the_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    states = [
        State(
            x=rng.random(13),
            positives=rng.random((2, 13)) < 0.5,
            gains=np.array([1.0, 0.5]),
            negatives=rng.random((count, 13)) < 0.5,
        )
        for count in (3, 5)
    ]
    path = path_of(tmp_path, "set-cover", 7)
    save(states, path)
    again = load(path)
    assert len(again) == 2
    for one, other in zip(states, again, strict=True):
        for name in ("x", "positives", "gains", "negatives"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_negatives_have_the_size_of_the_best_positive() -> None:
    params = ExpertParams(
        expert_s=0.5, steps=1, negatives=4, sub_mip_s=0.2, negatives_s=1.0
    )
    lines: list[str] = []
    for state in collect_expert("vertex-cover", 3, params, say=lines.append):
        assert state.gains[0] == 1.0
        assert (state.gains >= params.least_share).all()
        sizes = state.negatives.sum(axis=1)
        assert (sizes == state.positives[0].sum()).all()
    assert lines


def start_of(model: MilpModel) -> np.ndarray:
    x = first_solution(model, seconds=20.0, rng=np.random.default_rng(0))
    assert x is not None
    return x


@pytest.mark.parametrize("family", ["lot-sizing", "generalised-assignment"])
def test_the_expert_teaches_on_mixed_and_equality_constrained_models(family: str) -> None:
    """Labels hold decisions only, states are feasible, and negatives exchange decisions."""
    model = generate(family, 3, size="tiny", regime="recurring")
    params = ExpertParams(
        expert_s=1.0, steps=2, negatives=4, sub_mip_s=0.3, negatives_s=1.0
    )
    states = expert_states(
        model,
        start_of(model),
        12,
        params,
        rng=np.random.default_rng(0),
        say=lambda text: None,
    )
    assert states
    for state in states:
        assert is_feasible(model, state.x)
        assert not state.positives[:, ~model.integrality].any()
        assert not state.negatives[:, ~model.integrality].any()
        assert (state.negatives.sum(axis=1) == state.positives[0].sum()).all()


def test_a_solution_keeps_its_flows_when_its_decisions_are_rounded() -> None:
    model = generate("network-design", 3, size="tiny")
    x = start_of(model)
    expert = Expert(model, ExpertParams())
    off = np.where(model.integrality, x + 1e-7, x)
    assert expert.completed(off) is not None
    # Flows that fit no longer are solved for again.
    moved = np.where(model.integrality, x, 0.0)
    completed = expert.completed(moved)
    assert completed is not None
    assert is_feasible(model, completed)
    assert (completed[model.integrality] == x[model.integrality]).all()


def test_the_distance_doubles_while_the_gain_per_second_grows() -> None:
    model = generate("lot-sizing", 3, size="tiny", regime="recurring")
    expert = Expert(model, ExpertParams(expert_s=1.0))
    x = start_of(model)
    distance, better = expert.distance(x, seed=0, within_s=3.0)
    assert distance in (10, 20, 40)
    assert better
    assert model.objective(better[-1]) < model.objective(x)
    assert changed(model, x, better[-1]).sum() <= distance
