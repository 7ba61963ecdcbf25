"""States of the local-branching expert."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from workers.train.ilp.states import ExpertParams, State, collect, load, path_of, save


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
    for state in collect("vertex-cover", 3, params, say=lines.append):
        assert state.gains[0] == 1.0
        assert (state.gains >= params.least_share).all()
        sizes = state.negatives.sum(axis=1)
        assert (sizes == state.positives[0].sum()).all()
    assert lines
