"""Repairs: another engine or more time, at most twice, never against the goal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.domains.plan.outline.repair import (
    fault_of,
    newest,
    repairs_of,
    root_of,
    unmet,
)
from search.rest import EndedJob
from tests.search.domains.plan.outline.goals import SPECS, ilp, outlined, read, then
from tests.search.domains.plan.outline.test_tree import accepted
from trimtab.plans import MAX_REPAIRS, Outline, Repair
from trimtab.results import JobState, Reason

GOOD = {"objective": 1.0, "gap": 0.0, "verification": {"status": "valid"}}
NOTHING = {"objective": None, "verification": {"status": "not_checked"}}


def job(
    outline: Outline,
    name: str,
    *,
    state: JobState = JobState.SUCCEEDED,
    reason: str = "feasible",
    limit: str | None = "time",
    result: Any = GOOD,
) -> EndedJob:
    leaf = outline.leaves[name]
    return EndedJob(
        id=f"job_{name}",
        fence=1,
        kind=leaf.kind,
        state=state,
        spec=leaf.spec,
        budget=leaf.budget,
        seed=leaf.seed,
        termination={"reason": reason, "limit": limit, "detail": ""},
        result=result,
        seconds=1.0,
    )


def failed(outline: Outline, name: str, **fields: Any) -> EndedJob:
    return job(outline, name, reason="no_solution_found", result=NOTHING, **fields)


def skipped(outline: Outline, name: str) -> EndedJob:
    return job(outline, name, state=JobState.SKIPPED, reason="parent_failed", result=None)


def test_more_time_then_another_engine_then_no_more() -> None:
    outline = outlined(read(ilp()))
    jobs = {"l1": failed(outline, "l1")}
    seen = []
    for number in range(1, MAX_REPAIRS + 2):
        repairs = repairs_of(outline, jobs, specs=SPECS)
        if number > MAX_REPAIRS:
            assert not repairs.leaves
            break
        ((name, leaf),) = repairs.leaves.items()
        assert name == f"l1.r{number}"
        assert leaf.origin.source == "repair"
        seen.append((leaf.budget.get("seconds"), leaf.spec.get("engine")))
        outline = repairs.added_to(outline)
        accepted(outline)
        jobs[name] = failed(outline, name)
    assert seen == [(180.0, None), (180.0, "scip")]


def test_a_success_and_a_proof_need_none() -> None:
    outline = outlined(read(ilp()))
    for reason in ("optimal", "infeasible", "unbounded", "feasible"):
        ended = job(
            outline, "l1", reason=reason, result=GOOD if reason == "feasible" else NOTHING
        )
        assert fault_of(outline.leaves["l1"], ended) is None
    stopped = failed(outline, "l1", limit="stopped")
    assert fault_of(outline.leaves["l1"], stopped) is None
    cancelled = job(outline, "l1", state=JobState.CANCELLED, reason="cancelled")
    assert not repairs_of(outline, {"l1": cancelled}, specs=SPECS).leaves


def test_an_unmet_condition_is_repaired_and_named() -> None:
    outline = outlined(read(ilp(values={"budget.target_gap": 0.01})))
    leaf = outline.leaves["l1"]
    far = job(outline, "l1", result={**GOOD, "gap": 0.2})
    assert unmet(leaf, far) == ("result.gap <= budget.target_gap",)
    assert fault_of(leaf, far) == "post"
    (made,) = repairs_of(outline, {"l1": far}, specs=SPECS).leaves.values()
    assert made.budget["seconds"] == 180.0
    near = job(outline, "l1", result={**GOOD, "gap": 0.01})
    assert fault_of(leaf, near) is None


def test_what_the_goal_states_or_rules_out_is_not_changed() -> None:
    stated = outlined(read(ilp(values={"budget.seconds": 30, "spec.engine": "highs"})))
    assert stated.leaves["l1"].repair == ()
    time = outlined(read(ilp(values={"budget.seconds": 30})))
    assert all("budget.seconds" not in r.set for r in time.leaves["l1"].repair)
    assert time.leaves["l1"].repair
    row = replace(ilp(), removed=("spec.engine=scip",))
    ruled_out = outlined(read(row))
    assert all(r.set.get("spec.engine") != "scip" for r in ruled_out.leaves["l1"].repair)


def test_what_was_skipped_is_offered_again_with_the_new_file() -> None:
    reader = replace(ilp(word=3), outputs={"warm_start": (0, "solution.sol")})
    last = ilp("b.lp", word=5)
    outline = outlined(read(ilp(), reader, last, order=(then(1, 2, success=True),)))
    jobs = {
        "l1": failed(outline, "l1"),
        "l2": skipped(outline, "l2"),
        "l3": skipped(outline, "l3"),
    }
    repairs = repairs_of(outline, jobs, specs=SPECS)
    assert list(repairs.leaves) == ["l1.r1", "l2.r1", "l3.r1"]
    assert repairs.leaves["l2.r1"].spec["warm_start"]["leaf"] == "l1.r1"
    assert [(e.parent, e.child, e.needs) for e in repairs.edges.values()] == [
        ("l2.r1", "l3.r1", "success")
    ]
    after = repairs.added_to(outline)
    accepted(after)
    assert newest(after) == {"l1": "l1.r1", "l2": "l2.r1", "l3": "l3.r1"}
    jobs |= {"l1.r1": failed(after, "l1.r1")}
    jobs |= {name: skipped(after, name) for name in ("l2.r1", "l3.r1")}
    second = repairs_of(after, jobs, specs=SPECS)
    assert list(second.leaves) == ["l1.r2", "l2.r2", "l3.r2"]
    assert second.leaves["l2.r2"].spec["warm_start"]["leaf"] == "l1.r2"
    assert [(e.parent, e.child) for e in second.edges.values()] == [("l2.r2", "l3.r2")]
    whole = second.added_to(after)
    assert len(whole.edges) == len(outline.edges) + 2


def test_a_skip_without_a_repair_is_not_offered_again() -> None:
    reader = replace(ilp(word=3), outputs={"warm_start": (0, "solution.sol")})
    outline = outlined(
        read(ilp(values={"budget.seconds": 1, "spec.engine": "scip"}), reader)
    )
    jobs = {"l1": failed(outline, "l1"), "l2": skipped(outline, "l2")}
    assert not repairs_of(outline, jobs, specs=SPECS).leaves


def test_a_done_edge_does_not_run_its_child_again() -> None:
    outline = outlined(read(ilp(), ilp("b.lp", word=2), order=(then(0, 1),)))
    jobs = {"l1": failed(outline, "l1"), "l2": job(outline, "l2")}
    repairs = repairs_of(outline, jobs, specs=SPECS)
    assert list(repairs.leaves) == ["l1.r1"]
    assert not repairs.edges


def test_a_dropped_leaf_is_not_repaired() -> None:
    outline = outlined(read(ilp()))
    off = outline.leaves["l1"].model_copy(update={"enabled": False})
    outline = outline.model_copy(update={"leaves": {"l1": off}})
    assert not repairs_of(outline, {"l1": failed(outline, "l1")}, specs=SPECS).leaves


@pytest.mark.parametrize(
    "change",
    [
        {"budget.seconds": "x1"},  # nothing new
        {"spec.engine": "gurobi"},  # no engine
        {"spec.nothing": 3},
        {"spec.model": "x3"},  # no number
    ],
)
def test_a_rule_that_does_not_fit_is_passed_over(change: dict[str, Any]) -> None:
    outline = outlined(read(ilp()))
    rules = (
        Repair(on=("no_solution_found",), set=change, words="no"),
        Repair(on=("post",), set={"seed": 9}, words="for another fault"),
        Repair(on=("no_solution_found",), set={"seed": 5}, words="yes"),
    )
    leaf = outline.leaves["l1"].model_copy(update={"repair": rules})
    outline = outline.model_copy(update={"leaves": {"l1": leaf}})
    jobs = {"l1": failed(outline, "l1")}
    (made,) = repairs_of(outline, jobs, specs=SPECS).leaves.values()
    assert made.seed == 5


def test_time_is_not_multiplied_beyond_its_limit() -> None:
    outline = outlined(read(ilp()))
    leaf = outline.leaves["l1"].model_copy(update={"budget": {"seconds": 80_000.0}})
    outline = outline.model_copy(update={"leaves": {"l1": leaf}})
    (made,) = repairs_of(
        outline, {"l1": failed(outline, "l1")}, specs=SPECS
    ).leaves.values()
    assert made.budget["seconds"] == 86_400.0


@pytest.mark.parametrize(
    ("name", "root"), [("l1", ("l1", 0)), ("l1.r2", ("l1", 2)), ("l10.r11", ("l10", 11))]
)
def test_names_of_versions(name: str, root: tuple[str, int]) -> None:
    assert root_of(name) == root


@settings(max_examples=40, deadline=None)
@given(
    ends=st.lists(
        st.tuples(st.sampled_from(JobState), st.sampled_from(Reason)),
        min_size=9,
        max_size=9,
    ),
    order=st.sets(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=3),
)
def test_repairs_end_and_stay_valid(ends: Any, order: Any) -> None:
    """Whatever happens, there are at most MAX_REPAIRS rounds, and each outline is valid."""
    rows = [ilp(), ilp("b.lp", word=2), ilp("c.lp", word=4)]
    rows[1] = replace(rows[1], outputs={"warm_start": (0, "solution.sol")})
    orders = tuple(then(a, b, success=True) for a, b in sorted(order) if a < b)
    outline = outlined(read(*rows, order=orders))
    jobs: dict[str, EndedJob] = {}
    for rounds in range(MAX_REPAIRS + 2):
        for name in outline.leaves:
            if name not in jobs:
                state, reason = (
                    ends.pop() if ends else (JobState.DEAD, Reason.WORKER_LOST)
                )
                jobs[name] = job(outline, name, state=state, reason=reason)
        repairs = repairs_of(outline, jobs, specs=SPECS)
        if not repairs.leaves:
            return
        assert rounds < MAX_REPAIRS
        assert not set(repairs.leaves) & set(outline.leaves)
        assert not set(repairs.edges) & set(outline.edges)
        for name, leaf in repairs.leaves.items():
            old = outline.leaves[leaf.origin.id]
            assert (leaf.kind, leaf.spec["model"]) == (old.kind, old.spec["model"])
            assert root_of(name)[0] == root_of(leaf.origin.id)[0]
        outline = repairs.added_to(outline)
        accepted(outline)
    pytest.fail("repairs do not end")
