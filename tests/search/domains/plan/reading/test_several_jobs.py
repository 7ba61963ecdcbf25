"""Values, order and corrections of several jobs, each kind of fault as a goal in other words."""

from __future__ import annotations

import pytest

from search.domains.plan.reading import read_goal
from search.domains.plan.types import Reading
from tests.search.domains.plan.reading.phrasing import SPECS
from tests.search.domains.plan.reading.test_kinds_of_fault import files_of, read, values

SECONDS = "budget.seconds"


def seconds(reading: Reading) -> dict[str, object]:
    """Return file → time limit."""
    return {
        next(iter(wish.files.values())): {v.path: v.value for v in wish.values}.get(
            SECONDS
        )
        for wish in reading.wishes
    }


def order(reading: Reading) -> set[tuple[str, str]]:
    """Return (file that goes first, file that waits)."""
    names = [next(iter(wish.files.values())) for wish in reading.wishes]
    return {(names[row.parent], names[row.child]) for row in reading.order}


@pytest.mark.parametrize(
    ("goal", "expected"),
    [
        ("a.mps and b.mps, 30 s for the first one, 50 for the second", (30, 50)),
        (
            "Run a.mps for 8 minutes. Eight is too much, make it five. b.mps half of it.",
            (300, 150),
        ),
        (
            "a.mps for 20 s. Sorry, minutes and not seconds. The same with b.mps.",
            (1200, 1200),
        ),
        ("a.mps 40 s; b.mps 2x that", (40, 80)),
        ("20 minutes in total for a.mps and b.mps, in the ratio 1:3", (300, 900)),
        (
            "Solve a.mps and b.mps, twice as long on b.mps as on a.mps. Half an hour for the lot.",
            (600, 1200),
        ),
    ],
)
def test_times_of_two_jobs(goal: str, expected: tuple[int, int]) -> None:
    reading = read(goal, "a.mps", "b.mps")
    assert seconds(reading) == dict(zip(("a.mps", "b.mps"), expected, strict=True))
    assert not reading.questions


@pytest.mark.parametrize(
    ("goal", "expected"),
    [
        ("Hold back b.mps until a.mps is finished.", {("a.mps", "b.mps")}),
        ("b.mps for a minute. Before that: a.mps.", {("a.mps", "b.mps")}),
        ("a.mps and b.mps, in that order, a minute each", {("a.mps", "b.mps")}),
        (
            "a.mps, b.mps and c.mps, one after the other",
            {("a.mps", "b.mps"), ("b.mps", "c.mps")},
        ),
        ("a.mps. And then, quite unrelated, b.mps.", set()),
        (
            "a.mps and b.mps side by side; c.mps needs both of them done.",
            {("a.mps", "c.mps"), ("b.mps", "c.mps")},
        ),
    ],
)
def test_order_of_jobs(goal: str, expected: set[tuple[str, str]]) -> None:
    names = [n for n in ("a.mps", "b.mps", "c.mps") if n in goal]
    assert order(read(goal, *names)) == expected


def test_order_that_is_not_understood_is_asked_about_once() -> None:
    goal = "a.mps has b.mps as its predecessor. A minute each."
    reading = read(goal, "a.mps", "b.mps")
    assert [q.about for q in reading.questions] == ["order"]
    answer = "one after the other, last one first"
    assert answer in reading.questions[0].options
    again = read_goal(
        goal, files_of("a.mps", "b.mps"), specs=SPECS, answers={"order": answer}
    )
    assert order(again) == {("b.mps", "a.mps")}
    assert not again.questions


def test_one_answer_gives_all_bare_times_their_unit() -> None:
    goal = "Give a.mps a time of 10 and b.mps a time of 20."
    again = read_goal(
        goal,
        files_of("a.mps", "b.mps"),
        specs=SPECS,
        answers={SECONDS: "Minutes, of course."},
    )
    assert seconds(again) == {"a.mps": 600, "b.mps": 1200}


def test_a_file_that_is_taken_back_is_no_job() -> None:
    reading = read("Solve a.mps, no wait, I meant b.mps, for a minute.", "a.mps", "b.mps")
    assert seconds(reading) == {"b.mps": 60}


def test_a_solution_starts_the_next_run() -> None:
    reading = read(
        "a.mps with HiGHS for 90 s, then rerun it from its solution for 20 min", "a.mps"
    )
    assert [wish.outputs for wish in reading.wishes] == [
        {},
        {"warm_start": (0, "solution.sol")},
    ]


def test_decimal_commas_are_read_where_the_text_uses_them() -> None:
    reading = read("An antenna from 2,4 to 2,5 GHz, permittivity 4,3, thickness 1,6 mm")
    assert values(reading) == {
        "spec.bands.0.f_lo_hz": 2.4e9,
        "spec.bands.0.f_hi_hz": 2.5e9,
        "spec.board.eps_r": 4.3,
        "spec.board.height_mm": 1.6,
    }


@pytest.mark.parametrize("verb", ["optimise", "improve", "make better:"])
def test_a_vague_improvement_of_a_program_is_asked_about(verb: str) -> None:
    reading = read(f"{verb} main.c, two minutes", "main.c")
    assert [q.about for q in reading.questions] == ["objective"]


def test_a_controller_without_a_name_is_asked_about() -> None:
    reading = read("Make main.c smaller for our microcontroller.", "main.c")
    assert [q.about for q in reading.questions] == ["target.triple"]


def test_each_goes_with_the_number_between_it_and_a_list() -> None:
    reading = read(
        "On a.mps I want only rins and crossover in the LNS, sub-MIPs of 8 s each, 15 min in all.",
        "a.mps",
    )
    assert len(reading.wishes) == 1
    assert values(reading)["spec.lns.neighbourhoods"] == ["rins", "crossover"]
