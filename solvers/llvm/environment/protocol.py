"""Interface that our environment and the adapter to CompilerGym's have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol


class Names(Protocol):
    """Action space with names."""

    names: list[str]

    def __getitem__(self, name: str) -> int:
        """Return the index of an action."""
        ...


class View(Protocol):
    """Observations or rewards by name."""

    def __getitem__(self, name: str) -> Any:
        """Return one of them. Raises ValueError or KeyError for an unknown name."""
        ...


class PassEnvironment(Protocol):
    """Environment whose episodes start at the unoptimised module and whose actions are passes."""

    episode_reward: float

    @property
    def action_space(self) -> Names:
        """Passes that an agent can choose."""
        ...

    @property
    def observation(self) -> View:
        """Observations of the current state by name."""
        ...

    @property
    def reward(self) -> View:
        """Rewards of the last step by name."""
        ...

    @property
    def actions(self) -> list[int]:
        """Indices of the passes applied in this episode."""
        ...

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode; return (observation, info)."""
        ...

    def step(self, action: int) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Apply one pass; return (observation, reward, terminated, truncated, info)."""
        ...

    def multistep(
        self,
        actions: Iterable[int],
        observation_spaces: Sequence[str] | None = None,
        reward_spaces: Sequence[str] | None = None,
    ) -> tuple[Any, Any, bool, bool, Mapping[str, Any]]:
        """Apply several passes; observe and score once."""
        ...

    def fork(self) -> PassEnvironment:
        """Return a second environment in the same state."""
        ...

    def commandline(self) -> str:
        """Return the command line that repeats the state."""
        ...

    def close(self) -> None:
        """End the environment's process."""
        ...
