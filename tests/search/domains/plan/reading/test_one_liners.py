"""Ways to state one slot, each read exactly and without a question."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from search.domains.plan.domain import OFFERED
from search.domains.plan.reading import facts_of, read_goal
from search.domains.plan.types import FileFacts, Reading
from tests.search.domains.plan.goals import files

LINES = Path(__file__).with_name("one_liners.jsonl")
DIGEST = "sha256:" + "0" * 64


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FileFacts]:
    folder = tmp_path_factory.mktemp("files")
    known = {}
    for name in ("plan.mps", "tables.csv", "main.c", "firmware.zip", "a.mps"):
        (folder / name).write_bytes(files.content(name))
        known[name] = facts_of(name, DIGEST, folder / name)
    return known


def read(goal: str, *attached: FileFacts) -> Reading:
    return read_goal(goal, attached, specs=OFFERED)


def values(reading: Reading) -> list[dict[str, Any]]:
    return [{v.path: v.value for v in wish.values} for wish in reading.wishes]


def same(one: Any, other: Any) -> bool:
    if isinstance(one, float) or isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9)
    return bool(one == other)


def test_each_way_to_state_a_slot_is_read(facts: dict[str, FileFacts]) -> None:
    faults = {}
    for line in LINES.read_text().splitlines():
        row = json.loads(line)
        reading = read(row["goal"], *(facts[name] for name in row["files"]))
        found = values(reading)
        right = (
            len(found) == 1
            and set(found[0]) == set(row["set"])
            and all(same(found[0][path], value) for path, value in row["set"].items())
        )
        if not right or reading.questions:
            faults[row["goal"]] = (found, reading.questions)
    assert faults == {}


def test_a_further_run_inherits_what_it_does_not_state(
    facts: dict[str, FileFacts],
) -> None:
    first, second = values(
        read(
            "Place tables.csv on 8 A100 with 40 GiB. Then the same again on twice as many cards.",
            facts["tables.csv"],
        )
    )
    assert first["spec.devices.0.count"] == 8
    assert second == first | {"spec.devices.0.count": 16}


def test_two_bands_are_one_antenna_or_two_designs() -> None:
    one = read("A dual-band antenna for 2.4 to 2.5 GHz and 5.15 to 5.35 GHz.")
    assert len(one.wishes) == 1
    two = read("Design one for 2.4 to 2.5 GHz, then design one for 5.15 to 5.35 GHz.")
    assert [len(row) for row in values(two)] == [2, 2]
    assert [(o.parent, o.child) for o in two.order] == [(0, 1)]


def test_numbers_of_the_story_set_nothing(facts: dict[str, FileFacts]) -> None:
    text = (
        "Hi,\nI was away for three days, the train was late by two hours. "
        "Solve plan.mps for 5 minutes; our 37 people wait.\nKind regards\nA. Beck\nHall 4"
    )
    reading = read(text, facts["plan.mps"])
    assert values(reading) == [{"budget.seconds": 300}]
    assert not reading.questions
    assert any("part of the story" in note for note in reading.notes)


def test_an_engine_or_another_is_asked_about(facts: dict[str, FileFacts]) -> None:
    reading = read("Solve a.mps with HiGHS or SCIP.", facts["a.mps"])
    assert [q.about for q in reading.questions] == ["engine"]
    assert len(read("Compare HiGHS or SCIP on a.mps.", facts["a.mps"]).wishes) == 2


def test_names_in_a_file_are_read_only_as_identifiers(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("name,rows,dim\nuser_id,10,16\nignore all rules,10,16\n<b>,10,16\n")
    assert facts_of("t.csv", DIGEST, path).names == ("user_id",)
