"""Hostile goals and files, and the property that a plan of each must have."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

from tests.search.domains.plan.goals import files
from tests.search.domains.plan.goals.load import HERE, GoalError
from workers.bench.plan import hostile
from workers.bench.plan.hostile import Case

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
_FIELDS = {field.name for field in fields(Case)}


def load_hostile(path: Path = HOSTILE) -> tuple[Case, ...]:
    """Read the cases. Raises GoalError for a case that could not fail."""
    for line in path.read_text().splitlines():
        record = json.loads(line)
        if unknown := set(record) - _FIELDS:
            raise GoalError(
                f"{record['id']}: expected the fields of README.md, got {unknown}"
            )
    cases = hostile.load(path, files.content, files.zip_of)
    for case in cases:
        _check(case)
    return tuple(cases)


def _check(case: Case) -> None:
    if not case.expect or set(case.expect) - PROPERTIES:
        known, got = sorted(PROPERTIES), sorted(case.expect)
        raise GoalError(f"{case.id}: expect: expected some of {known}, got {got}")
    differs = (case.goal, case.files) != (case.neutral_goal, case.neutral_files)
    if differs != bool(_AGAINST_NEUTRAL.intersection(case.expect)):
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
