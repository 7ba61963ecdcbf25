"""The form of a leaf: untouched answers change nothing, others become the smallest patch."""

from __future__ import annotations

import json
from typing import Any

import pytest

from search.kinds import KINDS
from services.web.leaf_form import (
    enabled_patch,
    field_of,
    fields_of_kind,
    json_patch,
    posted_patch,
    request_text,
    text_of,
)
from tests.doubles.plan_server import outline
from trimtab.outlines import values_of
from trimtab.plans import Outline

FILE = {"digest": "sha256:" + "0" * 64, "name": "tables.csv"}
SHARDING: dict[str, Any] = {
    "tables_file": FILE,
    "devices": [{"count": 8, "memory_gib": 80.0}],
    "what_if": [16, 32],
}


class Form:
    """The form of one leaf, and what posting it asks for."""

    def __init__(self, kind: str, spec: dict[str, Any], **more: Any) -> None:
        leaf = (
            outline()["leaves"]["l1"] | {"kind": kind, "spec": spec, "spans": {}} | more
        )
        made = Outline.model_validate_json(json.dumps(outline(leaves={"l1": leaf})))
        self.request = made.leaves["l1"].model_dump(mode="json")
        self.values = values_of(made, made.leaves["l1"])
        self.fields = fields_of_kind(KINDS[kind].spec)
        self.shown = {
            value.path: text_of(item, value.value)
            for value in self.values
            if (item := field_of(value, self.fields)) is not None
        }

    def post(self, **answers: str) -> tuple[list[dict[str, Any]], list[str]]:
        posted = self.shown | {
            key.replace("__", "."): text for key, text in answers.items()
        }
        patch, faults = posted_patch("l1", self.request, self.values, self.fields, posted)
        return patch, [f"{'.'.join(fault.path)}: {fault.text}" for fault in faults]


def test_files_are_shown_and_not_edited() -> None:
    form = Form("sharding", SHARDING)
    assert form.shown == {
        "spec.devices.0.count": "8",
        "spec.devices.0.memory_gib": "80",
        "spec.what_if": "16, 32",
        "budget.seconds": "120",
    }


def test_an_untouched_form_changes_nothing() -> None:
    assert Form("sharding", SHARDING).post() == ([], [])
    model = {"model": FILE, "engine": "scip", "lns": {"enabled": True}}
    assert Form("ilp", model, budget={"seconds": 0.1 + 0.2}).post() == ([], [])


def test_answers_become_the_smallest_patch() -> None:
    patch, faults = Form("sharding", SHARDING).post(
        spec__devices__0__count="4", spec__what_if="8", budget__seconds="30"
    )
    assert faults == []
    by_path = {step["path"]: step for step in patch}
    assert by_path["/leaves/l1/spec/devices/0/count"]["value"] == 4
    assert by_path["/leaves/l1/spec/what_if"]["value"] == [8]
    assert by_path["/leaves/l1/budget/seconds"] == {
        "op": "replace",
        "path": "/leaves/l1/budget/seconds",
        "value": 30.0,
    }
    assert len(patch) == 3


def test_an_emptied_answer_removes_its_value() -> None:
    patch, faults = Form("ilp", {"model": FILE, "engine": "scip"}).post(spec__engine=" ")
    assert (patch, faults) == ([{"op": "remove", "path": "/leaves/l1/spec/engine"}], [])


def test_every_answer_that_cannot_be_read_is_reported() -> None:
    form = Form("sharding", SHARDING)
    _, faults = form.post(
        spec__devices__0__count="many", spec__what_if="8, x", budget__seconds="soon"
    )
    assert [fault.split(":")[0] for fault in faults] == [
        "spec.devices.0.count",
        "spec.what_if",
        "budget.seconds",
    ]
    assert "expected a whole number, got many" in faults[0]
    _, engine = Form("ilp", {"model": FILE, "engine": "scip"}).post(spec__engine="gurobi")
    assert "expected one of" in engine[0]


def test_the_whole_request_as_json() -> None:
    form = Form("ilp", {"model": FILE, "engine": "scip"})
    text = request_text(form.request)
    assert json_patch("l1", form.request, text) == []
    given = json.loads(text)
    given["spec"]["lns"] = {"enabled": False}
    given["seed"] = 7
    assert json_patch("l1", form.request, json.dumps(given)) == [
        {"op": "add", "path": "/leaves/l1/spec/lns", "value": {"enabled": False}},
        {"op": "replace", "path": "/leaves/l1/seed", "value": 7},
    ]
    for wrong in ("{", "[]", '{"budget": {}}', "[" * 100_000):
        with pytest.raises(ValueError, match="request: expected"):
            json_patch("l1", form.request, wrong)


def test_drop_and_keep() -> None:
    request = Form("ilp", {"model": FILE}).request
    assert enabled_patch("l1", request, False) == [
        {"op": "replace", "path": "/leaves/l1/enabled", "value": False}
    ]
