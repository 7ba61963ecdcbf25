"""What an agent needs of an environment of passes: the part that ours and CompilerGym's own have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol


class Names(Protocol):
    """An action space with names."""

    names: list[str]

    def __getitem__(self, name: str) -> int:
        """Index of an action."""
        ...


class View(Protocol):
    """Observations or rewards by name."""

    def __getitem__(self, name: str) -> Any:
        """Raises for an unknown name."""
        ...


class PassEnvironment(Protocol):
    """An episode starts at the unoptimised module; each action is a pass."""

    episode_reward: float

    @property
    def action_space(self) -> Names:
        """The passes."""
        ...

    @property
    def observation(self) -> View:
        """The current state in any space."""
        ...

    @property
    def reward(self) -> View:
        """The last step's reward in any space."""
        ...

    @property
    def actions(self) -> list[int]:
        """Passes of this episode."""
        ...

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """(observation, info)."""
        ...

    def step(self, action: int) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """(observation, reward, terminated, truncated, info)."""
        ...

    def multistep(
        self,
        actions: Iterable[int],
        observation_spaces: Sequence[str] | None = None,
        reward_spaces: Sequence[str] | None = None,
    ) -> tuple[Any, Any, bool, bool, Mapping[str, Any]]:
        """Several passes, looked at once."""
        ...

    def fork(self) -> PassEnvironment:
        """Another environment in the same state."""
        ...

    def commandline(self) -> str:
        """The line that repeats the state."""
        ...

    def close(self) -> None:
        """End it."""
        ...
