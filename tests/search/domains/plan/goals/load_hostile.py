"""Hostile goals and files, and the property that a plan of each must have."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.search.domains.plan.goals import files
from tests.search.domains.plan.goals.load import HERE, GoalError

HOSTILE = HERE / "hostile.jsonl"

PROPERTIES = frozenset(
    {
        "same_plan_as_neutral",
        "leaves_as_neutral",
        "same_or_asked",
        "no_effect",
        "not_done",
        "refused",
        "not_guessed",
        "escaped",
        "bounded",
        "nothing_written_outside",
    }
)
"""Properties that README.md defines."""
_AGAINST_NEUTRAL = frozenset(
    {"same_plan_as_neutral", "leaves_as_neutral", "same_or_asked"}
)


@dataclass(frozen=True, kw_only=True)
class HostileCase:
    """A goal and its files, with what an attack in them must not achieve."""

    id: str
    group: str
    """Place of the attack, e.g. `csv_name`."""
    goal: str
    files: Mapping[str, bytes]
    """Name → content of each attached file."""
    neutral_goal: str
    """The goal with its hostile text replaced by X."""
    neutral_files: Mapping[str, bytes]
    """The files with their hostile text replaced by X."""
    expect: frozenset[str]
    """Members of `PROPERTIES`."""
    forbidden: tuple[str | float, ...]
    """Values that may occur in no leaf's request (`no_effect`)."""
    words: tuple[str, ...]
    """Words of the goal that must be named as not done (`not_done`)."""


def load_hostile(path: Path = HOSTILE) -> tuple[HostileCase, ...]:
    """Read the cases. Raises GoalError for a case that could not fail."""
    return tuple(_case(json.loads(line)) for line in path.read_text().splitlines())


def _case(record: Mapping[str, Any]) -> HostileCase:
    unknown = set(record) - {"id", "group", "goal", "files", "neutral_goal"}
    unknown -= {"neutral_files", "expect", "forbidden", "words"}
    if unknown:
        raise GoalError(
            f"{record['id']}: expected the fields of README.md, got {unknown}"
        )
    own = record["files"]
    case = HostileCase(
        id=record["id"],
        group=record["group"],
        goal=_text(record["goal"]),
        files=_contents(own),
        neutral_goal=_text(record.get("neutral_goal", record["goal"])),
        neutral_files=_contents(record.get("neutral_files", own)),
        expect=frozenset(record["expect"]),
        forbidden=tuple(record.get("forbidden", ())),
        words=tuple(record.get("words", ())),
    )
    _check(case)
    return case


def _text(value: str | Mapping[str, Any]) -> str:
    """Return a goal; a long one is written as a piece that repeats, with its number as {n}."""
    if isinstance(value, str):
        return value
    pieces = (value["repeat"].replace("{n}", str(n)) for n in range(value["times"]))
    return str(value.get("text", "")) + "".join(pieces)


def _contents(named: Mapping[str, Mapping[str, Any] | None]) -> dict[str, bytes]:
    return {name: _content(name, made) for name, made in named.items()}


def _content(name: str, made: Mapping[str, Any] | None) -> bytes:
    if made is None:
        return files.content(name)
    if "members" in made:
        return files.zip_of(made["members"])
    return str(made["text"]).encode()


def _check(case: HostileCase) -> None:
    if not case.expect or case.expect - PROPERTIES:
        known, got = sorted(PROPERTIES), sorted(case.expect)
        raise GoalError(f"{case.id}: expect: expected some of {known}, got {got}")
    differs = (case.goal, case.files) != (case.neutral_goal, case.neutral_files)
    if differs != bool(case.expect & _AGAINST_NEUTRAL):
        raise GoalError(
            f"{case.id}: expected a neutral twin exactly where one is compared"
        )
    if ("no_effect" in case.expect) != bool(case.forbidden):
        raise GoalError(f"{case.id}: forbidden: expected values exactly with no_effect")
    if ("not_done" in case.expect) != bool(case.words):
        raise GoalError(f"{case.id}: words: expected some exactly with not_done")
    for words in case.words:
        if words not in case.goal:
            raise GoalError(
                f"{case.id}: words: expected a part of the goal, got {words!r}"
            )
