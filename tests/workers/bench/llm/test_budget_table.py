"""Paired differences, the choice of a default, and the file that the engine reads."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from workers.bench.llm import budget_table
from workers.bench.llm.quality import BUDGETS, SHARES


def rows(
    nats: dict[str, float], kind: str = "prose", names: dict[str, str] | None = None
) -> list[dict[str, Any]]:
    """Return 8 segments in which each rule has its loss, plus the segment's own level."""
    names = names or {}
    return [
        {
            "type": kind,
            "segment": segment,
            "tokens": 100,
            "rules": [{"rule": "full", "share": 1.0, "nats": 2.0 + 0.1 * segment}]
            + [
                {
                    "rule": names.get(rule, rule),
                    "share": share,
                    "nats": 2.0 + 0.1 * segment + above,
                }
                for share in SHARES
                for rule, above in nats.items()
            ],
        }
        for segment in (3, 1, 0, 2, 5, 4, 7, 6)
    ]


def test_pairs_remove_what_segments_share() -> None:
    found = budget_table.above_full(rows({"streaming": 0.25}), "prose", "streaming", 0.2)
    assert found.mean == pytest.approx(0.25)
    assert found.low == pytest.approx(found.high) == pytest.approx(0.25)
    assert found.count == 8
    assert found.p == 1.0


def test_p_is_small_for_a_clear_gain_and_large_for_noise() -> None:
    rng = np.random.default_rng(5)
    noise = rng.normal(0, 1, 40)
    assert budget_table.paired(noise - 3, np.zeros(40)).p < 0.001
    assert budget_table.paired(noise - noise.mean(), np.zeros(40)).p > 0.3


def test_the_interval_covers_the_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(100):
        found = budget_table.paired(rng.normal(0.3, 1, 20), np.zeros(20))
        inside += found.low <= 0.3 <= found.high
    assert 85 <= inside <= 99


def test_the_default_is_the_candidate_with_the_least_loss_on_the_tuning_segments() -> (
    None
):
    losses = {"streaming": 0.3, "h2o sum": 0.2, "h2o mean": 0.1, "h2o decay": 0.15}
    tuning = rows(losses, names=dict(budget_table.CANDIDATES))
    assert budget_table.choose(tuning, "prose") == "h2o mean"


def test_the_file_has_a_default_and_every_rule_for_every_type() -> None:
    nats = dict.fromkeys(BUDGETS, 0.2)
    tuned = dict.fromkeys(budget_table.CANDIDATES, 0.2) | {"h2o decay": 0.1}
    names = dict(budget_table.CANDIDATES)
    written = budget_table.text(
        rows(nats) + rows(nats, "code"),
        rows(tuned, names=names) + rows(tuned, "code", names),
        model="m",
    )
    texts = json.loads(written)["texts"]
    assert list(texts) == ["prose", "code"]
    assert texts["code"]["default"]["score"] == "decay"
    assert len(texts["prose"]["rules"]) == len(BUDGETS) * len(SHARES)
    after = [rule for rule in texts["prose"]["rules"] if rule["after_prompt"]]
    assert {rule["rule"] for rule in after} == {"h2o decay", "snapkv"}
