"""Outlines from readings: leaves, stages, goals, edges, choices and what is left out."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.domains.plan.outline.candidates import bound_request, from_template
from search.domains.plan.outline.filters import (
    Place,
    consistent,
    distinct,
    ordered,
    provenance,
    valid,
    validated,
)
from search.domains.plan.outline.templates import library
from search.domains.plan.types import Order, Value
from tests.search.domains.plan.outline.goals import (
    SPECS,
    facts,
    ilp,
    outlined,
    read,
    span,
    then,
    wish,
)
from trimtab.plans import MAX_LEAVES, Outline, Question
from trimtab.specs.common import request_model

DEVICES = {"spec.devices.0.count": 8, "spec.devices.0.memory_gib": 80}
BAND = {"spec.bands.0.f_lo_hz": 2.4e9, "spec.bands.0.f_hi_hz": 2.48e9}


def accepted(outline: Outline) -> None:
    """The gateway takes every leaf, with a stand-in for files of other leaves."""

    def awaited(value: Any) -> Any:
        if isinstance(value, dict) and "leaf" in value:
            assert value["leaf"] in outline.leaves
            return {"job": "#0", "output": value["output"]}
        if isinstance(value, dict):
            return {name: awaited(part) for name, part in value.items()}
        return [awaited(part) for part in value] if isinstance(value, list) else value

    for leaf in outline.leaves.values():
        request = {
            "kind": leaf.kind,
            "spec": awaited(leaf.spec),
            "budget": leaf.budget,
            "seed": leaf.seed,
            "priority": leaf.priority,
        }
        request_model(SPECS[leaf.kind]).model_validate_json(json.dumps(request))
        assert leaf.stage in outline.stages
        assert outline.stages[leaf.stage].goal in outline.goals


def test_one_wish_is_one_leaf_with_its_words() -> None:
    outline = outlined(read(ilp(word=2, values={"spec.engine": "scip", "seed": 7})))
    accepted(outline)
    (leaf,) = outline.leaves.values()
    assert leaf.spec["engine"] == "scip"
    assert leaf.seed == 7
    assert leaf.spans["spec.engine"] == leaf.spans["kind"] == span(2)
    assert set(leaf.defaults) == {"budget.seconds"}
    assert leaf.origin.source == "template"
    assert {rival.id for rival in leaf.origin.rivals} >= {"ilp.solve"}
    assert all(rival.removed_by for rival in leaf.origin.rivals)
    assert "SCIP" in outline.understood
    assert list(outline.goals) == ["g1"]


def test_a_more_specific_template_wins() -> None:
    outline = outlined(read(ilp(values={"budget.target_gap": 0.01, "budget.seconds": 9})))
    (leaf,) = outline.leaves.values()
    assert leaf.origin.id == "ilp.to_gap"
    assert "result.gap <= budget.target_gap" in leaf.post
    assert [r.removed_by for r in leaf.origin.rivals] == ["choice: it is less specific"]


def test_an_order_and_a_file_make_levels() -> None:
    first = ilp("a.lp")
    second = replace(
        ilp("a.lp", word=3),
        outputs={"warm_start": (0, "solution.sol")},
        files={"model": "a.lp"},
    )
    third = ilp("b.lp", word=5)
    outline = outlined(read(first, second, third, order=(then(1, 2),)))
    accepted(outline)
    assert outline.leaves["l2"].spec["warm_start"] == {
        "leaf": "l1",
        "output": "solution.sol",
    }
    assert [(e.parent, e.child, e.needs) for e in outline.edges.values()] == [
        ("l2", "l3", "done")
    ]
    assert [leaf.stage for leaf in outline.leaves.values()] == ["s1", "s2", "s3"]


def test_a_comparison_is_one_goal_with_one_stage() -> None:
    rows = [ilp(values={"spec.engine": name}) for name in ("highs", "scip")]
    outline = outlined(read(*rows))
    accepted(outline)
    assert [goal.title for goal in outline.goals.values()] == [
        "Compare HiGHS and SCIP on a.lp"
    ]
    assert len(outline.stages) == 1


def test_display_follows_the_text_and_the_order() -> None:
    rows = [ilp("a.lp", word=6), ilp("b.lp", word=1), ilp("c.lp", word=3)]
    outline = outlined(read(*rows, order=(then(0, 1),)))
    names = [leaf.spec["model"]["name"] for leaf in outline.leaves.values()]
    assert names == ["c.lp", "a.lp", "b.lp"]


def test_a_required_value_without_default_is_asked_for() -> None:
    tables = wish("sharding", files={"tables_file": "t.csv"}, word=4)
    outline = outlined(read(tables, ilp(word=6)))
    assert [q.about for q in outline.questions.values()] == [
        "devices.count",
        "devices.memory_gib",
    ]
    assert outline.questions["q1"].spans == span(4)
    assert list(outline.leaves) == ["l1"], "what is complete is shown"
    answers = {"devices.count": "8", "devices.memory_gib": "40.5 GiB"}
    answered = outlined(read(tables, ilp(word=6)), answers=answers)
    accepted(answered)
    assert not answered.questions
    devices = answered.leaves["l1"].spec["devices"]
    assert devices == [{"count": 8, "memory_gib": 40.5}]


def test_both_edges_of_a_band_are_one_question() -> None:
    for reading in (
        read(wish("antenna")),
        read(
            wish("antenna"),
            questions=(Question(text="?", about="bands.0.f_lo_hz", options=("a",)),),
        ),
    ):
        assert len(outlined(reading).questions) == 1
    vague = outlined(read(wish("antenna")), answers={"bands.f_lo_hz": "somewhere"})
    assert vague.questions, "an answer that is no number is asked for again"


def test_the_readers_question_comes_first_and_only_once() -> None:
    asked = tuple(
        Question(text="?", about=about, options=("a", "b"))
        for about in ("devices.count", "unit")
    )
    tables = wish("sharding", files={"tables_file": "t.csv"})
    outline = outlined(read(tables, tables, questions=asked))
    assert [q.about for q in outline.questions.values()] == [
        "devices.count",
        "unit",
        "devices.memory_gib",
    ]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (ilp(values={"spec.threads": 0}), "threads"),
        (ilp(values={"spec.engine": "gurobi"}), "engine"),
        (ilp(values={"budget.seconds": 1e9}), "86400"),
        (ilp(values={"spec.no_such_field": 3}), "no_such_field"),
        (ilp(values={"webhook": "http://example.com"}), "webhook"),
        (wish("poem"), "poem"),
        (wish("antenna", values={**BAND, "spec.bands.0.f_lo_hz": 3e9}), "f_lo_hz"),
        (replace(ilp(), outputs={"warm_start": (5, "solution.sol")}), "later"),
        (
            replace(
                ilp(),
                removed=("spec.engine=scip",),
                values=(Value(path="spec.engine", value="scip", spans=span(0)),),
            ),
            "rules out",
        ),
    ],
)
def test_what_cannot_be_is_not_done_and_says_why(row: Any, why: str) -> None:
    outline = outlined(read(row, ilp("b.lp", word=4)))
    accepted(outline)
    assert len(outline.leaves) == 1
    (part,) = outline.not_done
    assert why in part.reason
    assert part.text == "one"


def test_a_file_of_a_lost_job_is_not_done_either() -> None:
    lost = ilp(values={"spec.threads": 0})
    reader = replace(ilp(word=3), outputs={"warm_start": (0, "solution.sol")})
    outline = outlined(read(lost, reader))
    assert not outline.leaves
    assert len(outline.not_done) == 2


def test_an_output_that_no_run_makes_is_refused() -> None:
    reader = replace(ilp(word=3), outputs={"warm_start": (0, "plan.json")})
    outline = outlined(read(ilp(), reader))
    assert "makes no plan.json" in outline.not_done[0].reason


def test_the_same_job_twice_is_one() -> None:
    outline = outlined(read(ilp(), ilp(word=3)))
    assert len(outline.leaves) == 1
    assert "the same job" in outline.not_done[0].reason


def test_a_circular_order_is_left_out_and_said() -> None:
    outline = outlined(read(ilp(), ilp("b.lp", word=2), order=(then(0, 1), then(1, 0))))
    assert len(outline.leaves) == 2
    assert not outline.edges
    assert "contradicts itself" in outline.notes[0]
    circle = [
        replace(ilp(), outputs={"warm_start": (1, "solution.sol")}),
        replace(ilp("b.lp"), outputs={"warm_start": (0, "solution.sol")}),
    ]
    assert not outlined(read(*circle)).leaves


def test_a_plan_has_a_limit_of_jobs() -> None:
    rows = [ilp(values={"seed": number}) for number in range(MAX_LEAVES + 3)]
    outline = outlined(read(*rows))
    assert len(outline.leaves) == MAX_LEAVES
    assert len(outline.not_done) == 3


def test_a_file_that_is_not_attached_is_refused() -> None:
    outline = outlined(read(ilp("other.lp")), files=[facts("a.lp")])
    assert "attached" in outline.not_done[0].reason


# -- filters, one by one --


def place(row: Any, **fields: Any) -> Place:
    names = {"a.lp": facts("a.lp")}
    return Place(
        **{
            "wish": row,
            "wishes": [row],
            "index": 0,
            "files": names,
            "specs": SPECS,
            "chosen": (),
            "made": {},
            **fields,
        }
    )


def candidate(row: Any, id: str = "ilp.solve") -> Any:
    template = library().template(id)
    assert template is not None
    request, spans = bound_request(row, {"a.lp": facts("a.lp")})
    return from_template(template, row, request, spans)


@pytest.mark.parametrize(
    ("path", "value", "removed"),
    [
        ("engine", "cp-sat", True),
        ("engine", "highs", False),  # the schema's default
        ("threads", 3, True),
        ("threads", 2, False),
    ],
)
def test_a_value_without_words_is_removed(path: str, value: Any, removed: bool) -> None:
    row = ilp()
    made = candidate(row)
    made.request["spec"][path] = value
    assert (provenance(made, place(row)) is not None) is removed


def test_another_file_or_number_is_removed() -> None:
    row = ilp(values={"budget.seconds": 30})
    assert provenance(candidate(row), place(row)) is None
    other = candidate(row)
    other.request["spec"]["model"] = {"digest": "sha256:" + "f" * 64, "name": "x.lp"}
    assert "digest" in str(provenance(other, place(row)))
    other = candidate(row)
    other.request["budget"]["seconds"] = 31
    assert "says 30" in str(provenance(other, place(row)))


def test_filters_name_their_reason() -> None:
    row = ilp(values={"spec.engine": "scip"})
    made = candidate(row)
    assert valid(made, place(row)) is None
    assert "same job" in str(distinct(made, place(row, chosen=[made])))
    assert distinct(made, place(row, siblings=[made])) is None
    own = replace(made, source="model", id="1")
    assert "same job" in str(distinct(own, place(row, siblings=[made])))
    twice = replace(row, values=(*row.values, replace(row.values[0], value="highs")))
    assert "both" in str(consistent(made, place(twice)))
    reader = replace(row, outputs={"warm_start": (0, "solution.sol")})
    assert ordered(made, place(reader, made={0: "ilp"})) is None
    assert "later" in str(ordered(made, place(reader)))


def test_validation_is_the_gateways_own() -> None:
    with pytest.raises(ValueError, match="seconds"):
        validated("ilp", {"spec": {"model_text": "x"}, "budget": {"seconds": -1}}, SPECS)
    with pytest.raises(ValueError, match="target_gap"):
        validated(
            "antenna",
            {
                "spec": {"bands": [{"f_lo_hz": 2.4e9, "f_hi_hz": 2.5e9}]},
                "budget": {"target_gap": 0.1},
            },
            SPECS,
        )


# -- whatever a reading says, an outline is valid --

VALUES = st.dictionaries(
    st.sampled_from(
        [
            "spec.engine",
            "spec.threads",
            "budget.seconds",
            "budget.target_gap",
            "seed",
            "spec.lns.enabled",
            "priority",
            "spec.format",
        ]
    ),
    st.sampled_from(["scip", "lp", 0, 1, 3, 0.5, 1e9, True, None, [1], {}]),
    max_size=4,
)
WISHES = st.builds(
    lambda name, word, values, group: ilp(name, word=word, values=values, group=group),
    st.sampled_from(["a.lp", "b.lp", "c.lp"]),
    st.integers(0, 9),
    VALUES,
    st.integers(0, 2),
)


@settings(max_examples=60, deadline=None)
@given(
    wishes=st.lists(WISHES, max_size=6),
    order=st.lists(st.tuples(st.integers(-1, 6), st.integers(-1, 6)), max_size=6),
    handed=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=3),
)
def test_any_reading_gives_an_outline_that_the_gateway_accepts(
    wishes: list[Any], order: list[tuple[int, int]], handed: list[tuple[int, int]]
) -> None:
    for child, parent in handed:
        if child < len(wishes):
            outputs = {"warm_start": (parent, "solution.sol")}
            wishes[child] = replace(wishes[child], outputs=outputs)
    orders = tuple(
        Order(parent=a, child=b, needs_success=bool(a % 2), why="x") for a, b in order
    )
    outline = outlined(read(*wishes, order=orders))
    accepted(outline)
    done = len(outline.leaves) + len(outline.not_done)
    assert done == len(wishes), "every wish is a leaf, or says why not"
    names = list(outline.leaves)
    for edge in outline.edges.values():
        assert names.index(edge.parent) < names.index(edge.child)
    again = Outline.model_validate_json(outline.model_dump_json())
    assert again == outline


# -- defaults that follow the band --


@pytest.mark.parametrize("eps_r", [2.2, 4.4])
@pytest.mark.parametrize("ghz", [1, 2.4, 5.8, 8, 10, 12, 14, 20, 24, 28, 38])
def test_the_cells_of_an_antenna_fit_its_band(ghz: float, eps_r: float) -> None:
    band = {"spec.bands.0.f_lo_hz": ghz * 1e9, "spec.bands.0.f_hi_hz": ghz * 1.01e9}
    row = wish("antenna", values={**band, "spec.board.eps_r": eps_r})
    made = candidate(row, "antenna.design")
    validated("antenna", made.request, SPECS)
    assert ("spec.grid.cell_mm" in made.defaults) == (ghz * eps_r**0.5 > 16.6)


def test_stated_cells_stay() -> None:
    band = {"spec.bands.0.f_lo_hz": 24e9, "spec.bands.0.f_hi_hz": 24.2e9}
    row = wish("antenna", values={**band, "spec.grid.cell_mm": 0.5})
    made = candidate(row, "antenna.design")
    assert made.request["spec"]["grid"] == {"cell_mm": 0.5}
    assert "spec.grid.cell_mm" not in made.defaults
