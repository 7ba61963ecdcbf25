"""Summary of a result."""

from __future__ import annotations

import pytest

from search.domains.sharding.search.bound.certificate import Certificate
from search.domains.sharding.search.planner import SearchResult
from search.domains.sharding.search.summary import gap, summarise
from tests.search.domains.sharding.conftest import Ready


def test_gap_is_relative_to_the_cost_and_never_negative() -> None:
    assert gap(2.0, 1.5) == 0.25
    assert gap(1.0, 1.1) == 0.0


def test_a_summary_has_certificate_baselines_and_effort(small: Ready) -> None:
    plan = small.random_plan()
    result = SearchResult(
        plan=plan,
        model_ms=2.0,
        model_best_ms=1.6,
        oracle_ms=2.1,
        oracle_evaluations=7,
        steps=3,
        kicks=1,
        baselines_ms={"dim": 2.5, "size": None},
    )
    certificate = Certificate(
        lower_bound_ms=1.5, compute_ms=1.2, exchange_ms=0.3, multipliers=(), method="test"
    )
    summary = summarise(small.problem, small.setup, result, certificate)
    assert summary["shards"] == len(plan.option)
    assert summary["splits"] == 0
    assert summary["oracle"] == "simulated a100"
    assert summary["certificate"]["gap"] == 0.25
    assert summary["certificate"]["search_gap"] == pytest.approx(0.0625)
    assert summary["baselines"] == [
        {"planner": "dim", "cost_ms": 2.5},
        {"planner": "size", "cost_ms": None},
    ]
    assert summary["search"] == {"oracle_evaluations": 7, "local_steps": 3, "kicks": 1}
    assert "current_plan" not in summary
