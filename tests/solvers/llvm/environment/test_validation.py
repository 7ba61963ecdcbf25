"""Validation of states: rewards, behaviour, and the CSV form."""

from __future__ import annotations

from dataclasses import replace

import pytest

from solvers.llvm.environment.env import CompilerEnv
from solvers.llvm.environment.validation import EnvState, ValidationResult

STATE = EnvState(
    benchmark="file:///a,b.ll",
    commandline="opt -passes='sroa,dce' input.bc -o output.bc",
    reward_space="IrInstructionCount",
    reward=3.5,
    walltime_s=0.25,
)


def test_csv_keeps_commas_and_numbers() -> None:
    assert EnvState.from_csv(STATE.to_csv()) == STATE
    for line in ("", "a,b,c", STATE.to_csv().replace("3.5", "many")):
        with pytest.raises(ValueError, match=r"expected a line|could not convert"):
            EnvState.from_csv(line)


def test_one_failed_check_is_enough() -> None:
    assert ValidationResult(state=STATE, walltime_s=0.0).okay()
    for name in (
        "actions_replay_failed",
        "reward_validation_failed",
        "benchmark_semantics_validation_failed",
    ):
        assert not ValidationResult(state=STATE, walltime_s=0.0, **{name: True}).okay()


def test_a_false_reward_is_detected(env: CompilerEnv) -> None:
    env.reset()
    env.step(env.action_space["mem2reg"])
    good = env.validate()
    assert good.okay()
    assert good.reward_validated
    assert not good.benchmark_semantics_validated
    state = EnvState.from_csv(env.state.to_csv())
    lied = env.validate(replace(state, reward=state.reward + 1))
    assert lied.reward_validation_failed
    assert not lied.okay()
    assert env.validate(
        replace(state, commandline="opt -passes='made-up'")
    ).actions_replay_failed
