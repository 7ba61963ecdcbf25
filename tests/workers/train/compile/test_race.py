"""The race for the pipeline that is best on the mean: what is behind leaves early, what is ahead comes through."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from search.domains.compile.search.coreset import load_coreset
from search.domains.compile.search.edits import Candidate, Edit, Op
from solvers.llvm.engine import Engine
from solvers.llvm.types import Measured, Metric, Outcome, Recipe, Sizes
from workers.train.compile.mine import raced
from workers.train.compile.race import Track, _changed, _known

EDITS = [
    Edit(op=Op.DROP, anchor=name) for name in ("gvn", "licm", "sccp", "dse", "adce", "bdce")
]


class Program:
    """Stands for an engine: a pipeline named by a share saves that much of 10,000 bytes."""

    def __init__(self) -> None:
        self.asked = 0

    def measure(self, recipes: Sequence[Recipe]) -> list[Measured]:
        """As Engine.measure."""
        self.asked += 1
        if recipes[0].pipeline == "crash":
            return [Measured(recipe=recipes[0], outcome=Outcome.CRASHED, seconds=0.0)]
        size = round(10_000 * (1 - float(recipes[0].pipeline)))
        sizes = Sizes(ir_instructions=1, loadable_bytes=size)
        return [Measured(recipe=recipes[0], outcome=Outcome.OK, seconds=0.0, sizes=sizes)]


def track(count: int = 64) -> Track:
    return Track(
        engines=cast("Sequence[Engine]", [Program() for _ in range(count)]),
        baseline=np.full(count, 10_000.0),
        weights=np.full(count, 1 / count),
        metric=Metric.LOADABLE_BYTES,
    )


def asked(course: Track) -> int:
    return sum(cast("Any", engine).asked for engine in course.engines)


def test_what_is_far_behind_leaves_after_a_block_and_what_is_ahead_runs_everywhere() -> (
    None
):
    rng, incumbent = np.random.default_rng(0), np.full(64, 0.02)
    behind, ahead, crashes = track(), track(), track()
    assert behind.ahead(Recipe(pipeline="0.01"), incumbent, rng) is None
    assert asked(behind) == 8
    found = ahead.ahead(Recipe(pipeline="0.03"), incumbent, rng)
    np.testing.assert_allclose(found, 0.03)
    assert asked(ahead) == 64
    assert crashes.ahead(Recipe(pipeline="crash"), incumbent, rng) is None
    assert asked(crashes) == 1


def test_no_better_is_not_better_and_larger_than_oz_is_oz() -> None:
    rng, course = np.random.default_rng(0), track()
    assert course.ahead(Recipe(pipeline="0.02"), np.full(64, 0.02), rng) is None
    larger = course.saved(Recipe(pipeline="-0.5"), np.arange(3))
    assert larger is not None
    assert larger.tolist() == [0.0, 0.0, 0.0]


def test_changes_are_one_edit_away_and_have_no_edit_twice() -> None:
    rng, start = np.random.default_rng(1), Candidate(name="start", edits=tuple(EDITS[:3]))
    lengths = set()
    for _ in range(200):
        changed = _changed(start, EDITS, rng)
        assert len(set(changed.edits)) == len(changed.edits)
        assert len(set(changed.edits) ^ set(start.edits)) <= 2
        lengths.add(len(changed.edits))
    assert lengths == {2, 3, 4}
    assert len(_changed(Candidate(name="Oz"), EDITS, rng).edits) <= 1


def test_before_the_first_matrix_the_published_coreset_is_known(tmp_path: Path) -> None:
    known = _known(tmp_path, Metric.IR_INSTRUCTIONS, [])
    assert known
    assert {candidate.digest for candidate in known} <= {
        c.digest for c in load_coreset(Metric.IR_INSTRUCTIONS)
    }


@pytest.mark.parametrize("count", [3, 9])
def test_the_last_of_a_race_go_on(count: int, tmp_path: Path) -> None:
    rows = [
        Candidate(name=f"race-{i}", edits=(EDITS[i % 6],), base="Oz" if i < 6 else "Os")
        for i in range(count)
    ]
    lines = [json.dumps({"saved": 0.01, "candidate": row.as_json()}) for row in rows]
    (tmp_path / "mined-race-loadable_bytes.jsonl").write_text("\n".join(lines) + "\n")
    assert raced(tmp_path) == rows[-6:]
