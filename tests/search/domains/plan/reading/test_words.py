"""Files of words against the kinds' schemas."""

from __future__ import annotations

import pytest

from search.domains.plan.reading import slots
from tests.search.domains.plan.reading.phrasing import SPECS

_COMPUTED = "_"  # slots that only serve to compute others


@pytest.mark.parametrize("kind", SPECS)
def test_every_field_has_a_slot_or_is_not_from_words(kind: str) -> None:
    assert slots.unnamed_fields(SPECS[kind]) == []


@pytest.mark.parametrize("kind", SPECS)
def test_every_slot_is_a_field(kind: str) -> None:
    fields = {each.path for each in slots.schema_fields(SPECS[kind])}
    words = slots.words_of(kind)
    common = slots.words_of(slots.COMMON)
    assert words is not None
    assert common is not None
    named = [*words.table("slots"), *common.table("slots"), *words.table("required")]
    holders = {each.rpartition(".")[0] for each in fields}  # `spec.image` as a whole
    known = fields | holders
    assert [p for p in named if p not in known and not p.startswith(_COMPUTED)] == []


@pytest.mark.parametrize("kind", SPECS)
def test_every_choice_in_words_is_one_of_the_schema(kind: str) -> None:
    words = slots.words_of(kind)
    assert words is not None
    choices = {each.path: each.choices for each in slots.schema_fields(SPECS[kind])}
    wrong = [
        (path, value)
        for path, row in words.table("slots").items()
        for value in row.get("values", {})
        if choices.get(path) and value not in choices[path]
    ]
    assert wrong == []


def test_a_field_without_words_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    words = slots.words_of("ilp")
    assert words is not None
    fewer = dict(words.data)
    fewer["slots"] = {
        p: row for p, row in words.table("slots").items() if p != "spec.threads"
    }
    read = slots.words_of

    def without_threads(kind: str) -> slots.Words | None:
        return slots.Words(kind="ilp", data=fewer) if kind == "ilp" else read(kind)

    monkeypatch.setattr(slots, "words_of", without_threads)
    assert slots.unnamed_fields(SPECS["ilp"]) == ["spec.threads"]
