"""Order model of the display: neighbours, and that stated orders and text come first."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.domains.plan.outline.display import (
    FEATURES,
    Shown,
    features,
    order_model,
    shown,
)
from tests.search.domains.plan.outline.goals import ilp, outlined, read, then


def test_features_name_what_rises() -> None:
    one = Shown(kind="ilp", file="a", seed=1, seconds=9, engine="scip")
    other = Shown(kind="ilp", file="b", seed=2, seconds=3, engine="cp-sat", settings=1)
    seen = dict(zip(FEATURES, features(one, other), strict=True))
    assert seen == {
        "same file": 0.0,
        "same kind": 1.0,
        "seed rises": 1.0,
        "time rises": -1.0,
        "more is set": 1.0,
        "file name rises": 1.0,
        "engine rises": 1.0,
    }
    wish = ilp("a.lp", values={"seed": 3, "budget.seconds": 9, "spec.engine": "scip"})
    assert shown(wish) == Shown(
        kind="ilp", file="a.lp", seed=3, seconds=9, engine="scip", settings=3
    )


def seeds(order: Any) -> list[int]:
    rows = [ilp(values={"seed": seed}) for seed in order]
    return [leaf.seed for leaf in outlined(read(*rows)).leaves.values()]


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2), (2, 3, 1)])
def test_leaves_of_the_same_words_are_listed_as_people_do(order: Any) -> None:
    assert seeds(order) == [1, 2, 3]


def test_text_and_stated_order_come_before_the_model() -> None:
    rows = [ilp(word=2, values={"seed": 1}), ilp(word=0, values={"seed": 2})]
    assert [leaf.seed for leaf in outlined(read(*rows)).leaves.values()] == [2, 1]
    rows = [ilp(values={"seed": seed}) for seed in (1, 2)]
    outline = outlined(read(*rows, order=(then(1, 0),)))
    assert [leaf.seed for leaf in outline.leaves.values()] == [2, 1]


@given(st.permutations([0, 1, 2, 3]))
def test_a_list_in_order_is_likelier_than_any_other(order: list[int]) -> None:
    leaves = [Shown(kind="ilp", file="a", seed=seed, settings=1) for seed in order]
    model = order_model()
    assert model.in_order(sorted(leaves, key=lambda leaf: leaf.seed)) >= model.in_order(
        leaves
    )
    assert 0.0 < model.in_order(leaves) < 1.0
