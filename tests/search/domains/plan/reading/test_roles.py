"""Roles of numbers: the shipped model, what it binds, what it leaves, and that it repeats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from search.domains.plan.reading import read_goal
from search.domains.plan.reading.quantities.quantity import Quantity
from search.domains.plan.reading.roles.features import NOTHING, Candidate, signs_of
from search.domains.plan.reading.roles.model import BUCKETS, RoleModel, bucket, shipped
from search.domains.plan.reading.scene import Scene
from search.domains.plan.types import FileFacts, FileRole, Reading
from tests.search.domains.plan.reading.phrasing import SPECS

MODEL = FileFacts(name="a.mps", digest="sha256:" + "0" * 64, roles=(FileRole.MODEL,))


@dataclass(frozen=True, kw_only=True)
class Sure:
    """A model that is sure of one role."""

    path: str
    share: float

    def shares(
        self, scene: Scene, quantity: Quantity, candidates: Sequence[Candidate]
    ) -> Mapping[str, float]:
        names = [*(each.path for each in candidates), NOTHING]
        rest = (1 - self.share) / max(1, len(names) - 1)
        return {name: self.share if name == self.path else rest for name in names}


def read(goal: str, roles: object = None) -> Reading:
    return read_goal(goal, [MODEL], specs=SPECS, roles=roles)  # type: ignore[arg-type]


def values(reading: Reading) -> dict[str, object]:
    return {value.path: value.value for value in reading.wishes[0].values}


def test_a_number_that_the_grammar_leaves_is_bound_where_the_model_is_sure() -> None:
    goal = "Solve a.mps. Zorp 6."
    assert values(read(goal, Sure(path="spec.threads", share=0.99))) == {
        "spec.threads": 6
    }
    assert values(read(goal, Sure(path="spec.threads", share=0.4))) == {}


def test_a_bound_number_is_dropped_and_said_where_the_model_is_sure() -> None:
    goal = "Solve a.mps with 6 threads."
    reading = read(goal, Sure(path=NOTHING, share=0.99))
    assert values(reading) == {}
    assert any("part of the story" in note for note in reading.notes)
    kept = read(goal, Sure(path=NOTHING, share=0.8))
    assert values(kept) == {"spec.threads": 6}


def test_a_number_without_a_role_is_underlined_and_not_asked_about() -> None:
    goal = "Solve a.mps. Zorp 6."
    unsure = read(goal, Sure(path="spec.threads", share=0.4))
    assert [q.about for q in unsure.questions] == ["number.6"]
    told = read(goal, Sure(path=NOTHING, share=0.8))
    assert not told.questions
    assert any("6" in goal[s.start : s.end] for s in told.not_understood)


def test_options_of_a_question_are_the_likely_slots_first() -> None:
    reading = read("Solve a.mps. Zorp 6.", Sure(path="seed", share=0.45))
    assert reading.questions[0].options[0] == "seed"


def test_probabilities_sum_to_one_and_repeat() -> None:
    model = shipped()
    assert model.weights.shape == (BUCKETS,)
    assert np.isfinite(model.weights).all()
    seen: list[tuple[dict[str, float], dict[str, float]]] = []

    class Twice:
        def shares(
            self, scene: Scene, quantity: Quantity, candidates: Sequence[Candidate]
        ) -> Mapping[str, float]:
            one = model.shares(scene, quantity, candidates)
            seen.append((one, model.shares(scene, quantity, candidates)))
            rows = signs_of(scene, quantity, candidates)
            assert len(rows) == len(candidates) + 1
            return one

    read("Solve a.mps on 4 cores, 38 nurses wait for it; you have ten minutes.", Twice())
    assert seen
    for one, again in seen:
        assert one == again
        assert sum(one.values()) == pytest.approx(1.0)


def test_weights_decide_by_the_signs_alone() -> None:
    weights = np.zeros(BUCKETS, dtype=np.float32)
    weights[bucket("spec.threads|bias")] = 9.0
    reading = read("Solve a.mps. Zorp 6.", RoleModel(weights=weights))
    assert values(reading) == {"spec.threads": 6}


@pytest.mark.parametrize(
    ("goal", "expected"),
    [
        (
            "We have 38 nurses and 60 beds. Solve a.mps in five minutes.",
            {"budget.seconds": 300},
        ),
        (
            "Solve a.mps on 8 cores, they start at six, so ten minutes at most.",
            {"budget.seconds": 600, "spec.threads": 8},
        ),
    ],
)
def test_the_story_around_a_goal_is_no_question(
    goal: str, expected: dict[str, object]
) -> None:
    reading = read(goal)
    assert values(reading) == expected
    assert not reading.questions
