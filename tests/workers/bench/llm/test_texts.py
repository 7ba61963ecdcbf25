"""Texts of the language model's measurements."""

from __future__ import annotations

import json

import pytest

from workers.bench.llm import texts
from workers.bench.llm.texts import TextType, segments


def words(text: str) -> list[int]:
    return [len(word) for word in text.split()]


def test_every_type_has_every_number_and_the_order_alternates() -> None:
    found = list(segments(words, tokens=100, numbers=range(3)))
    assert [(s.type, s.number) for s in found] == [
        (kind, number) for number in range(3) for kind in TextType
    ]
    assert all(len(s.ids) == 100 for s in found)
    assert len({s.digest for s in found}) == len(found)


def test_texts_are_the_same_each_time() -> None:
    once, again = (list(segments(words, tokens=50, numbers=[7])) for _ in range(2))
    assert once == again


def test_tuning_and_test_segments_are_different_texts() -> None:
    assert not set(texts.TEST) & set(texts.TUNING)
    assert max(texts.TUNING) < len(texts.MODULES) == len(set(texts.MODULES))
    everything = words(texts.prose())
    assert len(everything) // len(texts.MODULES) > 1000


def test_a_text_that_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 1000000 tokens, got"):
        list(segments(words, tokens=1_000_000, numbers=[0], types=[TextType.CODE]))


def test_code_begins_at_a_definition() -> None:
    for module in texts.MODULES:
        assert texts.code(module).startswith(("class ", "def "))


def test_a_ledger_is_json_and_refers_to_earlier_jobs() -> None:
    records = [json.loads(line) for line in texts.ledger(seed=3, entries=40).splitlines()]
    jobs: dict[str, float] = {}
    references = 0
    for record in records:
        if "compared_with" in record:
            references += 1
            assert (
                jobs[record["compared_with"]["job"]]
                == (record["compared_with"]["objective"])
            )
        jobs[record["job"]] = record["objective"]
    assert references > 10
    assert texts.ledger(seed=3, entries=40) != texts.ledger(seed=4, entries=40)
