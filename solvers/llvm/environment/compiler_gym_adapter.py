"""Adapter of CompilerGym 0.2.5 to our environment's methods.

Usage: `make("llvm-autophase-ic-v0", backend="compiler_gym")`.

CompilerGym (Cummins et al., CGO 2022) is not among our dependencies. Its last release dates from
November 2022 and pins gym ≤ 0.21, grpcio < 1.44, protobuf < 4.21 and pydantic < 2, so it needs an
environment of its own; deploy/docs/guide/compiler-gym.md has the steps. It runs LLVM 10 with 124
passes of the legacy pass manager, and its -Oz is weaker than `clang -Oz`: figures of the two
backends do not compare.

The adapter turns gym's four-tuple into Gymnasium's five-tuple, makes `reset` return (observation,
info) and converts spaces. The wrapped environment is available as `unwrapped_env`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium

from solvers.llvm.environment.spaces import NamedDiscrete, Opaque

GUIDE = "deploy/docs/guide/compiler-gym.md"


def make_compiler_gym(name: str, **options: Any) -> CompilerGymEnv:
    """Adapt `compiler_gym.make(name, **options)`.

    Raises ModuleNotFoundError, which names the installation guide.
    """
    try:
        package = importlib.import_module("compiler_gym")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"backend 'compiler_gym' needs the package compiler_gym ({error}). Install it with its "
            f"pins into an environment of its own as {GUIDE} describes, or use backend 'llvm'"
        ) from error
    return CompilerGymEnv(package.make(name, **options))


# Gymnasium is an extra: Any to the type checker.
class CompilerGymEnv(gymnasium.Env[Any, Any]):  # type: ignore[misc]
    """CompilerGym's environment with the methods of `CompilerEnv`."""

    metadata = {"render_modes": ["ansi", "human"]}  # noqa: RUF012  # Gymnasium's own convention

    def __init__(self, wrapped: Any) -> None:
        self.unwrapped_env = wrapped
        self.action_space = NamedDiscrete(
            [str(name) for name in wrapped.action_space.names]
        )

    @property
    def observation_space(self) -> gymnasium.Space[Any]:
        """Space of the observations of `reset` and `step`. Set it by name."""
        return as_gymnasium(self.unwrapped_env.observation_space)

    @observation_space.setter
    def observation_space(self, name: str) -> None:
        self.unwrapped_env.observation_space = name

    @property
    def reward_space(self) -> str:
        """Name of the reward space of `step`. Set it by name."""
        return str(
            getattr(
                self.unwrapped_env.reward_space, "name", self.unwrapped_env.reward_space
            )
        )

    @reward_space.setter
    def reward_space(self, name: str) -> None:
        self.unwrapped_env.reward_space = name

    @property
    def observation(self) -> Any:
        """Observations by name, of CompilerGym's own type."""
        return self.unwrapped_env.observation

    @property
    def reward(self) -> Any:
        """Rewards by name, each since its last use, of CompilerGym's own type."""
        return self.unwrapped_env.reward

    @property
    def actions(self) -> list[int]:
        """Indices of the passes applied in this episode."""
        return [int(action) for action in self.unwrapped_env.actions]

    @property
    def episode_reward(self) -> float:
        """Sum of the episode's rewards; 0.0 when no reward space is set."""
        return float(self.unwrapped_env.episode_reward or 0.0)

    @property
    def benchmark(self) -> Any:
        """CompilerGym's benchmark. A new one takes effect at `reset`."""
        return self.unwrapped_env.benchmark

    @benchmark.setter
    def benchmark(self, benchmark: Any) -> None:
        self.unwrapped_env.benchmark = benchmark

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Return to the unoptimised module, of options["benchmark"] if set.

        CompilerGym's episodes have no randomness.
        """
        super().reset(seed=seed)
        return self.unwrapped_env.reset(**(options or {})), {}

    def step(
        self, action: int | Sequence[int]
    ) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Apply one pass, or several as `multistep` does."""
        if isinstance(action, (list, tuple)):
            return self.multistep(action)
        return _five_tuple(self.unwrapped_env.step(int(action)))  # type: ignore[arg-type]

    def multistep(
        self,
        actions: Iterable[int],
        observation_spaces: Sequence[str] | None = None,
        reward_spaces: Sequence[str] | None = None,
    ) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Apply passes in order; observe and score once, as lists when spaces are named."""
        return _five_tuple(
            self.unwrapped_env.multistep(
                [int(action) for action in actions],
                observation_spaces=list(observation_spaces)
                if observation_spaces is not None
                else None,
                reward_spaces=list(reward_spaces) if reward_spaces is not None else None,
            )
        )

    def fork(self) -> CompilerGymEnv:
        """Return a second environment in the same state. Close both."""
        return CompilerGymEnv(self.unwrapped_env.fork())

    def commandline(self) -> str:
        """Return CompilerGym's command line for LLVM 10's `opt`."""
        return str(self.unwrapped_env.commandline())

    def validate(self, state: Any = None) -> Any:
        """Return the result of CompilerGym's own validation."""
        return self.unwrapped_env.validate(state)

    def render(self) -> str | None:
        """Return CompilerGym's text rendering."""
        shown = self.unwrapped_env.render(mode="ansi")
        return None if shown is None else str(shown)

    def close(self) -> None:
        """End CompilerGym's service process."""
        self.unwrapped_env.close()

    def __enter__(self) -> CompilerGymEnv:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def as_gymnasium(space: Any) -> gymnasium.Space[Any]:
    """Convert a space of gym (≤ 0.21) or CompilerGym to Gymnasium's; `Opaque` for other kinds."""
    if isinstance(space, gymnasium.Space):
        return space
    match type(space).__name__:
        case "Box":
            return gymnasium.spaces.Box(
                space.low, space.high, shape=space.shape, dtype=space.dtype
            )
        case "Discrete" | "NamedDiscrete":
            return gymnasium.spaces.Discrete(int(space.n))
        case "Dict":
            return gymnasium.spaces.Dict(
                {name: as_gymnasium(part) for name, part in space.spaces.items()}
            )
        case "Tuple":
            return gymnasium.spaces.Tuple([as_gymnasium(part) for part in space.spaces])
        case _:
            return Opaque(object)


def _five_tuple(
    four_tuple: tuple[Any, Any, bool, dict[str, Any]],
) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
    observation, reward, done, info = four_tuple
    truncated = bool(info.get("TimeLimit.truncated", False))
    return observation, reward, bool(done) and not truncated, truncated, info
