"""Random slot sets rendered in varied words are read back exactly."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from search.domains.plan.reading import read_goal
from tests.search.domains.plan.reading.phrasing import SPECS, Sample, sample

SAMPLES = 80


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_generated_goals_are_read_back(jobs: int) -> None:
    faults = {}
    for seed in range(SAMPLES):
        goal = sample(random.Random(1000 * jobs + seed), jobs=jobs)
        if found := _faults(goal):
            faults[goal.text] = found
    assert faults == {}


def _faults(goal: Sample) -> list[str]:
    reading = read_goal(goal.text, goal.files, specs=SPECS)
    if reading.refused or reading.questions or reading.not_done:
        return [f"{reading.refused} {reading.questions} {reading.not_done}"]
    at = {
        (w.kind, next(iter(w.files.values()), None)): i
        for i, w in enumerate(reading.wishes)
    }
    if set(at) != {(job.kind, job.file) for job in goal.jobs} or len(at) != len(
        reading.wishes
    ):
        return [f"jobs: expected {goal.jobs}, got {reading.wishes}"]
    faults = []
    for job in goal.jobs:
        values = {v.path: v.value for v in reading.wishes[at[job.kind, job.file]].values}
        if set(values) != set(job.values):
            faults.append(f"{job.file}: expected {job.values}, got {values}")
        faults += [
            f"{job.file} {path}: expected {value}, got {values[path]}"
            for path, value in job.values.items()
            if path in values and not _equal(values[path], value)
        ]
    place = {at[job.kind, job.file]: i for i, job in enumerate(goal.jobs)}
    order = {(place[o.parent], place[o.child]) for o in reading.order}
    if order != goal.order:
        faults.append(f"order: expected {sorted(goal.order)}, got {sorted(order)}")
    return faults


def _equal(got: Any, expected: Any) -> bool:
    if isinstance(got, bool | str):
        return bool(got == expected)
    return math.isclose(got, expected, rel_tol=1e-9)


def test_same_text_same_reading() -> None:
    goal = sample(random.Random(5), jobs=3)
    assert read_goal(goal.text, goal.files, specs=SPECS) == read_goal(
        goal.text, goal.files, specs=SPECS
    )
