"""Choice of the next arm."""

from __future__ import annotations

import numpy as np
import pytest

from search.bandit import DiscountedBandit


def test_bandit_tries_all_arms_then_prefers_the_best_rate() -> None:
    bandit = DiscountedBandit(["a", "b"], explore=0.0)
    rng = np.random.default_rng(0)
    assert {bandit.pick(rng) for _ in range(30)} == {"a", "b"}, (
        "nothing is known: both have their turn"
    )
    bandit.update("a", gain=0.0, seconds=1.0)
    bandit.update("b", gain=1.0, seconds=1.0)
    assert all(bandit.pick(rng) == "b" for _ in range(20))
    for _ in range(60):  # b stops paying, a starts
        bandit.update("b", gain=0.0, seconds=1.0)
        bandit.update("a", gain=1.0, seconds=1.0)
    assert bandit.pick(rng) == "a"
    with pytest.raises(ValueError, match="at least one"):
        DiscountedBandit([])


def test_bandit_explores_cheap_arms_more_often_and_forgets_old_gains() -> None:
    bandit = DiscountedBandit(["cheap", "dear"], explore=1.0)
    rng = np.random.default_rng(1)
    for _ in range(6):
        bandit.update("cheap", gain=0.1, seconds=0.01)
        bandit.update("dear", gain=0.1, seconds=2.0)
    picks = [bandit.pick(rng) for _ in range(300)]
    assert picks.count("cheap") > 10 * picks.count("dear") > 0
    bandit = DiscountedBandit(["early", "steady"], explore=0.0)
    bandit.update("early", gain=100.0, seconds=0.1)
    bandit.update("steady", gain=0.01, seconds=0.1)
    for _ in range(25):  # 2.5 s without a gain
        bandit.update("early", gain=0.0, seconds=0.1)
    assert bandit.pick(rng) == "steady"
    bandit.drop("steady")
    bandit.drop("early")
    assert bandit.arms == ("early",), "the last arm stays"


def test_a_prior_gives_the_first_calls_and_decays_with_failures() -> None:
    bandit = DiscountedBandit(
        ["known", "other"], explore=0.0, prior={"known": 0.05, "absent": 1.0}
    )
    rng = np.random.default_rng(2)
    assert all(bandit.pick(rng) == "known" for _ in range(20))
    bandit.update("other", gain=0.002, seconds=0.2)
    assert bandit.pick(rng) == "known"
    for _ in range(6):
        bandit.update("known", gain=0.0, seconds=0.2)
    assert all(bandit.pick(rng) == "other" for _ in range(20))


def test_credit_is_gone_after_four_failures_in_a_row() -> None:
    bandit = DiscountedBandit(["once", "never"], explore=0.0)
    rng = np.random.default_rng(3)
    bandit.update("once", gain=1.0, seconds=0.1)
    for _ in range(3):
        bandit.update("once", gain=0.0, seconds=0.1)
    assert {bandit.pick(rng) for _ in range(20)} == {"once"}
    bandit.update("once", gain=0.0, seconds=0.1)
    assert {bandit.pick(rng) for _ in range(40)} == {"once", "never"}, "all start anew"
    bandit.update("once", gain=1e-3, seconds=0.1)
    assert {bandit.pick(rng) for _ in range(20)} == {"once"}


def test_exploring_time_is_shared_by_weight() -> None:
    bandit = DiscountedBandit(["a", "b"], explore=1.0, weights={"a": 4.0, "absent": 9.0})
    rng = np.random.default_rng(4)
    picks = [bandit.pick(rng) for _ in range(500)]
    assert 3.0 < picks.count("a") / picks.count("b") < 5.5


def test_an_arm_that_joins_has_its_turns() -> None:
    bandit = DiscountedBandit(["a"], explore=0.0)
    bandit.add("b")
    bandit.drop("a")
    assert bandit.pick(np.random.default_rng(5)) == "b"
    bandit.update("b", gain=1.0, seconds=0.1)
    assert bandit.rates()["b"] > 0
    with pytest.raises(ValueError, match="expected a new one"):
        bandit.add("a")
