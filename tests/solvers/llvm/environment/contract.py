"""Tests that every `PassEnvironment` passes: ours, the adapter's and a fake."""

from __future__ import annotations

import pytest

from solvers.llvm.environment.protocol import PassEnvironment


class PassEnvironmentContract:
    """Contract of an environment.

    Subclasses define the fixture `env`, with the spaces Autophase and IrInstructionCount, and the
    name of a pass that shrinks its module.
    """

    helps = "mem2reg"

    def test_step_returns_five_values_and_shrinks_the_module(
        self, env: PassEnvironment
    ) -> None:
        observation, info = env.reset()
        assert len(observation) == 56
        assert isinstance(info, dict)
        before = env.observation["IrInstructionCount"]
        observation, reward, terminated, truncated, _ = env.step(
            env.action_space[self.helps]
        )
        after = env.observation["IrInstructionCount"]
        assert len(observation) == 56
        assert reward == before - after > 0
        assert not terminated
        assert not truncated
        assert env.actions == [env.action_space[self.helps]]
        assert self.helps in env.commandline()

    def test_reset_returns_to_the_start(self, env: PassEnvironment) -> None:
        env.reset()
        start = env.observation["IrInstructionCount"]
        env.step(env.action_space[self.helps])
        env.reset()
        assert env.actions == []
        assert env.observation["IrInstructionCount"] == start
        assert env.episode_reward == 0

    def test_forks_are_independent(self, env: PassEnvironment) -> None:
        env.reset()
        fork = env.fork()
        try:
            start = env.observation["IrInstructionCount"]
            fork.step(fork.action_space[self.helps])
            assert fork.observation["IrInstructionCount"] < start
            assert env.observation["IrInstructionCount"] == start
        finally:
            fork.close()

    def test_multistep_equals_its_steps(self, env: PassEnvironment) -> None:
        env.reset()
        action = env.action_space[self.helps]
        fork = env.fork()
        try:
            _, once, *_ = env.multistep([action, action])
            both = fork.step(action)[1] + fork.step(action)[1]
            assert once == pytest.approx(both)
        finally:
            fork.close()

    def test_named_spaces_return_lists(self, env: PassEnvironment) -> None:
        env.reset()
        spaces, scores = (
            ["IrInstructionCount", "IrInstructionCountOz"],
            ["IrInstructionCount", "IrInstructionCountOz"],
        )
        seen, earned, *_ = env.multistep([env.action_space[self.helps]], spaces, scores)
        assert seen == [env.observation[name] for name in spaces]
        assert earned[0] > 0
        assert len(earned) == 2
