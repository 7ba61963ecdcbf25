"""Cached states of one benchmark."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from solvers.llvm.environment.actions import NOTHING
from solvers.llvm.environment.benchmarks import Benchmark
from solvers.llvm.environment.states import EngineSettings, PassFailed, States, _Recent
from solvers.llvm.types import EngineDied, EngineLimits
from tests.solvers.llvm.environment.modules import LOOP


@pytest.fixture(scope="module")
def states() -> Iterator[States]:
    made = States(Benchmark(uri="loop", module=LOOP), EngineSettings())
    yield made
    made.close()


def test_the_least_recently_used_result_is_dropped() -> None:
    calls: list[str] = []

    def get(key: str) -> str:
        return cache.get(key, lambda: calls.append(key) or key)

    cache = _Recent[str, str](2)
    for key in "abacab":
        get(key)
    assert calls == ["a", "b", "c", "b"]


def test_a_state_agrees_with_its_features_and_graph(states: States) -> None:
    pipeline = "function(mem2reg)"
    count = states.sizes(pipeline).ir_instructions
    assert count < states.sizes(NOTHING).ir_instructions
    assert states.features(pipeline).inst_count[0] == count
    assert states.sizes(pipeline) is states.sizes(pipeline), "measured once"
    assert states.sizes(pipeline, emit=True).loadable_bytes > 0
    assert len(states.graph(pipeline).nodes) < len(states.graph(NOTHING).nodes)


def test_a_failing_pipeline_raises_with_llvms_message(states: States) -> None:
    with pytest.raises(PassFailed, match=r"refused\. .*no-such-pass"):
        states.built("no-such-pass")


def test_levels_are_pipelines_of_the_engine(states: States) -> None:
    assert states.level("O0") == NOTHING
    assert "cgscc(" in states.level("Oz")


def test_the_last_user_closes_the_engine() -> None:
    settings = EngineSettings(limits=EngineLimits(instructions=100))
    states = States(Benchmark(uri="loop", module=LOOP), settings)
    shared = states.share()
    states.close()
    assert shared.sizes("globaldce").ir_instructions
    shared.close()
    with pytest.raises(EngineDied):
        shared.sizes("function(dce)")
