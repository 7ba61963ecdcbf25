"""The judge of outlines: a plan made from a reference is right, and each change of it is not."""

from __future__ import annotations

import copy
import itertools
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import networkx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.search.domains.plan.goals.load import DEVELOPER
from trimtab.plans import NotDone, Outline, Span
from workers.corpus.goals.judge import Plan, judge, names, reduced, same, tag_of
from workers.corpus.goals.references import (
    Goal,
    Graph,
    Produced,
    answered,
    load,
    written_out,
)

GOALS = load(DEVELOPER)
WITH_JOBS = [goal for goal in GOALS if goal.graphs[0].jobs and len(goal.graphs) == 1]


def put(request: Any, path: str, value: Any) -> None:
    *way, last = path.split(".")
    place = request
    for word, following in itertools.pairwise([*way, last]):
        blank: Any = [] if following.isdigit() else {}
        if isinstance(place, list):
            place.extend([blank] * (int(word) - len(place) + 1))
            place = place[int(word)]
        else:
            place = place.setdefault(word, blank)
    if isinstance(place, list):
        place.extend([None] * (int(last) - len(place) + 1))
        place[int(last)] = value
    else:
        place[last] = value


def natural(path: str) -> list[tuple[int, str]]:
    return [(int(w), "") if w.isdigit() else (0, w) for w in path.split(".")]


def made(goal: Goal, graph: Graph) -> dict[str, Any]:
    """The outline that a reference graph describes, as JSON, its jobs in another order."""
    leaves = {}
    names = {job.name: f"l{n}" for n, job in enumerate(reversed(graph.jobs), start=1)}
    for job in graph.jobs:
        request: dict[str, Any] = {"spec": {}, "budget": {}}
        slots = {p: v[0] for p, v in job.any_of.items() if v[0] is not None}
        slots |= dict(job.set)
        for path, file in job.files.items():
            slots[path] = (
                {"leaf": names[file.job], "output": file.output}
                if isinstance(file, Produced)
                else {"digest": "sha256:" + "0" * 64, "name": file}
            )
        for path in sorted(slots, key=natural):
            put(request, path, copy.deepcopy(slots[path]))
        leaves[names[job.name]] = {
            "title": "x",
            "stage": "s1",
            "kind": job.kind,
            "seconds": {"p50": 1.0, "p90": 1.0},
            "origin": {"source": "template"},
            **request,
        }
    files = {
        (names[file.job], names[job.name])
        for job in graph.jobs
        for file in job.files.values()
        if isinstance(file, Produced)
    }
    orders = {(names[a], names[b]) for a, b in graph.order} - files
    return {
        "goal": goal.text,
        "leaves": leaves,
        "edges": {
            f"e{n}": {"parent": a, "child": b} for n, (a, b) in enumerate(sorted(orders))
        },
        "not_done": [{"text": words, "reason": "no"} for words in goal.not_done.values()],
    }


def plan_of(document: Any) -> Plan:
    return Plan(outline=Outline.model_validate_json(json.dumps(document)))


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: goal.id)
def test_what_the_reference_says_is_right(goal: Goal) -> None:
    for graph in goal.graphs:
        document = made(goal, answered(goal, graph, goal.must_ask))
        verdict = judge(goal, plan_of(document), goal.must_ask)
        assert verdict.right, verdict.faults
        if graph.jobs:
            assert verdict.meant == verdict.planned
    if goal.must_ask:
        verdict = judge(goal, plan_of(made(goal, goal.graphs[0])))
        assert any(text.startswith("did not ask") for text in verdict.faults)


def changes(document: Any) -> Iterator[tuple[str, Callable[[Any], None]]]:
    leaves = document["leaves"]
    for name, leaf in leaves.items():
        yield f"{name} dropped", lambda d, n=name: d["leaves"].pop(n)
        yield (
            f"{name} disabled",
            lambda d, n=name: d["leaves"][n].update(enabled=False),
        )
        yield (
            f"{name} twice",
            lambda d, n=name: d["leaves"].update(extra=copy.deepcopy(d["leaves"][n])),
        )
        yield f"{name} odd seed", lambda d, n=name: d["leaves"][n].update(seed=987_654)
        yield (
            f"{name} other kind",
            lambda d, n=name: d["leaves"][n].update(
                kind="ilp" if d["leaves"][n]["kind"] != "ilp" else "compile"
            ),
        )
        for field, value in leaf["spec"].items():
            if isinstance(value, dict) and "digest" in value:
                yield (
                    f"{name}.{field} other file",
                    lambda d, n=name, f=field: d["leaves"][n]["spec"][f].update(name="?"),
                )
        if "seconds" in leaf["budget"]:
            yield (
                f"{name} other time",
                lambda d, n=name: d["leaves"][n]["budget"].update(seconds=1234.5),
            )
    for name in document["edges"]:
        yield f"{name} dropped", lambda d, n=name: d["edges"].pop(n)
    if document["not_done"]:
        yield "not named", lambda d: d.update(not_done=[])


@pytest.mark.parametrize("goal", WITH_JOBS, ids=lambda goal: goal.id)
def test_each_change_is_a_fault(goal: Goal) -> None:
    graph = answered(goal, goal.graphs[0], goal.must_ask)
    document = made(goal, graph)
    count = 0
    for what, change in changes(document):
        other = copy.deepcopy(document)
        change(other)
        verdict = judge(goal, plan_of(other), goal.must_ask)
        assert not verdict.right, what
        count += 1
    assert count >= 4


def test_a_plan_of_a_goal_without_jobs_has_no_leaf() -> None:
    goal = next(g for g in GOALS if not g.graphs[0].jobs and not g.not_done)
    assert judge(goal, Plan(outline=None, refusal="no")).right
    other = made(goal, WITH_JOBS[0].graphs[0])
    assert not judge(goal, plan_of(other)).right


def test_questions_count_by_their_tag() -> None:
    goal = next(g for g in GOALS if "devices.memory_gib" in g.must_ask)

    def asking(about: str) -> Plan:
        question = {"text": "?", "about": about, "options": ["a"]}
        return plan_of({**made(goal, goal.graphs[0]), "questions": {"q1": question}})

    verdict = judge(goal, asking("devices.memory_gib"))
    assert not verdict.faults
    assert not verdict.right, "its graph is not complete yet"
    assert "asks engine" in judge(goal, asking("engine")).faults
    assert tag_of(goal, "spec.devices.0.memory_gib") == "devices.memory_gib"
    assert tag_of(goal, "bands.0.f_lo_hz") == "bands"
    assert tag_of(goal, "file") == "which_file"
    assert tag_of(goal, "number.20") == "background_number"
    timed = next(g for g in GOALS if "time_limit" in g.must_ask)
    assert tag_of(timed, "number.20") == "time_limit"
    assert tag_of(timed, "scope.spec.engine") == "engine"


@pytest.mark.parametrize(
    ("part", "named"),
    [
        ({"text": "mail the outcome", "reason": "no"}, True),
        ({"text": "x", "reason": "no", "spans": [{"start": 15, "end": 19}]}, True),
        ({"text": "x", "reason": "no", "spans": [{"start": 0, "end": 5}]}, False),
        ({"text": "solve a.lp", "reason": "no"}, False),
    ],
)
def test_a_part_is_named_by_its_words(part: Any, named: bool) -> None:
    goal = "solve a.lp and mail me the outcome"
    document = {"goal": goal, "not_done": [part]}
    assert names(goal, "mail me the outcome", plan_of(document)) is named
    assert names(goal, "mail me", Plan(outline=None, refusal="we do not mail"))
    assert NotDone(text="x", reason="y", spans=(Span(start=0, end=1),)).spans


@given(st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=14))
def test_reduction_agrees_with_networkx(pairs: set[tuple[int, int]]) -> None:
    edges = {(str(a), str(b)) for a, b in pairs if a < b}
    graph = networkx.DiGraph(sorted(edges))
    assert reduced(edges) == set(networkx.transitive_reduction(graph).edges)


def test_the_pairing_is_the_best_one() -> None:
    """Equal kinds and files: only a matching over all pairs finds the right one."""
    goal = next(g for g in WITH_JOBS if len(g.graphs[0].jobs) >= 4)
    document = made(goal, goal.graphs[0])
    rng = random.Random(3)
    for _ in range(5):
        leaves = list(document["leaves"].items())
        rng.shuffle(leaves)
        shuffled = {**document, "leaves": dict(leaves)}
        assert judge(goal, plan_of(shuffled), goal.must_ask).right


@pytest.mark.parametrize(
    ("path", "one", "other", "equal"),
    [
        ("budget.seconds", 60, 60.00001, True),
        ("budget.seconds", 60, 60.1, False),
        ("spec.max_vias", 0, False, False),
        ("spec.symmetric", True, 1, False),
        ("spec.lns.neighbourhoods", ["rins", "random"], ["random", "rins"], True),
        ("spec.what_if", [8, 16], [16, 8], False),
        ("spec.constraints.together.0", ["b", "a"], ["a", "b"], True),
    ],
)
def test_values_agree_by_the_rules(path: str, one: Any, other: Any, equal: bool) -> None:
    assert same(path, one, other) is equal


def test_paths_are_written_out() -> None:
    assert written_out("sharding", "spec.devices.count") == "spec.devices.0.count"
    assert written_out("antenna", "spec.bands.1.f_lo_hz") == "spec.bands.1.f_lo_hz"
    with pytest.raises(ValueError, match="expected a field of the kind"):
        written_out("ilp", "spec.devices.count")
