"""Gymnasium environment with CompilerGym's vocabulary: states are modules, actions are passes.

    from solvers.llvm.environment import make

    with make("llvm-autophase-ic-v0", benchmark="file:///tmp/a.c") as env:
        env.reset(seed=0)
        env.step(env.action_space["mem2reg"])
        env.multistep([env.action_space[name] for name in ("sroa<modify-cfg>", "simplifycfg")])
        print(env.observation["IrInstructionCount"], env.commandline())

A smaller module is a reward. Differences from CompilerGym 0.2.5: `step` returns Gymnasium's
five-tuple; passes are those of LLVM 22's new pass manager; a state is always made by its whole
pipeline and never by changing a shared module, so `fork` costs nothing and `commandline()` repeats
a state bit by bit.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from solvers.llvm.engine import Engine
from solvers.llvm.environment.actions import FLAT, Action, known_to
from solvers.llvm.environment.benchmarks import Benchmark, Generator, load
from solvers.llvm.environment.observations import (
    ObservationView,
    find_space,
    observation_spaces,
)
from solvers.llvm.environment.rewards import SPACES, RewardSpace, reward_space
from solvers.llvm.environment.spaces import PassSpace
from solvers.llvm.environment.states import EngineSettings, States
from solvers.llvm.environment.validation import EnvState, ValidationResult, validate
from solvers.llvm.install import find_llvm
from solvers.llvm.types import Outcome

_SMALLEST = b"define i32 @f(i32 %a) {\n  ret i32 %a\n}\n"


@cache
def installed_actions(build_id: str, actions: tuple[Action, ...]) -> tuple[Action, ...]:
    """Return those of `actions` that the LLVM build can parse; cached for each build."""
    with Engine(_SMALLEST) as engine:
        return known_to(engine, actions)


# Gymnasium is an extra: Any to the type checker.
class CompilerEnv(gymnasium.Env[Any, Any]):  # type: ignore[misc]
    """Environment of one benchmark, optimised pass by pass.

    It holds a process: close it, or use it in `with`.
    """

    metadata = {"render_modes": ["ansi", "human"]}  # noqa: RUF012  # Gymnasium's own convention

    def __init__(
        self,
        *,
        benchmark: str | Path | Benchmark,
        observation_space: str = "Autophase",
        reward_space: str = "IrInstructionCountOz",
        actions: Sequence[Action] = FLAT,
        generators: Mapping[str, Generator] | None = None,
        settings: EngineSettings | None = None,
        max_steps: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        """Open an engine on the benchmark.

        actions: passes of the action space, without those that the installed LLVM cannot parse.
        generators: program generators by name, for generator://NAME/SEED.
        settings: target and limits of the engine.
        max_steps: passes after which an episode is truncated.

        Raises ValueError, FileNotFoundError, BadModule, SourceError, LlvmMissing.
        """
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(
                f"render_mode: expected one of {self.metadata['render_modes']} or None, "
                f"got {render_mode!r}"
            )
        if max_steps is not None and max_steps < 1:
            raise ValueError(f"max_steps: expected at least 1, or None, got {max_steps}")
        self.render_mode, self.max_steps = render_mode, max_steps
        self.settings = settings or EngineSettings()
        self._generators = dict(generators or {})
        self._observations = observation_spaces()
        self.reward_space = reward_space
        self.observation_space = observation_space
        self.action_space = PassSpace(
            installed_actions(find_llvm().build_id, tuple(actions))
        )
        self.states = self._open(benchmark)
        self._closed = self._over = False
        self._actions: tuple[int, ...] = ()
        self._before: tuple[int, ...] = ()
        self.episode_reward = 0.0
        self._begin()

    # --- spaces

    @property
    def observation_space(self) -> gymnasium.Space[Any]:
        """Space of the observations of `reset` and `step`. Set it by name."""
        return self._observation.space

    @observation_space.setter
    def observation_space(self, name: str) -> None:
        self._observation = find_space(self._observations, name)

    @property
    def reward_space(self) -> str:
        """Name of the reward space of `step`. Set it by name."""
        return self._reward.name

    @reward_space.setter
    def reward_space(self, name: str) -> None:
        self._reward = reward_space(name)

    @property
    def observation(self) -> ObservationView:
        """Observations of the current state in all spaces, by name."""
        return ObservationView(self, self._observations)

    @property
    def reward(self) -> RewardView:
        """Rewards of the last step in all spaces, by name."""
        return RewardView(self)

    # --- state

    @property
    def actions(self) -> list[int]:
        """Indices of the passes applied in this episode."""
        return list(self._actions)

    @property
    def pipeline(self) -> str:
        """Pipeline of the passes applied in this episode."""
        return self.action_space.to_string(self._actions)

    @property
    def benchmark(self) -> Benchmark:
        """Benchmark that is optimised. Setting a URI, path or `Benchmark` starts an episode."""
        return self.states.benchmark

    @benchmark.setter
    def benchmark(self, benchmark: str | Path | Benchmark) -> None:
        self._need_open()
        states = self._open(benchmark)
        self.states.close()
        self.states = states
        self._begin()

    @property
    def state(self) -> EnvState:
        """Current state: the line that repeats it, and its claimed reward."""
        return EnvState(
            benchmark=self.benchmark.uri,
            commandline=self.commandline(),
            reward_space=self.reward_space,
            reward=self.episode_reward,
            walltime_s=time.monotonic() - self._began,
        )

    def commandline(self) -> str:
        """Return the `opt` line that makes this state from the unoptimised module.

        It repeats the state with the same LLVM build.
        """
        target = self.settings.target
        words = ["opt", f"-mtriple={target.triple}"]
        words += [f"-mcpu={target.cpu}"] if target.cpu else []
        words += [f"-mattr={target.features}"] if target.features else []
        words += [f"-relocation-model={'pic' if target.pic else 'static'}"]
        return " ".join(
            [*words, f"-passes='{self.pipeline}'", "input.bc", "-o", "output.bc"]
        )

    # --- Gymnasium

    def reset(
        self,
        *,
        seed: int | None = None,
        options: dict[str, Any] | None = None,
        benchmark: str | Path | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Return to the unoptimised module, of a new benchmark if there is one.

        A new benchmark is an argument or options["benchmark"].
        """
        super().reset(seed=seed)
        self._need_open()
        benchmark = benchmark or (options or {}).get("benchmark")
        if benchmark is not None:
            self.benchmark = benchmark
        self._begin()
        return self._observe(self._observation.name), {}

    def step(
        self,
        action: int | Sequence[int],
        observation_spaces: Sequence[str] | None = None,
        reward_spaces: Sequence[str] | None = None,
    ) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Apply one pass, or several as `multistep` does."""
        actions = [int(index) for index in np.atleast_1d(np.asarray(action))]
        return self.multistep(actions, observation_spaces, reward_spaces)

    def multistep(
        self,
        actions: Iterable[int],
        observation_spaces: Sequence[str] | None = None,
        reward_spaces: Sequence[str] | None = None,
    ) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Apply passes in order; observe and score once, at the end.

        With `observation_spaces` (`reward_spaces`), the observation (reward) is a list with one
        entry for each name. When a pass crashes, hangs or makes an invalid module, the episode
        terminates: the state is unchanged, info["error_details"] has LLVM's message, and the reward
        is minus the episode's reward so far, as in CompilerGym.
        """
        self._need_open()
        if self._over:
            raise gymnasium.error.ResetNeeded("the episode has ended; call reset() first")
        added = [int(action) for action in actions]
        for action in added:
            if not 0 <= action < len(self.action_space.names):
                last = len(self.action_space.names) - 1
                raise ValueError(f"action: expected 0 to {last}, got {action}")
        before, after = self._actions, (*self._actions, *added)
        self._before = before
        spaces = [
            find_space(self._observations, name)
            for name in observation_spaces or (self._observation.name,)
        ]
        scores = [reward_space(name) for name in reward_spaces or (self._reward.name,)]
        result = self.states.measured(
            self.action_space.to_string(after), emit=self._needs_object(scores)
        )
        info: dict[str, Any] = {"action_had_no_effect": False, "new_action_space": False}
        if result.outcome is Outcome.OK:
            unchanged = self.states.measured(
                self.action_space.to_string(before), emit=self._needs_object(scores)
            )
            info["action_had_no_effect"] = (
                bool(result.ir_sha256) and result.ir_sha256 == unchanged.ir_sha256
            )
            self._actions = after
            earned = self.score(self._reward)
            rewards = [self.score(space) for space in scores]
        else:
            self._over = True
            info["error_type"], info["error_details"] = (
                result.outcome.value,
                result.detail,
            )
            earned = -self.episode_reward
            rewards = [-self._score(space, (), before) for space in scores]
        self.episode_reward += earned
        truncated = (
            not self._over
            and self.max_steps is not None
            and len(self._actions) >= self.max_steps
        )
        observations = [self._observe(space.name) for space in spaces]
        if self.render_mode == "human":
            print(self._text())
        return (
            observations if observation_spaces is not None else observations[0],
            rewards if reward_spaces is not None else rewards[0],
            self._over,
            truncated,
            info,
        )

    def render(self) -> str | None:
        """Describe the state in a few lines: return them in mode "ansi", print them in "human"."""
        if self.render_mode == "human":
            print(self._text())
        return self._text() if self.render_mode == "ansi" else None

    def close(self) -> None:
        """End the engine's process, unless a fork still uses it. May be called again."""
        if not self._closed:
            self._closed = True
            self.states.close()

    # --- beyond Gymnasium

    def fork(self) -> CompilerEnv:
        """Return a second, independent environment in the same state. Close both."""
        self._need_open()
        made = copy.copy(self)
        made.states = self.states.share()
        made.action_space = PassSpace(self.action_space.actions)
        made._np_random = copy.deepcopy(self._np_random)
        return made

    def validate(self, state: EnvState | None = None) -> ValidationResult:
        """Replay a state (by default the current one) in a new process and check its reward.

        A benchmark with runs is also executed, to compare its behaviour.
        """
        return validate(
            state or self.state, self.benchmark, self.action_space, self.settings
        )

    def score(self, space: RewardSpace) -> float:
        """Return the last step's reward in `space`."""
        return self._score(space, self._before, self._actions)

    def _open(self, benchmark: str | Path | Benchmark) -> States:
        if not isinstance(benchmark, Benchmark):
            benchmark = load(
                benchmark, target=self.settings.target, generators=self._generators
            )
        return States(benchmark, self.settings)

    def _begin(self) -> None:
        self._actions = self._before = ()
        self._over, self._began = False, time.monotonic()
        self.episode_reward = 0.0

    def _need_open(self) -> None:
        if self._closed:
            raise gymnasium.error.ClosedEnvironmentError(
                "the environment is closed: make a new one"
            )

    def _observe(self, name: str) -> Any:
        value = find_space(self._observations, name).observe(self.states, self.pipeline)
        return np.array(value, dtype=np.int64) if isinstance(value, int) else value

    def _needs_object(self, spaces: Iterable[RewardSpace]) -> bool:
        return any(
            space.size == "ObjectTextSizeBytes" for space in (self._reward, *spaces)
        )

    def _score(
        self, space: RewardSpace, before: tuple[int, ...], after: tuple[int, ...]
    ) -> float:
        observe = self._observations[space.size].observe

        def size_of(name: str) -> int:
            return int(self._observations[name].observe(self.states, self.pipeline))

        saved = observe(self.states, self.action_space.to_string(before)) - observe(
            self.states, self.action_space.to_string(after)
        )
        return float(saved / space.scale(size_of))

    def _text(self) -> str:
        count = self.states.sizes(self.pipeline).ir_instructions
        figures = f"{count} instructions, reward {self.episode_reward:.4f}"
        return f"{self.benchmark.uri}\n{self.commandline()}\n{figures}"

    def __enter__(self) -> CompilerEnv:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class RewardView:
    """Rewards of the last step by name: `env.reward["IrInstructionCount"]`."""

    def __init__(self, env: CompilerEnv) -> None:
        self._env, self.spaces = env, SPACES

    def __getitem__(self, name: str) -> float:
        """Return the reward in a space. Raises ValueError for an unknown name."""
        return self._env.score(reward_space(name))
