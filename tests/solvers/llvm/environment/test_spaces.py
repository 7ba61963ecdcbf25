"""Spaces beyond Gymnasium's own."""

from __future__ import annotations

import numpy as np
import pytest

from solvers.llvm.environment.actions import FLAT, Action, Level
from solvers.llvm.environment.spaces import NamedDiscrete, Opaque, PassSpace, counts

PASSES = PassSpace(
    (
        Action(name="sroa<modify-cfg>", level=Level.FUNCTION),
        Action(name="globaldce", level=Level.MODULE),
    )
)


def test_a_pipeline_converts_back_to_its_actions() -> None:
    space = PassSpace(FLAT, seed=0)
    actions = [space.sample() for _ in range(40)]
    assert space.from_string(space.to_string(actions)) == actions
    assert space.from_string(space.to_string([])) == space.from_string("") == []


def test_an_unknown_action_names_similar_ones() -> None:
    assert PASSES["globaldce"] == 1
    with pytest.raises(KeyError, match=r"got 'sroa<x>'; similar names: sroa<modify-cfg>"):
        PASSES["sroa<x>"]
    with pytest.raises(ValueError, match="expected at least one, got none"):
        NamedDiscrete([])


def test_counts_are_not_negative() -> None:
    assert counts(2).contains(np.array([0, 2**62]))
    assert not counts(2).contains(np.array([0, -1]))
    assert counts().contains(np.array(3))
    assert not counts().contains(np.array([3]))


def test_an_opaque_space_checks_the_type_and_cannot_be_sampled() -> None:
    assert Opaque(str).contains("text")
    assert not Opaque(str).contains(b"bytes")
    assert Opaque(str) == Opaque(str) != Opaque(bytes)
    with pytest.raises(NotImplementedError, match="type str cannot be sampled"):
        Opaque(str).sample()
