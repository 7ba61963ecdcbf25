"""Expected seconds: of a leaf by its budget, of an outline by chain and sum."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.search.domains.plan.outline.goals import SPECS, ilp, outlined, read, then
from trimtab.estimates import TABLE, PastRun, seconds_of, shares, total
from trimtab.plans import Outline, Seconds
from workers.bench.plan import durations


def with_seconds(outline: Outline, *seconds: float) -> Outline:
    leaves = {
        name: leaf.model_copy(update={"seconds": Seconds(p50=value, p90=2 * value)})
        for (name, leaf), value in zip(outline.leaves.items(), seconds, strict=True)
    }
    return outline.model_copy(update={"leaves": leaves})


def test_chains_add_and_workers_share() -> None:
    rows = [ilp(f"{name}.lp", word=i) for i, name in enumerate("abcd")]
    outline = outlined(read(*rows, order=(then(0, 1), then(1, 2))))
    outline = with_seconds(outline, 10, 20, 30, 5)
    for workers, p50 in ((1, 65), (2, 60), (9, 60)):
        whole = total(outline, workers=workers)
        assert (whole.p50, whole.p90) == (p50, 2 * p50)
    dropped = outline.leaves["l2"].model_copy(update={"enabled": False})
    outline = outline.model_copy(update={"leaves": {**outline.leaves, "l2": dropped}})
    assert total(outline, workers=1).p50 == 45


def test_every_kind_has_a_row_with_its_source() -> None:
    assert set(shares()) == set(SPECS)
    for kind, row in shares().items():
        assert 0 < row["p50"] <= row["p90"]
        assert row["runs"] >= 20
        made = seconds_of(kind, {"seconds": 100})
        assert 2.0 < made.p50 <= made.p90 <= 102
        assert "100 s" in made.basis
    assert seconds_of("sharding", {"seconds": 1000}).p90 < 20
    assert seconds_of("compile", {"seconds": 1000}).p50 == 1002
    few = seconds_of("compile", {"seconds": 1000, "evaluations": 10})
    assert few.p90 < 10
    assert seconds_of("antenna", {"seconds": 20}).p50 == 22


def test_the_table_follows_from_the_stored_results(tmp_path: Path) -> None:
    out = tmp_path / "durations.toml"
    rows = list(durations.lines(out))
    assert [row["kind"] for row in rows] == list(shares())
    assert out.read_text() == TABLE.read_text()


def test_own_runs_replace_the_table_when_there_are_enough() -> None:
    runs = [PastRun(kind="ilp", budget_s=100, seconds=float(s)) for s in range(1, 11)]
    made = seconds_of("ilp", {"seconds": 1000}, runs)
    assert made.basis.endswith("10 earlier runs of this kind")
    assert made.p50 == pytest.approx(62)
    assert made.p90 == pytest.approx(102)
    few = seconds_of("ilp", {"seconds": 1000}, runs[:4])
    assert "earlier" not in few.basis


@settings(max_examples=30, deadline=None)
@given(
    seconds=st.lists(st.integers(1, 99), min_size=3, max_size=3),
    order=st.sets(st.sampled_from([(0, 1), (0, 2), (1, 2)])),
    workers=st.integers(1, 4),
)
def test_the_total_is_between_the_longest_leaf_and_the_sum(
    seconds: list[int], order: set[tuple[int, int]], workers: int
) -> None:
    rows = [ilp(f"{name}.lp", word=i) for i, name in enumerate("abc")]
    outline = outlined(read(*rows, order=tuple(then(a, b) for a, b in sorted(order))))
    outline = with_seconds(outline, *seconds)
    p50 = total(outline, workers=workers).p50
    assert max(seconds) <= p50 <= sum(seconds)
    assert p50 >= sum(seconds) / workers - 0.1
