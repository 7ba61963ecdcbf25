"""Forms from any schema and back: a posted form becomes the body that the API takes."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field as Rule

from search.kinds import KINDS
from services.web.answers import Answers, answers_of, defaults, read
from services.web.form_view import FormView, check, request_form
from services.web.forms import Control, Field, fields_of, place
from trimtab.specs import IlpSpec, ProbeSpec, request_model
from trimtab.specs.common import ArtifactRef, ShortText, Spec, WireModel

DIGEST = "sha256:" + "ab" * 32


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Inner(WireModel):
    depth: Annotated[int, Rule(ge=1, le=9)] = 3
    name: str = "x"


class Rich(Spec):
    """A spec with a field of every type."""

    KIND: ClassVar[str] = "rich"
    needed: str
    """A word with `code` in it."""
    count: Annotated[int, Rule(ge=0, le=10)] = 1
    ratio: Annotated[float, Rule(gt=0, lt=1)] = 0.5
    on: bool = True
    colour: Colour = Colour.RED
    maybe: Literal["a", "b"] | None = None
    several: Annotated[tuple[Colour, ...], Rule(strict=False)] = (Colour.RED,)
    sizes: Annotated[tuple[int, ...], Rule(strict=False)] = ()
    pairs: dict[str, str] = Rule(default_factory=dict)
    inner: Inner = Rule(default_factory=Inner)
    other: Inner | None = None
    mesh: ArtifactRef | None = None
    parts: list[Inner] = Rule(default_factory=list)
    title: ShortText = ""
    long: Annotated[str, Rule(max_length=10_000)] = ""


RICH = request_model(Rich)


def leaf(root: Field, name: str) -> Field:
    return next(item for item in root.leaves() if item.name == name)


def test_every_type_gets_its_control() -> None:
    root = request_form(RICH)
    controls = {
        item.name: item.control for item in root.leaves() if item.path[0] == "spec"
    }
    assert controls == {
        "spec.schema_version": Control.CONSTANT,
        "spec.needed": Control.TEXT,
        "spec.count": Control.INTEGER,
        "spec.ratio": Control.NUMBER,
        "spec.on": Control.FLAG,
        "spec.colour": Control.CHOICE,
        "spec.maybe": Control.CHOICE,
        "spec.several": Control.CHOICES,
        "spec.sizes": Control.LINES,
        "spec.pairs": Control.PAIRS,
        "spec.inner.depth": Control.INTEGER,
        "spec.inner.name": Control.TEXT,
        "spec.other.depth": Control.INTEGER,
        "spec.other.name": Control.TEXT,
        "spec.mesh": Control.FILE,
        "spec.parts": Control.ROWS,
        "spec.title": Control.TEXT,
        "spec.long": Control.LONG_TEXT,
    }
    assert leaf(root, "spec.needed").required
    assert leaf(root, "spec.ratio").range_words == "more than 0, less than 1"
    assert leaf(root, "spec.maybe").nullable


@pytest.mark.parametrize("spec", [IlpSpec, ProbeSpec, Rich])
def test_the_envelope_is_asked_for_every_kind(spec: type[Spec]) -> None:
    names = {item.name for item in request_form(request_model(spec)).leaves()}
    assert {
        "budget.seconds",
        "budget.target_gap",
        "seed",
        "priority",
        "labels",
        "max_attempts",
    } <= names


def test_an_untouched_form_is_the_default_request() -> None:
    model = request_model(ProbeSpec)
    root = request_form(model)
    body, faults = check(root, model, "probe", defaults(root))
    assert faults == []
    assert model.model_validate(body) == model.model_validate(
        {"kind": "probe", "spec": {}}
    )


def test_answers_become_typed_json() -> None:
    root = request_form(RICH)
    answers = Answers(
        values={
            "spec.needed": ["word"],
            "spec.count": [" 7 "],
            "spec.on": ["false"],
            "spec.several": ["", "red", "blue"],
            "spec.sizes": ["1\r\n2\r\n"],
            "spec.pairs": ["a=1\r\nb = x=y"],
            "spec.parts@paste": ['[{"depth": 2}]'],
            "spec.other.depth": ["4"],
            "spec.long": ["one\r\ntwo"],
            "budget.seconds": ["1.5"],
            "labels": ["team=core"],
        },
        files={"spec.mesh": {"digest": DIGEST, "name": "m.msh"}},
    )
    body, faults = check(root, RICH, "rich", answers)
    assert faults == []
    assert body["spec"] == {
        "needed": "word",
        "count": 7,
        "on": False,
        "several": ["red", "blue"],
        "sizes": [1, 2],
        "pairs": {"a": "1", "b": "x=y"},
        "inner": {},
        "other": {"depth": 4},
        "mesh": {"digest": DIGEST, "name": "m.msh"},
        "parts": [{"depth": 2}],
        "long": "one\ntwo",
    }
    assert body["labels"] == {"team": "core"}
    assert body["budget"] == {"seconds": 1.5}


def test_a_checkbox_counts_after_its_hidden_false() -> None:
    body, _ = read(request_form(RICH), Answers(values={"spec.on": ["false", "true"]}))
    assert body["spec"]["on"] is True


def test_an_empty_nullable_group_is_left_out() -> None:
    body, _ = read(
        request_form(RICH),
        Answers(values={"spec.other.depth": [""], "spec.other.name": [""]}),
    )
    assert "other" not in body["spec"]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("spec.count", "seven", "a whole number"),
        ("spec.count", "11", "a value of at most 10"),
        ("spec.ratio", "nan", "a finite number"),
        ("spec.ratio", "1e999", "a finite number"),
        ("spec.ratio", "0", "greater than 0"),
        ("spec.colour", "green", "one of red, blue"),
        ("spec.on", "maybe", "yes or no"),
        ("spec.pairs", "no equals", "lines like key=value"),
        ("spec.pairs", "a=1\na=2", "each key once"),
        ("spec.parts.0.depth", "deep", "a whole number"),
        ("spec.parts.0.depth", "99", "a value of at most 9"),
        ("spec.inner.depth", "0", "a value of at least 1"),
        ("labels", "bad key!=1", "text that matches"),
        ("seed", "9" * 60, "a whole number"),
        ("spec.title", "nul\x00", "NUL"),
    ],
)
def test_a_fault_is_reported_at_its_field(name: str, text: str, expected: str) -> None:
    root = request_form(RICH)
    _, faults = check(
        root, RICH, "rich", Answers(values={"spec.needed": ["x"], name: [text]})
    )
    assert [fault.path for fault in faults] == [tuple(name.split("."))]
    assert expected in faults[0].expected
    view = FormView(root, Answers(values={name: [text]}), faults)
    assert view.faults_at(tuple(name.split(".")))
    is_choices = name == "spec.several"
    assert view.faults[0].href == ("" if is_choices else f"#f-{name.replace('.', '-')}")


def test_what_is_missing_is_told_once() -> None:
    root = request_form(RICH)
    _, faults = check(root, RICH, "rich", Answers())
    assert [fault.path for fault in faults] == [("spec", "needed")]


def test_a_rule_between_fields_is_told_at_their_group() -> None:
    root = request_form(request_model(IlpSpec))
    _, faults = check(root, request_model(IlpSpec), "ilp", defaults(root))
    assert [fault.path for fault in faults] == [("spec",)]
    assert "exactly one of `model` and `model_text`" in faults[0].expected


def test_a_long_answer_is_not_repeated_whole() -> None:
    root = request_form(RICH)
    _, faults = check(
        root,
        RICH,
        "rich",
        Answers(values={"spec.needed": ["x"], "spec.long": ["y" * 20_000]}),
    )
    assert len(faults[0].got) <= 120


def test_place_skips_indices_and_tags() -> None:
    root = request_form(RICH)
    assert place(root, ("spec", "sizes", 3)) == ("spec", "sizes")
    assert place(root, ("spec", "parts", 0, "depth")) == ("spec", "parts", "0", "depth")
    assert place(root, ("spec", "other", "Inner", "depth")) == ("spec", "other", "depth")
    assert place(root, ("nowhere",)) == ()


def test_a_recursive_schema_ends() -> None:
    node: dict[str, Any] = {
        "type": "object",
        "properties": {
            "next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
            "v": {"type": "integer"},
        },
    }
    schema = {"$defs": {"Node": node}, **node}
    leaves = list(fields_of(schema).leaves())
    assert len(leaves) < 20
    assert any(item.control is Control.JSON for item in leaves)


values = st.fixed_dictionaries(
    {
        "needed": st.text(
            st.characters(codec="utf-8", exclude_characters="\x00\r"), min_size=1
        ).filter(str.strip)
    },
    optional={
        "count": st.integers(0, 10),
        "on": st.booleans(),
        "colour": st.sampled_from(["red", "blue"]),
        "several": st.lists(st.sampled_from(["red", "blue"]), min_size=1, unique=True),
        "ratio": st.floats(0.001, 0.999).map(lambda x: float(f"{x:.12g}")),
        "parts": st.lists(
            st.fixed_dictionaries({"depth": st.integers(1, 9)}), max_size=3
        ),
    },
)


@given(spec=values, seed=st.integers(0, 2**63 - 1))
def test_cloning_asks_for_the_same_again(spec: dict[str, Any], seed: int) -> None:
    """A cloned form that is submitted unchanged is the same request."""
    root = request_form(RICH)
    request = RICH.model_validate_json(
        json.dumps({"kind": "rich", "spec": spec, "seed": seed})
    )
    stored = request.model_dump(mode="json")
    body, faults = check(root, RICH, "rich", answers_of(root, stored))
    assert faults == []
    assert RICH.model_validate_json(json.dumps(body)) == request


def test_an_optional_group_is_sent_when_it_is_changed_or_included() -> None:
    root = request_form(RICH)
    shown = {**defaults(root).values, "spec.needed": ["word"]}
    assert shown["spec.other.depth"] == ["3"]

    def other(**more: list[str]) -> object:
        body, faults = check(root, RICH, "rich", Answers(values={**shown, **more}))
        assert faults == []
        return body["spec"].get("other")

    assert other() is None
    assert other(**{"spec.other.depth": ["4"]}) == {"depth": 4, "name": "x"}
    included = {"spec.other@on": ["true"]}
    assert other(**included) == {"depth": 3, "name": "x"}
    again = answers_of(root, {"spec": {"needed": "word", "other": {}}})
    assert read(root, again)[0]["spec"]["other"] == {}
    assert FormView(root, again).is_open(leaf_group(root))
    assert not FormView(root, defaults(root)).is_open(leaf_group(root))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_basic_fields_come_first_and_all_others_are_folded(kind: str) -> None:
    spec = KINDS[kind].spec
    root = request_form(request_model(spec))
    view = FormView(root, defaults(root))
    for group in (view.spec, view.settings):
        drawn = view.basic(group) + view.advanced(group)
        assert {item.path for item in drawn if item.control is not Control.CONSTANT} == {
            item.path for item in group.children if item.control is not Control.CONSTANT
        }
        # A browser cannot point at a required field that is folded away.
        assert not any(item.required for item in view.advanced(group))
        assert not view.is_unfolded(view.advanced(group))
    if spec.BASIC:
        assert [item.path[-1] for item in view.basic(view.spec)] == list(spec.BASIC)
    assert [item.name for item in view.basic(view.settings)] == ["kind", "name", "budget"]


@pytest.mark.parametrize(
    "values",
    [
        {"seed": ["4"]},
        {"labels": ["a=b"]},
        {"after@paste": ["[]"]},
        {"webhook.url": ["https://x.example"]},
        {"seed": ["-4"]},
    ],
)
def test_more_options_unfold_with_an_answer_or_a_fault(
    values: dict[str, list[str]],
) -> None:
    model = request_model(ProbeSpec)
    root = request_form(model)
    answers = Answers(values={**defaults(root).values, **values})
    _, faults = check(root, model, "probe", answers)
    view = FormView(root, answers, faults)
    assert view.is_unfolded(view.advanced(view.settings))


def leaf_group(root: Field) -> Field:
    return next(group for group in root.groups() if group.name == "spec.other")
