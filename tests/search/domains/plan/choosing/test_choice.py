"""The choice between rules and learned reader, and the question where neither is sure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from search.domains.plan.choosing.choice import (
    MERGED,
    MODEL,
    RULES,
    SECOND,
    SORTS,
    Weights,
    choice_of,
    decide,
    read_goal,
    weights,
)
from search.domains.plan.choosing.features import NAMES
from search.domains.plan.choosing.question import ABOUT, chosen
from search.domains.plan.domain import OFFERED
from search.domains.plan.reading.graphs.types import ReadGraph
from search.domains.plan.reading.read import read_goal as read_by_rules
from search.domains.plan.types import FileFacts, Reading
from tests.search.domains.plan.reading.joint.made import (
    closed,
    file,
    graph,
    job,
    stated,
)

GOAL = "solve a.mps for 90 s with 4 threads"
FILES = (file("a.mps"),)


def right(goal: str = GOAL) -> ReadGraph:
    """Return what the rules read too."""
    return graph(
        job(
            "ilp",
            stated(goal, "budget.seconds", "90 s"),
            stated(goal, "spec.threads", "4 threads"),
            files={"model": "a.mps"},
        )
    )


def other(goal: str = GOAL) -> ReadGraph:
    """Return a reading that has an engine and no threads."""
    return graph(
        job(
            "ilp",
            stated(goal, "budget.seconds", "90 s"),
            closed(goal, "spec.engine", "scip"),
            files={"model": "a.mps"},
        )
    )


def by(accept: float, offer: float = 0.05, **bias: float) -> Weights:
    """Return weights that know no more than one number for each sort of reading."""
    zeros = (0.0,) * (len(NAMES) - 1)
    return Weights(
        of={sort: (bias.get(sort, -1.0), *zeros) for sort in SORTS},
        accept=accept,
        accept_marked=accept,
        accept_asked=accept,
        offer=offer,
    )


def read(
    *graphs: ReadGraph,
    weights: Weights,
    answers: Mapping[str, str] | None = None,
    goal: str = GOAL,
    files: Sequence[FileFacts] = FILES,
) -> Reading:
    """Return the reading of a goal for which the model gives some graphs."""
    return read_goal(
        goal,
        files,
        answers=answers,
        specs=OFFERED,
        read_graphs=lambda text, names: graphs,
        by=weights,
    )


def stated_by(reading: Reading) -> dict[str, object]:
    """Return the values of the first job."""
    return {value.path: value.value for value in reading.wishes[0].values}


def test_readers_that_agree_are_believed() -> None:
    reading = read(right(), weights=by(1.0))
    assert not reading.questions
    assert reading.reader == "rules and learned reader agree"
    assert stated_by(reading) == {"budget.seconds": 90, "spec.threads": 4}


def test_without_graphs_the_rules_alone_serve() -> None:
    reading = read(weights=by(1.0))
    assert reading == read_by_rules(GOAL, FILES, specs=OFFERED)
    assert reading.reader == ""


@pytest.mark.parametrize(
    ("sort", "values"),
    [
        (MODEL, {"budget.seconds": 90, "spec.engine": "scip"}),
        (RULES, {"budget.seconds": 90, "spec.threads": 4}),
        (MERGED, {"budget.seconds": 90, "spec.engine": "scip", "spec.threads": 4}),
    ],
)
def test_the_likelier_reading_is_taken(sort: str, values: dict[str, object]) -> None:
    reading = read(other(), weights=by(0.5, **{sort: 3.0}))
    assert stated_by(reading) == values
    assert not reading.questions
    assert reading.reader


def test_a_graph_that_is_no_reading_leaves_the_rules() -> None:
    broken = graph(job("ilp", files={"model": "elsewhere.mps"}))
    assert stated_by(read(broken, weights=by(0.0, model=9.0)))["budget.seconds"] == 90


def test_one_question_shows_the_readings_in_words() -> None:
    reading = read(other(), right(), weights=by(0.9))
    (question,) = reading.questions
    assert question.about == ABOUT
    assert question.text == "The goal can be read in 3 ways. Which one is meant?"
    assert len(question.options) == 3
    letters = [option[:2] for option in question.options]
    assert letters == ["A:", "B:", "C:"]
    assert any("engine SCIP" in option for option in question.options)
    assert any("threads 4" in option for option in question.options)


def test_the_answer_leads_to_the_reading_that_it_names() -> None:
    asked = read(other(), weights=by(0.9))
    texts = {option[0]: option for option in asked.questions[0].options}
    seen = set()
    for letter, option in texts.items():
        for answer in (option, letter, f"{letter.lower()})"):
            reading = read(other(), weights=by(0.9), answers={ABOUT: answer})
            assert not reading.questions
        has_engine = "spec.engine" in stated_by(reading)
        assert has_engine == ("engine SCIP" in option)
        seen.add(tuple(sorted(stated_by(reading))))
    assert len(seen) == len(texts)


def test_an_answer_that_names_no_reading_is_asked_again() -> None:
    reading = read(other(), weights=by(0.9), answers={ABOUT: "neither, I think"})
    assert [question.about for question in reading.questions] == [ABOUT]


@pytest.mark.parametrize(
    ("answer", "count", "index"),
    [("A", 2, 0), ("b: two jobs", 2, 1), ("C", 2, None), ("", 2, None), ("All", 3, None)],
)
def test_letters_of_answers(answer: str, count: int, index: int | None) -> None:
    assert chosen(answer, count) == index


def test_what_is_too_improbable_is_not_offered() -> None:
    reading = read(other(), weights=by(0.9, offer=0.3, model=1.0))
    assert not reading.questions
    assert "spec.engine" in stated_by(reading)


def test_the_second_graph_is_offered_where_it_says_something_else() -> None:
    third = graph(
        job("ilp", stated(GOAL, "spec.threads", "4 threads"), files={"model": "a.mps"})
    )
    rules = read_by_rules(GOAL, FILES, specs=OFFERED)
    found = choice_of((other(), third), GOAL, FILES, rules, OFFERED)
    assert found is not None
    assert set(found.readings) == {MODEL, RULES, MERGED, SECOND}
    assert len(found.row) == len(NAMES)
    assert set(decide(found, by(0.99))) == set(SORTS)


def test_a_reading_of_the_model_takes_answers_to_other_questions() -> None:
    goal = "place t.csv on 8 A100"
    made = graph(
        job(
            "sharding",
            stated(goal, "spec.devices.0.count", "8"),
            files={"tables_file": "t.csv"},
        ),
        asks=("devices.memory_gib",),
    )
    tables = (file("t.csv", "user_id"),)
    reading = read(
        made,
        weights=by(0.1, model=3.0),
        goal=goal,
        files=tables,
        answers={"devices.memory_gib": "64"},
    )
    assert stated_by(reading)["spec.devices.0.memory_gib"] == 64


def test_the_same_goal_is_read_the_same_twice() -> None:
    one, two = (read(other(), right(), weights=by(0.9)) for _ in range(2))
    assert one == two


def test_a_goal_that_is_refused_is_not_shown_to_the_model() -> None:
    def never(text: str, names: Sequence[str]) -> Sequence[ReadGraph]:
        raise AssertionError(text)

    refused = read_goal("", FILES, specs=OFFERED, read_graphs=never, by=by(0.5))
    assert refused.refused is not None
    long = read_goal(
        "solve a.mps " * 1_000, FILES, specs=OFFERED, read_graphs=never, by=by(0.5)
    )
    assert long.reader == ""


def test_the_shipped_weights_are_complete() -> None:
    shipped = weights()
    assert set(shipped.of) == set(SORTS)
    assert 0 < shipped.offer <= shipped.accept < 1
    assert shipped.least(asks=True, marks=True) == shipped.accept_asked
    assert shipped.least(asks=False, marks=True) == shipped.accept_marked
    assert all(len(row) == len(NAMES) for row in shipped.of.values())
    assert 0 < shipped.probability(MODEL, (1.0,) * len(NAMES)) < 1


def test_names_of_jobs_do_not_make_readings_differ() -> None:
    rules = read_by_rules(GOAL, FILES, specs=OFFERED)
    found = choice_of((right(),), GOAL, FILES, replace(rules, notes=("a note",)), OFFERED)
    assert found is not None
    assert set(found.readings) == {MODEL}
