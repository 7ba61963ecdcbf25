"""Moves of the (1+1) search: each changes one thing, and those without a place give nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from search.domains.compile.search.edits import Candidate, Edit, Op
from search.domains.compile.search.moves import MOVES, Moves, Point

DROP, APPEND = Edit(op=Op.DROP, anchor="gvn"), Edit(op=Op.APPEND, text="constmerge")
START = Point(candidate=Candidate(name="Oz"))
CHANGED = Point(candidate=Candidate(name="x", edits=(DROP, APPEND)))


def moves(**parts: Any) -> Moves:
    defaults: dict[str, Any] = {
        "changes": [Candidate(name="drop", edits=(DROP,))],
        "weights": None,
        "functions": ["f"],
        "gainful": [APPEND],
        "rng": np.random.default_rng(0),
    }
    return Moves(**(defaults | parts))


def test_add_joins_a_change_of_the_same_base() -> None:
    point = moves().draw("add", START)
    assert point is not None
    assert (point.candidate.name, point.candidate.edits) == ("Oz+drop", (DROP,))
    other_base = [Candidate(name="O1", base="O1")]
    assert moves(changes=other_base).draw("add", START) is None


def test_again_adds_an_edit_that_gained_once() -> None:
    point = moves().draw("again", START)
    assert point is not None
    assert point.candidate.edits == (APPEND,)
    assert moves().draw("again", CHANGED) is None, "the point has it already"


def test_remove_takes_one_edit_out() -> None:
    point = moves().draw("remove", CHANGED)
    assert point is not None
    assert point.candidate.edits in ((DROP,), (APPEND,))


@pytest.mark.parametrize(
    ("kind", "other"), [("noinline", "alwaysinline"), ("alwaysinline", "noinline")]
)
def test_inlining_is_set_replaced_and_taken_back(kind: str, other: str) -> None:
    decided = moves().draw(kind, START)
    assert decided is not None
    assert decided.attributes == (("f", kind, True),)
    replaced = moves().draw(other, decided)
    assert replaced is not None
    assert replaced.attributes == (("f", other, True),)
    undone = moves().draw(kind, decided)
    assert undone is not None
    assert undone.attributes == ()
    assert undone.candidate.name == f"Oz+{kind}", "the name has the attribute once"


def test_moves_without_a_place_give_nothing() -> None:
    nothing = moves(changes=[], functions=[], gainful=[])
    assert [nothing.draw(kind, START) for kind in MOVES] == [None] * len(MOVES)


def test_changes_are_drawn_by_their_weights() -> None:
    changes = [Candidate(name="a", edits=(DROP,)), Candidate(name="b", edits=(APPEND,))]
    weighted = moves(changes=changes, weights=np.array([0.0, 1.0]))
    points = [weighted.draw("add", START) for _ in range(20)]
    assert {point.candidate.name for point in points if point} == {"Oz+b"}
