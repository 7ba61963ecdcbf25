"""The engine equals the oracle on a decoder of a few numbers, and a difference is counted."""

from __future__ import annotations

import pytest

from tests.workers.bench.llm.tiny import CONFIG, random_model
from workers.bench.llm import agreement
from workers.bench.llm.oracle import Simulation
from workers.bench.llm.quality import Model

MODEL = Model(config=CONFIG, weights=random_model(0), encode=lambda text: [0])
IDS = [(7 * i * i + 3 * i) % 50 for i in range(64)]


def test_every_rule_agrees() -> None:
    lines = list(agreement.run(MODEL, IDS, slots=16))
    assert [line["rule"] for line in lines][:3] == ["full", "local", "streaming"]
    for line in lines:
        assert line["logit_difference"] < 1e-4, line
        assert line["heads_differing"] == 0, line
        # Two layers of two heads, eight comparisons.
        assert line["heads_compared"] == 32


def test_other_victims_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    real = agreement.simulate

    def shifted(*args: object) -> Simulation:
        simulation = real(*args)  # type: ignore[arg-type]
        simulation.left.copy_(simulation.left.roll(1, -1))
        return simulation

    monkeypatch.setattr(agreement, "simulate", shifted)
    by_rule = {line["rule"]: line for line in agreement.run(MODEL, IDS, slots=16)}
    assert by_rule["full"]["heads_differing"] == 0
    assert by_rule["h2o sum"]["heads_differing"] > 0
