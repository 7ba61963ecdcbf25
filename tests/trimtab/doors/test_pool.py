"""Solution pool, cutoff, tolerance and values of incumbents, through the door of this machine."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from tests.trimtab.doors.test_solve import knapsacks, written
from trimtab.doors.answer import Improvement, SolveOptions
from trimtab.doors.solve import solve
from trimtab.results import Limit, Reason

GAINS, WEIGHTS, ROOM = (5, 4, 3, 7, 2), (2, 3, 1, 4, 1), 7
KNAPSACK = (
    "Maximize\n o: 5 a + 4 b + 3 c + 7 d + 2 y\n"
    "Subject To\n w: 2 a + 3 b + c + 4 d + y <= 7\n"
    "Bounds\n y <= 3\nBinary\n a b c d\nGeneral\n y\nEnd\n"
)


def objectives() -> list[float]:
    """Return the objectives of all feasible points, best first."""
    points = itertools.product((0, 1), (0, 1), (0, 1), (0, 1), (0, 1, 2, 3))
    fitting = (
        x for x in points if sum(w * v for w, v in zip(WEIGHTS, x, strict=True)) <= ROOM
    )
    gains = (sum(g * v for g, v in zip(GAINS, x, strict=True)) for x in fitting)
    return sorted(map(float, gains), reverse=True)


def test_the_pool_is_every_solution_in_order(tmp_path: Path) -> None:
    model = written(tmp_path, KNAPSACK)
    answer = solve(model, SolveOptions(seconds=300, pool=200), keep=tmp_path)
    assert [one.objective for one in answer.pool] == objectives()
    assert answer.pool_complete
    assert (
        len({json.dumps(dict(one.nonzeros), sort_keys=True) for one in answer.pool}) == 40
    )
    kept = json.loads(answer.files["solutions.json"].read_text())
    assert {one["checked"] for one in kept["solutions"]} == {"valid"}
    assert kept["proved"] == 40


def test_a_diverse_pool_within_a_gap(tmp_path: Path) -> None:
    model = written(tmp_path, KNAPSACK)
    options = SolveOptions(seconds=300, pool=50, pool_absolute_gap=2.0, pool_distance=3)
    answer = solve(model, options)
    assert answer.pool_complete
    assert answer.pool[0].objective == 15
    for one, other in itertools.combinations(answer.pool, 2):
        names = {*one.nonzeros, *other.nonzeros}
        unlike = [n for n in names if one.nonzeros.get(n, 0) != other.nonzeros.get(n, 0)]
        assert len(unlike) >= 3
    assert min(one.objective for one in answer.pool) >= 13


@pytest.mark.parametrize(
    ("cutoff", "reason", "limit"),
    [
        (15.0, Reason.OPTIMAL, None),
        (15.5, Reason.NO_SOLUTION_FOUND, Limit.CUTOFF),
    ],
)
def test_a_cutoff_may_be_equalled(
    tmp_path: Path, cutoff: float, reason: Reason, limit: Limit | None
) -> None:
    answer = solve(written(tmp_path, KNAPSACK), SolveOptions(seconds=120, cutoff=cutoff))
    assert (answer.reason, answer.limit) == (reason, limit)
    assert answer.has_solution == (limit is None)


def test_values_come_while_the_solve_runs_and_end_it(tmp_path: Path) -> None:
    seen: list[Improvement] = []

    def on_solution(found: Improvement) -> bool:
        seen.append(found)
        return len(seen) == 2

    answer = solve(
        knapsacks(tmp_path), SolveOptions(seconds=120), on_solution=on_solution
    )
    assert (answer.reason, answer.limit) == (Reason.FEASIBLE, Limit.STOPPED)
    assert len(seen) >= 1
    assert all(found.values for found in seen), "each has values"
    slack = seen[-1].values
    total = sum(slack.get(f"s{i}", 0) + slack.get(f"t{i}", 0) for i in range(5))
    assert total == pytest.approx(seen[-1].objective)
