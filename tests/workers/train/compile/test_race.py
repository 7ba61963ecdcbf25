"""Race for the best pipeline: laggards are dropped early, better ones run everywhere."""

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
from workers.train.compile.climb import Track, change
from workers.train.compile.mine import raced
from workers.train.compile.race import compounds_so_far

EDITS = [
    Edit(op=Op.DROP, anchor=name)
    for name in ("gvn", "licm", "sccp", "dse", "adce", "bdce")
]


class Program:
    """Stand-in for an engine: a pipeline named by a share saves that much of 10,000 bytes."""

    def __init__(self) -> None:
        self.measured = 0

    def measure(self, recipes: Sequence[Recipe]) -> list[Measured]:
        """Stand in for Engine.measure."""
        self.measured += 1
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


def measured(course: Track) -> int:
    return sum(cast("Any", engine).measured for engine in course.engines)


def test_laggards_are_dropped_after_a_block_and_better_ones_run_everywhere() -> None:
    rng, incumbent = np.random.default_rng(0), np.full(64, 0.02)
    behind, ahead, crashes = track(), track(), track()
    assert behind.ahead(Recipe(pipeline="0.01"), incumbent, rng) is None
    assert measured(behind) == 8
    shares = ahead.ahead(Recipe(pipeline="0.03"), incumbent, rng)
    np.testing.assert_allclose(shares, 0.03)
    assert measured(ahead) == 64
    assert crashes.ahead(Recipe(pipeline="crash"), incumbent, rng) is None
    assert measured(crashes) == 1


def test_ties_are_not_better_and_larger_programs_save_nothing() -> None:
    rng, course = np.random.default_rng(0), track()
    assert course.ahead(Recipe(pipeline="0.02"), np.full(64, 0.02), rng) is None
    larger = course.saved(Recipe(pipeline="-0.5"), np.arange(3))
    assert larger is not None
    assert larger.tolist() == [0.0, 0.0, 0.0]


def test_changes_are_one_edit_away_and_have_no_edit_twice() -> None:
    rng, start = np.random.default_rng(1), Candidate(name="start", edits=tuple(EDITS[:3]))
    lengths = set()
    for _ in range(200):
        changed = change(start, EDITS, rng)
        assert len(set(changed.edits)) == len(changed.edits)
        assert len(set(changed.edits) ^ set(start.edits)) <= 2
        lengths.add(len(changed.edits))
    assert lengths == {2, 3, 4}
    assert len(change(Candidate(name="Oz"), EDITS, rng).edits) <= 1


def test_before_the_first_matrix_a_race_starts_from_the_published_coreset(
    tmp_path: Path,
) -> None:
    compounds = compounds_so_far(tmp_path, Metric.IR_INSTRUCTIONS, [])
    assert compounds
    assert {candidate.digest for candidate in compounds} <= {
        c.digest for c in load_coreset(Metric.IR_INSTRUCTIONS)
    }


@pytest.mark.parametrize("count", [3, 9])
def test_the_last_compounds_of_a_race_become_candidates(
    count: int, tmp_path: Path
) -> None:
    rows = [
        Candidate(name=f"race-{i}", edits=(EDITS[i % 6],), base="Oz" if i < 6 else "Os")
        for i in range(count)
    ]
    lines = [json.dumps({"saved": 0.01, "candidate": row.as_json()}) for row in rows]
    (tmp_path / "mined-race-loadable_bytes.jsonl").write_text("\n".join(lines) + "\n")
    assert raced(tmp_path) == rows[-6:]
