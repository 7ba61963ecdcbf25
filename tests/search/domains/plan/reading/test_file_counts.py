"""Numbers that describe an attached file: they fit it, or a note says that they do not."""

from __future__ import annotations

import pytest

from search.domains.plan.reading import read_goal
from search.domains.plan.types import FileFacts, FileRole, Reading
from tests.search.domains.plan.reading.phrasing import SPECS

ON = "on 8 A100 with 40 GiB in 5 s"


def read(goal: str, **tables: int) -> Reading:
    files = [
        FileFacts(
            name=f"{name}.csv",
            digest="sha256:" + "0" * 64,
            roles=(FileRole.TABLES,),
            facts={"tables": count, "columns": 5},
        )
        for name, count in tables.items()
    ]
    return read_goal(goal, files, specs=SPECS)


@pytest.mark.parametrize(
    "goal",
    [
        f"Place these 200 tables of t.csv {ON}",
        f"t.csv has 200 rows. Place them {ON}",
        f"Place two hundred embedding tables (t.csv) {ON}",
    ],
)
@pytest.mark.parametrize("count", [180, 200])
def test_a_count_is_held_against_the_file(goal: str, count: int) -> None:
    reading = read(goal, t=count)
    assert not reading.not_understood
    assert not reading.questions
    if count == 200:
        assert not reading.notes
    else:
        (note,) = reading.notes
        assert note.startswith("the goal says “")
        assert note.endswith("”, t.csv has 180")


@pytest.mark.parametrize(
    "goal", ["Place t.csv with 4 tables on each of 8 A100 with 40 GiB in 5 s"]
)
def test_another_number_stays_not_understood(goal: str) -> None:
    reading = read(goal, t=180)
    assert [goal[span.start : span.end] for span in reading.not_understood] == ["4"]
    assert not reading.notes


def test_a_file_whose_count_is_not_known_says_nothing() -> None:
    goal = f"Place these 200 tables of t.csv {ON}"
    unknown = FileFacts(
        name="t.csv", digest="sha256:" + "0" * 64, roles=(FileRole.TABLES,)
    )
    reading = read_goal(goal, [unknown], specs=SPECS)
    assert [goal[span.start : span.end] for span in reading.not_understood] == ["200"]
