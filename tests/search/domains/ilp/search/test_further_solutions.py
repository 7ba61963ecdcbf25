"""Further solutions: the k best in order, as enumeration has them, and the proof of the last."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.domains.ilp.search.further_solutions import Further, further_solutions
from solvers.types import Floats, MilpModel
from tests.search.models import milp
from trimtab.specs.ilp import PoolOptions

# Costs with distinct sums, so that the order of the solutions is unique.
COSTS = [1.0, 2.0, 4.0, 8.0]
COVER = milp(COSTS, [(2.0, [1.0, 1.0, 1.0, 1.0], np.inf)])


def ranked(model: MilpModel) -> list[Floats]:
    points = [np.array(bits, dtype=float) for bits in itertools.product((0, 1), repeat=4)]
    feasible = [x for x in points if (model.activity(x) >= model.row_lower).all()]
    return sorted(feasible, key=model.objective)


def enumerated(folder: Path, options: PoolOptions, cutoff: float | None = None) -> Any:
    messages: list[dict[str, Any]] = []
    best = ranked(COVER)[0]
    further = Further(engine="highs", threads=1, seed=1, seconds=60.0, cutoff=cutoff)
    work = further_solutions(
        COVER,
        best,
        bounds=(COVER.col_lower, COVER.col_upper),
        options=options,
        further=further,
        folder=folder,
    )
    work(messages.append)
    points = [np.load(folder / m["point"]) for m in messages if "point" in m]
    return [best, *points], messages


def test_they_come_in_the_order_of_enumeration(tmp_path: Path) -> None:
    points, messages = enumerated(tmp_path, PoolOptions(size=5))
    assert [x.tolist() for x in points] == [x.tolist() for x in ranked(COVER)[:5]]
    assert not any("complete" in message for message in messages)


@pytest.mark.parametrize(("cutoff", "count"), [(6.5, 3), (None, 11)])
def test_the_end_is_a_proof(tmp_path: Path, cutoff: float | None, count: int) -> None:
    points, messages = enumerated(tmp_path, PoolOptions(size=20), cutoff)
    assert len(points) == count
    assert messages[-1] == {"complete": True}


def test_diverse_ones_differ_in_as_many_variables(tmp_path: Path) -> None:
    points, _ = enumerated(tmp_path, PoolOptions(size=4, distance=3))
    for one, other in itertools.combinations(points, 2):
        assert np.count_nonzero(one != other) >= 3
