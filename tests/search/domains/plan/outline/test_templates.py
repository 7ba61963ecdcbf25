"""Shipped templates: every path, value, reason and condition is one that exists."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from search.domains.plan.outline.conditions import parse
from search.domains.plan.outline.templates import (
    Template,
    library,
    library_of,
)
from search.kinds import KINDS
from tests.search.domains.plan.goals.references import look_up
from trimtab.results import Reason, RunResult
from workers.corpus.goals.references import schema_of

TEMPLATES = library().templates
GROUP = {"leaves", "kinds", "files", "engines", "seeds", "links", "handed_on"}
SLOTS = {"leaf", "stage", "files", "engines", "group.seeds", "group.leaves"}


def of(id: str) -> Template:
    return next(row for row in TEMPLATES if row.id == id)


def test_there_are_templates_for_every_kind_and_joiners() -> None:
    kinds = {row.kind for row in TEMPLATES}
    offered = {n for n, row in KINDS.items() if not row.diagnostic} - {"plan"}
    assert kinds == offered
    assert len(TEMPLATES) + len(library().joiners) >= 25
    for kind in kinds:
        assert any(not row.when for row in library().of(kind)), "one fits every wish"


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda row: row.id)
def test_a_template_names_fields_and_values_of_its_kind(template: Template) -> None:
    assert template.id.startswith(f"{template.kind}.")
    defs = schema_of(template.kind)["$defs"]

    def check(path: str, value: Any) -> None:
        full, part = look_up(template.kind, path)
        assert full == path
        jsonschema.Draft202012Validator({**part, "$defs": defs}).validate(value)

    for path in template.requires:
        assert look_up(template.kind, path)[0] == path
    for default in template.defaults:
        check(default.path, default.value)
        assert default.words
    for ask in template.asks:
        assert ask.path in template.requires
        assert 2 <= len(ask.options) <= 5
        for option in ask.options:
            if option.isdigit():
                check(ask.path, int(option))
            else:
                assert option.endswith("Hz"), "the reader understands bands"
    for repair in template.repairs:
        assert set(repair.on) <= {"post", *Reason}
        assert repair.words
        for path, value in repair.set.items():
            if isinstance(value, str) and value.startswith("x"):
                assert float(value[1:]) > 1
                look_up(template.kind, path)
            else:
                check(path, value)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda row: row.id)
def test_a_template_has_conditions_on_what_exists(template: Template) -> None:
    assert template.post
    for condition in (*template.when, *(parse(text) for text in template.post)):
        for operand in (condition.left, condition.right):
            if operand is None or operand.path is None:
                continue
            root, _, rest = operand.path.partition(".")
            if root == "result":
                assert rest.partition(".")[0] in RunResult.model_fields
            else:
                look_up(template.kind, operand.path)


@pytest.mark.parametrize("joiner", library().joiners, ids=lambda row: row.id)
def test_a_joiner_is_about_its_group(joiner: Any) -> None:
    import re

    for condition in joiner.when:
        assert condition.left.path.removeprefix("group.") in GROUP
    assert set(re.findall(r"\{([\w.]+)\}", joiner.title)) <= SLOTS


@pytest.mark.parametrize(
    "row",
    [
        {"id": "x", "kind": "ilp", "title": "t", "stage": "s", "code": "import os"},
        {"id": "x", "kind": "ilp", "title": "t", "stage": "s", "when": ["os.system"]},
        {"id": "x", "kind": "ilp", "title": "t", "stage": "s", "post": ["f()"]},
    ],
)
def test_a_template_holds_no_code(row: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        library_of([{"template": [row]}])


def test_each_id_is_unique() -> None:
    row = {"id": "x", "kind": "ilp", "title": "t", "stage": "s"}
    with pytest.raises(ValueError, match="each id once"):
        library_of([{"template": [row, row]}])
