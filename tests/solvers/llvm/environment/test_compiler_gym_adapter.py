"""Adapter to CompilerGym, on a fake of it and on the real package where installed."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest

from solvers.llvm.environment import make
from solvers.llvm.environment.compiler_gym_adapter import CompilerGymEnv
from tests.solvers.llvm.environment.contract import PassEnvironmentContract

SIZES = (40, 25, 25)  # after 0, 1, 2 times the pass that helps


class Box(SimpleNamespace):
    """gym 0.21's space, as far as the adapter looks."""


class FakeView:
    def __init__(self, ask: Any) -> None:
        self._ask = ask

    def __getitem__(self, name: str) -> Any:
        return self._ask(name)


class FakeEnv:
    """CompilerGym's calls and shapes: gym's four-tuple, `reset` without info."""

    def __init__(self) -> None:
        names = ["-adce", "mem2reg"]
        self.action_space = type(
            "Named",
            (),
            {"names": names, "__getitem__": lambda _, name: names.index(name)},
        )()
        self.observation_space = Box(low=0, high=9, shape=(56,), dtype=np.int64)
        self.reward_space = SimpleNamespace(name="IrInstructionCount")
        self.actions: list[int] = []
        self.episode_reward: float | None = None
        self.closed = False
        self.observation = FakeView(self._see)
        self.reward = FakeView(lambda _: 0.0)

    def _count(self) -> int:
        return SIZES[min(self.actions.count(1), 2)]

    def _see(self, name: str) -> Any:
        return {
            "Autophase": np.zeros(56),
            "IrInstructionCount": self._count(),
            "IrInstructionCountOz": 20,
        }[name]

    def reset(self) -> Any:
        self.actions, self.episode_reward = [], 0.0
        return self._see("Autophase")

    def step(self, action: int) -> Any:
        return self.multistep([action])

    def multistep(
        self,
        actions: list[int],
        observation_spaces: Any = None,
        reward_spaces: Any = None,
    ) -> Any:
        before = self._count()
        self.actions += actions
        earned = before - self._count()
        self.episode_reward = (self.episode_reward or 0.0) + earned
        seen = (
            self._see("Autophase")
            if observation_spaces is None
            else [self._see(n) for n in observation_spaces]
        )
        rewards = earned if reward_spaces is None else [earned for _ in reward_spaces]
        return seen, rewards, False, {}

    def fork(self) -> FakeEnv:
        made = FakeEnv()
        made.actions, made.episode_reward = list(self.actions), self.episode_reward
        return made

    def commandline(self) -> str:
        return (
            "opt "
            + " ".join("-" + self.action_space.names[i] for i in self.actions)
            + " input.bc -o output.bc"
        )

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeEnv:
    env, package = FakeEnv(), ModuleType("compiler_gym")
    package.make = lambda name, **options: env  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "compiler_gym", package)
    return env


class TestFake(PassEnvironmentContract):
    """The adapter over a fake keeps the contract."""

    @pytest.fixture
    def env(self, fake: FakeEnv) -> Iterator[CompilerGymEnv]:
        with make("llvm-v0", backend="compiler_gym") as made:
            yield made
        assert fake.closed


@pytest.mark.skipif(
    importlib.util.find_spec("compiler_gym") is None,
    reason="compiler_gym is not installed",
)
class TestReal(PassEnvironmentContract):
    """CompilerGym itself keeps the contract."""

    helps = "-mem2reg"

    @pytest.fixture
    def env(self) -> Iterator[CompilerGymEnv]:
        options = {"observation_space": "Autophase", "reward_space": "IrInstructionCount"}
        with make(
            "llvm-v0",
            backend="compiler_gym",
            benchmark="generator://csmith-v0/0",
            **options,
        ) as made:
            yield made


def test_spaces_become_gymnasium_spaces(fake: FakeEnv) -> None:
    env = make("llvm-v0", backend="compiler_gym")
    assert isinstance(env.observation_space, gymnasium.spaces.Box)
    assert env.observation_space.shape == (56,)
    assert env.action_space.names == ["-adce", "mem2reg"]


def test_a_missing_package_names_the_guide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "compiler_gym", None)
    with pytest.raises(ModuleNotFoundError, match=r"compiler-gym\.md"):
        make("llvm-v0", backend="compiler_gym")
