"""A Gymnasium environment with CompilerGym's vocabulary: a state is a module, an action a pass, a reward a smaller module.

    from solvers.llvm.environment import make

    with make("llvm-autophase-ic-v0", benchmark="file:///tmp/a.c") as env:
        env.reset(seed=0)
        env.step(env.action_space["mem2reg"])
        env.multistep([env.action_space[name] for name in ("sroa<modify-cfg>", "simplifycfg")])
        print(env.observation["IrInstructionCount"], env.observation["IrInstructionCountOz"], env.commandline())

Differences from CompilerGym 0.2.5: Gymnasium's five-tuple from `step`; LLVM 22's new pass manager; a state is reached by
running its whole pipeline, never by stepping a shared module, so `fork` costs nothing and `commandline()` repeats a state
bit by bit.
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
from solvers.llvm.environment.observations import ObservationView, known, observation_spaces
from solvers.llvm.environment.rewards import SPACES, RewardSpace, reward_space
from solvers.llvm.environment.spaces import PassSpace
from solvers.llvm.environment.states import States
from solvers.llvm.environment.validation import EnvState, ValidationResult, validate
from solvers.llvm.install import find_llvm
from solvers.llvm.types import EngineLimits, Outcome, Target

_SMALLEST = b"define i32 @f(i32 %a) {\n  ret i32 %a\n}\n"


@cache
def installed_actions(build_id: str, actions: tuple[Action, ...]) -> tuple[Action, ...]:
    """Those of `actions` that the LLVM build knows. Asked once for each build."""
    with Engine(_SMALLEST) as engine:
        return known_to(engine, actions)


class CompilerEnv(gymnasium.Env[Any, Any]):  # type: ignore[misc]  # Gymnasium is an extra: Any to the type checker
    """One benchmark, optimised pass by pass. Close it, or use it in `with`: it holds a process."""

    metadata = {"render_modes": ["ansi", "human"]}  # noqa: RUF012  # Gymnasium's own convention

    def __init__(
        self,
        *,
        benchmark: str | Path | Benchmark,
        observation_space: str = "Autophase",
        reward_space: str = "IrInstructionCountOz",
        actions: Sequence[Action] = FLAT,
        generators: Mapping[str, Generator] | None = None,
        target: Target | None = None,
        limits: EngineLimits | None = None,
        max_steps: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        """Open an engine on the benchmark.

        actions: passes to choose from; those that the installed LLVM does not know are left out.
        generators: by name, for generator://NAME/SEED. max_steps: an episode is truncated after so many passes.
        Raises ValueError, FileNotFoundError, BadModule, SourceError, LlvmMissing.
        """
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(
                f"render_mode {render_mode!r}; wanted one of {self.metadata['render_modes']} or None"
            )
        if max_steps is not None and max_steps < 1:
            raise ValueError(f"max_steps={max_steps}; wanted 1 or more, or None for no end")
        self.render_mode, self.max_steps = render_mode, max_steps
        self.target, self.limits = target or Target(), limits or EngineLimits()
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

    # -- spaces ---------------------------------------------------------------------------------------------------

    @property
    def observation_space(self) -> gymnasium.Space[Any]:
        """What `reset` and `step` return. Set it by name."""
        return self._observation.space

    @observation_space.setter
    def observation_space(self, name: str) -> None:
        self._observation = known(self._observations, name)

    @property
    def reward_space(self) -> str:
        """How `step` scores. Set it by name."""
        return self._reward.name

    @reward_space.setter
    def reward_space(self, name: str) -> None:
        self._reward = reward_space(name)

    @property
    def observation(self) -> ObservationView:
        """The current state in any space, by name."""
        return ObservationView(self, self._observations)

    @property
    def reward(self) -> RewardView:
        """The last step's reward in any space, by name."""
        return RewardView(self)

    # -- the state ------------------------------------------------------------------------------------------------

    @property
    def actions(self) -> list[int]:
        """Passes applied in this episode."""
        return list(self._actions)

    @property
    def pipeline(self) -> str:
        """The text of the passes applied in this episode."""
        return self.action_space.to_string(self._actions)

    @property
    def benchmark(self) -> Benchmark:
        """What is optimised. Set it to a URI, a path or a `Benchmark`; `reset` follows."""
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
        """What is needed to be here again, and what is claimed about it."""
        return EnvState(
            benchmark=self.benchmark.uri,
            commandline=self.commandline(),
            reward_space=self.reward_space,
            reward=self.episode_reward,
            walltime_s=time.monotonic() - self._began,
        )

    def commandline(self) -> str:
        """A line for the tool `opt` of the same LLVM that makes this state out of the unoptimised module."""
        about = f"-mtriple={self.target.triple}"
        about += f" -mcpu={self.target.cpu}" if self.target.cpu else ""
        about += f" -mattr={self.target.features}" if self.target.features else ""
        model = "pic" if self.target.pic else "static"
        return f"opt {about} -relocation-model={model} -passes='{self.pipeline}' input.bc -o output.bc"

    # -- Gymnasium ------------------------------------------------------------------------------------------------

    def reset(
        self,
        *,
        seed: int | None = None,
        options: dict[str, Any] | None = None,
        benchmark: str | Path | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Back to the unoptimised module, of another benchmark if one is given (here or as options["benchmark"])."""
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
        """One pass, or several as `multistep` takes them."""
        wanted = [int(one) for one in np.atleast_1d(np.asarray(action))]
        return self.multistep(wanted, observation_spaces, reward_spaces)

    def multistep(
        self,
        actions: Iterable[int],
        observation_spaces: Sequence[str] | None = None,
        reward_spaces: Sequence[str] | None = None,
    ) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Passes one after the other; looked at and scored once, at the end.

        With `observation_spaces` or `reward_spaces` the first two of the returned are lists, one entry for each name.
        When a pass crashes, hangs or makes an invalid module the episode is terminated: the state stays what it was,
        info["error_details"] says what LLVM said, and the reward takes back what the episode had earned (as CompilerGym's).
        """
        self._need_open()
        if self._over:
            raise gymnasium.error.ResetNeeded("the episode has ended; call reset() first")
        wanted = [int(action) for action in actions]
        for action in wanted:
            if not 0 <= action < len(self.action_space.names):
                raise ValueError(
                    f"action {action}; wanted 0 to {len(self.action_space.names) - 1}"
                )
        before, after = self._actions, (*self._actions, *wanted)
        self._before = before
        looks = [
            known(self._observations, name)
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
            info["error_type"], info["error_details"] = result.outcome.value, result.detail
            earned = -self.episode_reward
            rewards = [-self._score(space, (), before) for space in scores]
        self.episode_reward += earned
        truncated = (
            not self._over
            and self.max_steps is not None
            and len(self._actions) >= self.max_steps
        )
        observations = [self._observe(look.name) for look in looks]
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
        """The state in a few lines: returned in mode "ansi", printed in mode "human"."""
        if self.render_mode == "human":
            print(self._text())
        return self._text() if self.render_mode == "ansi" else None

    def close(self) -> None:
        """End the engine's process (when no fork uses it any more). May be called again."""
        if not self._closed:
            self._closed = True
            self.states.close()

    # -- beyond Gymnasium -----------------------------------------------------------------------------------------

    def fork(self) -> CompilerEnv:
        """Another environment in the same state. Both go on independently; each has to be closed."""
        self._need_open()
        made = copy.copy(self)
        made.states = self.states.share()
        made.action_space = PassSpace(self.action_space.actions)
        made._np_random = copy.deepcopy(self._np_random)
        return made

    def validate(self, state: EnvState | None = None) -> ValidationResult:
        """Replay a state (this one when none is given) in a new process and check what it claims; run the program if it can."""
        return validate(
            state or self.state,
            self.benchmark,
            self.action_space,
            target=self.target,
            limits=self.limits,
        )

    def score(self, space: RewardSpace) -> float:
        """The last step's reward in `space`."""
        return self._score(space, self._before, self._actions)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _open(self, benchmark: str | Path | Benchmark) -> States:
        if not isinstance(benchmark, Benchmark):
            benchmark = load(benchmark, target=self.target, generators=self._generators)
        return States(benchmark, target=self.target, limits=self.limits)

    def _begin(self) -> None:
        self._actions = self._before = ()
        self._over, self._began = False, time.monotonic()
        self.episode_reward = 0.0

    def _need_open(self) -> None:
        if self._closed:
            raise gymnasium.error.ClosedEnvironmentError(
                "the environment is closed; make a new one"
            )

    def _observe(self, name: str) -> Any:
        value = known(self._observations, name).look(self.states, self.pipeline)
        return np.array(value, dtype=np.int64) if isinstance(value, int) else value

    def _needs_object(self, spaces: Iterable[RewardSpace]) -> bool:
        return any(space.size == "ObjectTextSizeBytes" for space in (self._reward, *spaces))

    def _score(
        self, space: RewardSpace, before: tuple[int, ...], after: tuple[int, ...]
    ) -> float:
        look = self._observations[space.size].look

        def size_of(name: str) -> int:
            return int(self._observations[name].look(self.states, self.pipeline))

        saved = look(self.states, self.action_space.to_string(before)) - look(
            self.states, self.action_space.to_string(after)
        )
        return float(saved / space.scale(size_of))

    def _text(self) -> str:
        count = self.states.sizes(self.pipeline).ir_instructions
        return f"{self.benchmark.uri}\n{self.commandline()}\n{count} instructions, reward {self.episode_reward:.4f}"

    def __enter__(self) -> CompilerEnv:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class RewardView:
    """`env.reward["IrInstructionCount"]`: what the last step earned, in any of the spaces."""

    def __init__(self, env: CompilerEnv) -> None:
        self._env, self.spaces = env, SPACES

    def __getitem__(self, name: str) -> float:
        """Raises ValueError for an unknown name."""
        return self._env.score(reward_space(name))
