"""Recall cases, on a decoder of a few numbers."""

from __future__ import annotations

from tests.workers.bench.llm.tiny import CONFIG, random_model
from workers.bench.llm import recall
from workers.bench.llm.quality import Model

MODEL = Model(
    config=CONFIG,
    weights=random_model(0),
    encode=lambda text: [ord(letter) % 50 for letter in text],
)


def test_a_copy_ends_with_its_span() -> None:
    cases = list(recall.copies(MODEL, 2))
    assert [case.draw for case in cases] == [0, 1]
    for case in cases:
        span = case.ids[case.span.start : case.span.stop]
        assert case.ids[-recall.COPIED :] == span
        assert case.answer == recall.COPIED - recall.KNOWN
        assert len(case.ids) == recall.BEFORE + recall.FILLER + 2 * recall.COPIED


def test_the_answer_of_a_needle_stands_in_its_span() -> None:
    for case in recall.needles(MODEL, 5, seed=1):
        span = case.ids[case.span.start : case.span.stop]
        answer = case.ids[-case.answer :]
        assert any(
            span[i : i + len(answer)] == answer for i in range(len(span) - len(answer))
        )
        # The span is early text, before the question.
        assert case.span.stop < len(case.ids) - 60


def test_needles_depend_on_the_seed_alone() -> None:
    first, again, other = (
        [case.ids for case in recall.needles(MODEL, 3, seed=seed)] for seed in (1, 1, 2)
    )
    assert first == again != other


def test_a_line_has_every_condition() -> None:
    case = next(recall.needles(MODEL, 1, seed=0, lines=8))
    (line,) = recall.run(MODEL, iter([case]), shares=(0.5,))
    found = {(one["condition"], one["rule"]) for one in line["rules"]}
    expected = {("", "full")} | {
        (condition, rule)
        for condition, rules in recall.CONDITIONS.items()
        for rule in rules
    }
    assert found == expected
    assert not list(recall.run(MODEL, iter([case]), done={("needle", 0)}))


def test_pins_are_the_span_and_a_late_query_is_the_prompt() -> None:
    case = next(recall.copies(MODEL, 2))
    for condition, _, arm in recall.arms(case, 0.25):
        assert arm.pinned == (
            frozenset(case.span) if condition == "pinned" else frozenset()
        )
        late = len(case.ids) - case.answer if condition == "late query" else 0
        assert arm.prompt == late
