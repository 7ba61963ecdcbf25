"""Full and evicting cache in turn, on a decoder of a few numbers."""

from __future__ import annotations

import pytest

from tests.workers.bench.llm.test_serving import tiny_engine
from workers.bench.llm import eviction
from workers.bench.llm.beside import ALL, Scenario


def test_both_caches_decode_the_same_number_of_tokens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(eviction, "engine", tiny_engine)
    scenario = Scenario(sequences=3, tokens=300, steps=4, contenders=ALL)
    prompt = [(5 * i * i + i) % 50 for i in range(300)]
    full, evicting = eviction.run(scenario, prompt, rounds=2)
    assert (full["contender"], evicting["contender"]) == ("own full", "own h2o")
    assert (full["slots"], evicting["slots"]) == (0, 60)
    for line in (full, evicting):
        assert line["tokens"] == 3 * 4 * 2
        assert len(line["rounds_cpu_ms"]) == 2
        assert line["token_cpu_ms"] > 0
