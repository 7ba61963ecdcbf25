"""Training of the role model: made-up goals, labels, the fit, resuming."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from search.domains.plan.domain import OFFERED
from search.domains.plan.reading.roles.model import BUCKETS
from workers.corpus.goals.files import contents
from workers.train.plan.cli import main
from workers.train.plan.phrasings import examples, made_up, phrasings
from workers.train.plan.role_files import kept
from workers.train.plan.roles import Example, calibrated, fit, measure


@pytest.fixture(scope="module")
def rows() -> list[Example]:
    return list(examples(60, contents(), OFFERED, seed=3))


def test_roles_of_a_made_up_goal_stand_where_its_numbers_are() -> None:
    rng, table = np.random.default_rng(1), phrasings()
    for _ in range(50):
        goal = made_up(rng, table)
        assert "{" not in goal.text
        assert "$" not in goal.text
        for at in goal.roles:
            assert goal.text[at].isalnum()


def test_phrasings_name_slots_that_exist() -> None:
    from search.domains.plan.reading.slots import slots_of
    from workers.train.plan.phrasings import _HOLE

    for kind, row in phrasings().items():
        if kind == "story":
            assert all(not hole[0] for s in row["sentences"] for hole in _HOLE.findall(s))
            continue
        paths = {slot.path for slot in slots_of(OFFERED[kind])}
        for value in row["values"]:
            assert {hole[0] for hole in _HOLE.findall(value)} <= paths, value


def test_a_fit_learns_and_repeats(rows: list[Example]) -> None:
    model = fit(rows)
    assert np.array_equal(model.weights, fit(rows).weights)
    found = measure(model, rows)
    assert found.right >= 0.95 * found.numbers
    assert found.right > found.grammar_right
    assert 0.5 <= calibrated(model, rows) <= 2.5
    assert model.probabilities(rows[0].rows).sum() == pytest.approx(1.0)


def test_examples_are_made_once(tmp_path: Path, rows: list[Example]) -> None:
    calls = []

    def make() -> list[Example]:
        calls.append(1)
        return rows

    first = kept(tmp_path, "x", "a" * 64, make)
    again = kept(tmp_path, "x", "a" * 64, make)
    assert len(calls) == 1
    assert len(first) == len(again)
    for one, other in zip(first, again, strict=True):
        assert (one.author, one.goal, one.weight) == (
            other.author,
            other.goal,
            other.weight,
        )
        assert np.array_equal(one.right, other.right)
        assert all(
            np.array_equal(a, b) for a, b in zip(one.rows, other.rows, strict=True)
        )
    assert all(row.max() < BUCKETS for row in first[0].rows)
    kept(tmp_path, "x", "b" * 64, make)
    assert len(calls) == 2


def test_an_unknown_author_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["roles", "--leave-out", "nobody"]) == 2
    assert "developer" in capsys.readouterr().err
