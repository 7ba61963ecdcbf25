"""Graphs of jobs become readings: relations, order, parts, questions, and what is no reading."""

from __future__ import annotations

from search.domains.plan.reading.graphs.types import Operator, ReadPart, ReadValue, Words
from search.domains.plan.types import Reading
from tests.search.domains.plan.reading.joint.made import (
    closed,
    file,
    graph,
    job,
    read,
    stated,
    values,
    words,
)

TWO = (file("a.mps"), file("b.mps"))


def test_a_relation_follows_from_the_job_before() -> None:
    goal = "a.mps gets 10 minutes, b.mps twice as long."
    made = graph(
        job(
            "ilp", stated(goal, "budget.seconds", "10 minutes"), files={"model": "a.mps"}
        ),
        job(
            "ilp",
            stated(goal, "budget.seconds", "twice as long"),
            files={"model": "b.mps"},
        ),
    )
    reading = read(goal, TWO, made)
    assert values(reading, 0) == {"budget.seconds": 600}
    assert values(reading, 1) == {"budget.seconds": 1200}


def test_a_relation_names_its_job() -> None:
    goal = "a.mps 80 s, b.mps twice that, c.mps half of a's time"
    made = graph(
        job("ilp", stated(goal, "budget.seconds", "80 s"), files={"model": "a.mps"}),
        job(
            "ilp", stated(goal, "budget.seconds", "twice that"), files={"model": "b.mps"}
        ),
        job(
            "ilp", stated(goal, "budget.seconds", "half of a's"), files={"model": "c.mps"}
        ),
    )
    reading = read(goal, (*TWO, file("c.mps")), made)
    assert [values(reading, i)["budget.seconds"] for i in range(3)] == [
        80,
        160,
        160 / 2 * 2 / 2,
    ]


def test_operators_make_values_of_an_earlier_job() -> None:
    goal = "a.mps 60 s seed 5, then with the next seed a minute longer"
    made = graph(
        job(
            "ilp",
            stated(goal, "budget.seconds", "60 s"),
            stated(goal, "seed", "5"),
            files={"model": "a.mps"},
        ),
        job(
            "ilp",
            ReadValue(
                path="budget.seconds",
                words=words(goal, "a minute longer"),
                operator=Operator.MORE,
                argument=1.0,
                of=0,
            ),
            ReadValue(path="seed", operator=Operator.NEXT, of=0),
            files={"model": "a.mps"},
        ),
        order=[(0, 1)],
    )
    reading = read(goal, TWO, made)
    assert values(reading, 1) == {"budget.seconds": 120, "seed": 6}
    assert isinstance(reading, Reading)
    assert [(row.parent, row.child) for row in reading.order] == [(0, 1)]


def test_a_relation_without_a_job_to_follow_from_is_no_value() -> None:
    goal = "a.mps half of that time"
    made = graph(
        job(
            "ilp",
            stated(goal, "budget.seconds", "half of that time"),
            files={"model": "a.mps"},
        )
    )
    assert "budget.seconds" in str(read(goal, TWO, made))


def test_words_that_state_no_number_make_no_reading() -> None:
    goal = "solve a.mps with many threads"
    made = graph(
        job("ilp", stated(goal, "spec.threads", "many"), files={"model": "a.mps"})
    )
    assert read(goal, TWO, made) == "spec.threads: its words state no value for it"


def test_what_the_gateway_refuses_is_no_reading() -> None:
    goal = "solve a.mps with 4000 threads"
    made = graph(
        job("ilp", stated(goal, "spec.threads", "4000"), files={"model": "a.mps"})
    )
    assert "threads" in str(read(goal, TWO, made))


def test_files_that_are_not_attached_make_no_reading() -> None:
    made = graph(job("ilp", files={"model": "/etc/passwd"}))
    assert "expected an attached file" in str(read("solve it", TWO, made))


def test_an_order_of_jobs_that_are_not_there_is_no_reading() -> None:
    made = graph(job("ilp", files={"model": "a.mps"}), order=[(0, 5)])
    assert "order" in str(read("solve a.mps", TWO, made))


def test_outputs_of_jobs_that_are_not_there_are_no_reading() -> None:
    made = graph(
        job("ilp", files={"model": "a.mps"}, outputs={"warm_start": (7, "solution.sol")})
    )
    assert "outputs" in str(read("solve a.mps", TWO, made))


def test_places_outside_the_text_are_no_reading() -> None:
    value = ReadValue(path="spec.threads", words=(Words(start=5_000, end=5_010),))
    made = graph(job("ilp", value, files={"model": "a.mps"}))
    assert "spec.threads" in str(read("solve a.mps", TWO, made))


def test_an_output_is_handed_on() -> None:
    goal = "solve a.mps, then b.mps from its solution"
    made = graph(
        job("ilp", files={"model": "a.mps"}),
        job("ilp", files={"model": "b.mps"}, outputs={"warm_start": (0, "solution.sol")}),
    )
    reading = read(goal, TWO, made)
    assert isinstance(reading, Reading)
    assert reading.wishes[1].outputs == {"warm_start": (0, "solution.sol")}
    assert reading.wishes[0].group == reading.wishes[1].group


def test_a_part_that_is_not_done_has_a_reason() -> None:
    goal = "solve a.mps and book a meeting room"
    part = ReadPart(tag="book_hardware", words=words(goal, "book a meeting room"))
    reading = read(
        goal, TWO, graph(job("ilp", files={"model": "a.mps"}), not_done=(part,))
    )
    assert isinstance(reading, Reading)
    (shown,) = reading.not_done
    assert shown.text == "book a meeting room"
    assert "books" in shown.reason


def test_a_missing_file_is_asked_for_and_taken_from_the_answer() -> None:
    goal = "solve the model with scip"
    made = graph(
        job("ilp", closed(goal, "spec.engine", "scip", "scip")), asks=("which_file",)
    )
    reading = read(goal, TWO, made)
    assert isinstance(reading, Reading)
    assert [(q.about, q.options) for q in reading.questions] == [
        ("file", ("a.mps", "b.mps"))
    ]
    answered = read(goal, TWO, made, {"file": "b.mps please"})
    assert isinstance(answered, Reading)
    assert not answered.questions
    assert answered.wishes[0].files == {"model": "b.mps"}


def test_an_answer_sets_what_was_asked_for() -> None:
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
    asked = read(goal, tables, made)
    assert isinstance(asked, Reading)
    assert [q.about for q in asked.questions] == ["devices.memory_gib"]
    answered = read(goal, tables, made, {"devices.memory_gib": "64 GiB for tables"})
    assert values(answered)["spec.devices.0.memory_gib"] == 64


def test_numbers_that_the_graph_leaves_out_are_underlined() -> None:
    goal = "solve a.mps with 4 threads and 4096"
    made = graph(
        job("ilp", stated(goal, "spec.threads", "4 threads"), files={"model": "a.mps"})
    )
    reading = read(goal, TWO, made)
    assert isinstance(reading, Reading)
    assert [goal[s.start : s.end] for s in reading.not_understood] == ["4096"]


def test_an_empty_graph_is_no_reading() -> None:
    assert "at least one job" in str(read("solve a.mps", TWO, graph()))


def test_an_address_is_called_only_where_the_rules_read_it_too() -> None:
    goal = "a.mps, 10 s. Title of the report: ![x](http://evil.example/pixel.png)"
    url = stated(goal, "webhook.url", "http://evil.example/pixel.png")
    made = graph(job("ilp", url, files={"model": "a.mps"}))
    assert "webhook" in str(read(goal, TWO, made))
    asked = "solve a.mps and POST to https://hooks.example/done"
    url = stated(asked, "webhook.url", "https://hooks.example/done")
    reading = read(asked, TWO, graph(job("ilp", url, files={"model": "a.mps"})))
    assert values(reading) == {"webhook.url": "https://hooks.example/done"}
