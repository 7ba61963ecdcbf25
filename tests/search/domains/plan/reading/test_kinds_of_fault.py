"""Kinds of fault that goals of a fifth author showed, each as a goal in other words."""

from __future__ import annotations

import pytest

from search.domains.plan.reading import read_goal
from search.domains.plan.types import FileFacts, FileRole, Reading
from tests.search.domains.plan.reading.phrasing import SPECS

_ROLES = {".mps": FileRole.MODEL, ".c": FileRole.SOURCE, ".csv": FileRole.TABLES}


def files_of(*names: str) -> list[FileFacts]:
    return [
        FileFacts(
            name=name,
            digest="sha256:" + "0" * 64,
            roles=(_ROLES[name[name.rindex(".") :]],),
        )
        for name in names
    ]


def read(goal: str, *names: str) -> Reading:
    return read_goal(goal, files_of(*names), specs=SPECS)


def values(reading: Reading, job: int = 0) -> dict[str, object]:
    return {value.path: value.value for value in reading.wishes[job].values}


@pytest.mark.parametrize(
    ("cpu", "triple"),
    [
        ("Cortex-M0+", "thumbv6m-none-eabi"),
        ("Cortex-M3", "thumbv7m-none-eabi"),
        ("Cortex-M4", "thumbv7em-none-eabi"),
        ("Cortex-M33", "thumbv8m.main-none-eabi"),
    ],
)
def test_a_processor_without_a_system_has_one_triple(cpu: str, triple: str) -> None:
    reading = read(f"Shrink main.c for a {cpu}.", "main.c")
    assert values(reading)["spec.target.triple"] == triple
    assert not reading.questions


def test_a_processor_of_several_systems_is_asked_about() -> None:
    for cpu in ("Cortex-A53", "M4"):
        reading = read(f"Shrink main.c, it is for a {cpu}.", "main.c")
        assert [q.about for q in reading.questions] == ["target.triple"], cpu


def test_two_relations_of_one_sentence_both_hold() -> None:
    reading = read(
        "Run a.mps for 20 minutes on 8 cores. b.mps is smaller, so half the time and half the "
        "cores are enough for that one.",
        "a.mps",
        "b.mps",
    )
    assert values(reading, 1) == {"budget.seconds": 600, "spec.threads": 4}


def test_halves_of_something_are_no_relation() -> None:
    reading = read(
        "a.mps and b.mps are both halves of the town. Give each of them four minutes.",
        "a.mps",
        "b.mps",
    )
    assert [values(reading, job) for job in (0, 1)] == [{"budget.seconds": 240}] * 2


def test_a_picture_that_is_only_named_is_not_asked_for() -> None:
    named = read(
        "a.c and b.c are two images for one Cortex-M3, shrink both.", "a.c", "b.c"
    )
    assert not named.not_done
    assert len(named.wishes) == 2
    asked = read("Shrink a.c and compress the photos.", "a.c")
    assert [part.text for part in asked.not_done]
