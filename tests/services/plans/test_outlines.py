"""Outlines as data: which leaves become jobs, in which order, and what is refused."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import InvalidBody
from services.plans.outlines import (
    digest_of,
    edited,
    jobs_of,
    read_outline,
    require_repairs,
    require_stated_webhooks,
    runnable,
)
from services.plans.patches import patched
from trimtab.plans import MAX_LEAVES, Outline, PatchOperation


def leaf(spec: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "title": "t",
        "stage": "s1",
        "kind": "probe",
        "spec": spec or {},
        "seconds": {"p50": 1.0, "p90": 2.0},
        "origin": {"source": "template"},
        **more,
    }


def outline(
    leaves: dict[str, Any], edges: dict[str, Any] | None = None, **more: Any
) -> Outline:
    document = {
        "goal": "g",
        "goals": {"g1": {"title": "g"}},
        "stages": {"s1": {"title": "s", "goal": "g1"}},
        "leaves": leaves,
        "edges": edges or {},
        **more,
    }
    return read_outline({"outline": document})


def reads(*names: str) -> dict[str, Any]:
    return {"files": [{"leaf": name, "output": "x", "name": "own"} for name in names]}


@st.composite
def outlines(draw: st.DrawFn) -> tuple[Outline, set[str]]:
    """Draw an acyclic outline, and leaves of it that have jobs (closed under what they need)."""
    count = draw(st.integers(1, 8))
    leaves, edges, needs = {}, {}, {}
    for n in range(count):
        others = [f"l{m}" for m in range(n)]
        some = st.lists(st.sampled_from(others), max_size=3, unique=True)
        files = draw(some) if others else []
        waits = draw(some) if others else []
        for other in waits:
            kind = draw(st.sampled_from(["done", "success"]))
            edges[f"e{len(edges)}"] = {"parent": other, "child": f"l{n}", "needs": kind}
        leaves[f"l{n}"] = leaf(reads(*files), enabled=draw(st.integers(0, 4)) > 0)
        needs[f"l{n}"] = {*files, *waits}
    made = outline(draw(st.permutations(list(leaves.items())).map(dict)), edges)
    have: set[str] = set()
    for name in sorted(runnable(made)):
        if needs[name] & runnable(made) <= have and draw(st.booleans()):
            have.add(name)
    return made, have


@given(outlines())
def test_requests_name_only_earlier_ones_and_jobs(
    drawn: tuple[Outline, set[str]],
) -> None:
    made, have = drawn
    ids = {name: f"job_{name}" for name in have}
    requests = jobs_of(made, ids, plan_id="plan")
    assert set(requests) | have == runnable(made)
    order = list(requests)
    for index, (name, request) in enumerate(requests.items()):
        assert request["labels"] == {"plan": "plan", "leaf": name}
        files = [file["job"] for file in request["spec"].get("files", [])]
        named = [*files, *(after["job"] for after in request["after"])]
        for other in named:
            if other.startswith("#"):
                assert int(other[1:]) < index
            else:
                assert other in ids.values()
        wanted = {file["leaf"] for file in made.leaves[name].spec.get("files", [])}
        found = {
            order[int(job[1:])] if job.startswith("#") else job.removeprefix("job_")
            for job in files
        }
        assert found == wanted
        edges = {
            edge.parent
            for edge in made.edges.values()
            if edge.child == name and edge.parent in runnable(made)
        }
        assert len(request["after"]) >= len(edges)


@given(outlines())
def test_what_runs_needs_nothing_that_does_not(drawn: tuple[Outline, set[str]]) -> None:
    made, _ = drawn
    runs = runnable(made)
    for name, one in made.leaves.items():
        needed = {file["leaf"] for file in one.spec.get("files", [])} | {
            edge.parent
            for edge in made.edges.values()
            if edge.child == name and edge.needs == "success"
        }
        assert (name in runs) == (one.enabled and needed <= runs)


def test_a_file_of_a_leaf_becomes_one_of_its_job() -> None:
    made = outline(
        {"l1": leaf(), "l2": leaf({"a": {"b": [{"leaf": "l1", "output": "x"}]}})}
    )
    requests = jobs_of(made, {}, plan_id="p")
    assert requests["l2"]["spec"] == {"a": {"b": [{"job": "#0", "output": "x"}]}}
    assert jobs_of(made, {"l1": "job_1"}, plan_id="p")["l2"]["spec"] == {
        "a": {"b": [{"job": "job_1", "output": "x"}]}
    }


def deep(levels: int) -> dict[str, Any]:
    spec: dict[str, Any] = {}
    for _ in range(levels):
        spec = {"a": spec}
    return spec


@pytest.mark.parametrize(
    ("leaves", "more", "message"),
    [
        ({"l1": leaf(stage="s9")}, {}, "/leaves/l1/stage: expected one of s1, got 's9'"),
        ({"l1": leaf(reads("l9"))}, {}, "/leaves/l1/spec/files/0/leaf: expected a leaf"),
        ({"l1": leaf({"f": {"job": "j", "output": "x"}})}, {}, "/leaves/l1/spec/f"),
        ({"l1": leaf(deep(100))}, {}, "at most 32 levels"),
        ({"l1": leaf(deep(500))}, {}, "(outline): expected values of JSON"),
        ({"L 1": leaf()}, {}, "/leaves/L 1"),
        ({f"l{n}": leaf() for n in range(MAX_LEAVES + 1)}, {}, "at most 100 jobs"),
        ({}, {"answers": {"q1": "x"}}, "/answers/q1"),
        ({}, {"edges": {"e1": {"parent": "a", "child": "b"}}}, "/edges/e1/parent"),
        ({"l1": leaf(budget=[])}, {}, "/leaves/l1/budget: expected an object"),
        ({"l.1": leaf(seconds={"p50": -1, "p90": 2})}, {}, "/leaves/l.1/seconds/p50"),
    ],
)
def test_an_unsound_outline_is_refused(
    leaves: dict[str, Any], more: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidBody) as caught:
        outline(leaves, **more)
    assert message in str(caught.value)


def test_a_circle_through_a_file_is_refused() -> None:
    made = outline(
        {"l1": leaf(reads("l2")), "l2": leaf()},
        {"e1": {"parent": "l1", "child": "l2", "needs": "done"}},
    )
    with pytest.raises(InvalidBody, match="/edges"):
        jobs_of(made, {}, plan_id="p")


FILE = {"digest": "sha256:" + "1" * 64}
REPAIRED = {
    "l1": leaf({"model": FILE}),
    "l2": leaf({"start": {"leaf": "l1", "output": "x"}}),
}


def repair(of: str, spec: dict[str, Any], **more: Any) -> dict[str, Any]:
    return leaf(spec, origin={"source": "repair", "id": of}, **more)


@pytest.mark.parametrize(
    ("added", "refusal"),
    [
        ({"l1.r1": repair("l1", {"model": FILE, "engine": "scip"})}, None),
        (
            {
                "l1.r1": repair("l1", {"model": FILE}),
                "l2.r1": repair("l2", {"start": {"leaf": "l1.r1", "output": "x"}}),
            },
            None,
        ),
        (
            {
                "l1.r1": repair("l1", {"model": FILE}),
                "l1.r2": repair("l1.r1", {"model": FILE}),
            },
            None,
        ),
        (
            {f"l1.r{n}": repair("l1", {"model": FILE}) for n in range(3)},
            "/leaves/l1: expected at most 2 repairs, got 3",
        ),
        ({"l3": leaf({"model": FILE})}, "/leaves/l3/origin"),
        ({"l1.r1": repair("l9", {"model": FILE})}, "/leaves/l1.r1/origin"),
        ({"l1.r1": repair("l1.r1", {"model": FILE})}, "/leaves/l1.r1/origin"),
        ({"l1.r1": repair("l1", {"model": FILE}, kind="ilp")}, "/leaves/l1.r1/kind"),
        (
            {"l1.r1": repair("l1", {})},
            "/leaves/l1.r1/spec: expected the input files of l1",
        ),
        (
            {"l2.r1": repair("l2", {"start": {"leaf": "l2", "output": "x"}})},
            "/leaves/l2.r1/spec",
        ),
        ({"l1": leaf({"model": FILE}, seed=5)}, "/leaves/l1: expected the leaf that was"),
    ],
)
def test_after_an_approval_leaves_are_only_repaired(
    added: dict[str, Any], refusal: str | None
) -> None:
    before, after = outline(REPAIRED), outline(REPAIRED | added)
    if refusal is None:
        require_repairs(before, after)
        return
    with pytest.raises(InvalidBody) as caught:
        require_repairs(before, after)
    assert refusal in str(caught.value)


def test_a_removed_leaf_is_no_repair() -> None:
    with pytest.raises(InvalidBody, match="/leaves/l1: expected the leaf"):
        require_repairs(outline(REPAIRED), outline({"l3": leaf()}))


def test_a_digest_names_the_content_and_not_its_order() -> None:
    one = outline({"l1": leaf(), "l2": leaf()})
    other = outline({"l2": leaf(), "l1": leaf()})
    assert digest_of(one) == digest_of(other)
    assert digest_of(one) != digest_of(outline({"l1": leaf(seed=1), "l2": leaf()}))


def test_marks_of_changed_values_go() -> None:
    span = [{"start": 0, "end": 1}]
    marks = {"spec.devices.0.count": span, "spec.name": span, "kind": span}
    spec = {"devices": [{"count": 8}], "name": "a"}
    before = outline({"l1": leaf(spec, spans=marks, defaults={"seed": "0"})})
    document = json.loads(before.model_dump_json())
    document["leaves"]["l1"]["spec"]["devices"][0]["count"] = 16
    after = edited(before, document).leaves["l1"]
    assert set(after.spans) == {"spec.name", "kind"}
    assert after.defaults == {"seed": "0"}


places = st.sampled_from(
    ["/leaves/l1/spec/a", "/leaves/l1/spec/b/0", "/leaves/l1/spec/b/-", "/edges/e~1~0"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner)
    ),
    max_leaves=4,
)


@given(st.lists(st.tuples(st.sampled_from(["add", "replace", "remove"]), places, values)))
def test_patches_change_a_copy_and_can_be_tested(
    drawn: list[tuple[Any, str, Any]],
) -> None:
    document: Any = {"leaves": {"l1": {"spec": {"b": [1]}}}, "edges": {}}
    for op, path, value in drawn:
        before = copy.deepcopy(document)
        operation = PatchOperation(op=op, path=path, value=value)
        try:
            after = patched(document, [operation])
        except InvalidBody:
            assert document == before
            continue
        assert document == before
        if op != "remove" and not path.endswith("-"):
            patched(after, [PatchOperation(op="test", path=path, value=value)])
        if op == "add" and path.endswith("/b/0"):
            assert patched(after, [PatchOperation(op="remove", path=path)]) == before
        document = after


def test_true_is_not_one() -> None:
    operation = PatchOperation(op="test", path="/edges", value=True)
    with pytest.raises(InvalidBody, match=r"0\.value: expected 1, got True"):
        patched({"edges": 1}, [operation])


HOOK = "https://x.example/done"
ENVELOPE: dict[str, Any] = {
    "priority": 5,
    "name": "Friday",
    "labels": {"team": "ops", "plan": "another"},
    "max_attempts": 1,
    "webhook": {"url": HOOK},
    "model": "shipped",
}


def test_a_job_has_the_envelope_of_its_leaf_and_the_labels_of_its_plan() -> None:
    made = outline({"l1": leaf(**ENVELOPE), "l2": leaf()})
    rows = jobs_of(made, {}, plan_id="p", max_attempts=2)
    own = {"team": "ops", "plan": "p", "leaf": "l1"}
    assert {name: rows["l1"][name] for name in ENVELOPE} == {**ENVELOPE, "labels": own}
    assert rows["l2"]["labels"] == {"plan": "p", "leaf": "l2"}
    assert rows["l2"]["max_attempts"] == 2
    assert rows["l2"]["webhook"] is None


def test_a_webhook_stands_in_the_goal() -> None:
    made = outline({"l1": leaf(webhook={"url": HOOK})})
    require_stated_webhooks(made, f"solve it, then POST to {HOOK}.")
    with pytest.raises(InvalidBody, match="/leaves/l1/webhook/url"):
        require_stated_webhooks(made, "solve it")


@pytest.mark.parametrize("name", list(ENVELOPE))
def test_a_changed_part_of_the_envelope_is_no_longer_from_the_goal(name: str) -> None:
    path = "webhook.url" if name == "webhook" else name
    span = {path: [{"start": 0, "end": 1}]}
    before = outline({"l1": leaf(**ENVELOPE, spans=span)})
    changed = before.model_dump(mode="json")
    blank = leaf_defaults()[name]
    changed["leaves"]["l1"][name] = blank
    assert path not in edited(before, changed).leaves["l1"].spans
    assert path in edited(before, before.model_dump(mode="json")).leaves["l1"].spans


def leaf_defaults() -> dict[str, Any]:
    return outline({"l1": leaf()}).model_dump(mode="json")["leaves"]["l1"]
