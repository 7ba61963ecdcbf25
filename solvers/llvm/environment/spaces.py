"""Gymnasium spaces of CompilerGym's vocabulary, beyond Gymnasium's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium
import numpy as np

from solvers.llvm.environment.actions import (
    NOTHING,
    Action,
    parse_commandline,
    pipeline_of,
)

LARGEST = np.iinfo(np.int64).max


def counts(size: int | None = None) -> gymnasium.spaces.Box:
    """Return a space of non-negative integers: vectors of `size`, or scalars when it is None."""
    return gymnasium.spaces.Box(
        0, LARGEST, shape=() if size is None else (size,), dtype=np.int64
    )


# Gymnasium is an extra: Any to the type checker.
class NamedDiscrete(gymnasium.spaces.Discrete):  # type: ignore[misc]
    """`Discrete` with names, as CompilerGym's: `space["mem2reg"]` is the index of an action."""

    def __init__(
        self, names: Sequence[str], seed: int | np.random.Generator | None = None
    ) -> None:
        if not names:
            raise ValueError("actions: expected at least one, got none")
        self.names = list(names)
        super().__init__(len(self.names), seed=seed)

    def __getitem__(self, name: str) -> int:
        """Return the index of an action. Raises KeyError, which names similar actions."""
        if name not in self.names:
            similar = [
                action for action in self.names if name.partition("<")[0] in action
            ]
            raise KeyError(
                f"action: expected one of {len(self.names)} names, got {name!r}; "
                f"similar names: {', '.join(similar) or 'none'}"
            )
        return self.names.index(name)


class PassSpace(NamedDiscrete):
    """Action space of `CompilerEnv`: passes, with conversion from and to pipelines."""

    def __init__(
        self, actions: Sequence[Action], seed: int | np.random.Generator | None = None
    ) -> None:
        self.actions = tuple(actions)
        super().__init__([action.name for action in actions], seed=seed)

    def to_string(self, actions: Iterable[int]) -> str:
        """Return the pipeline of these passes."""
        return pipeline_of(self.actions[int(i)] for i in actions)

    def from_string(self, text: str) -> list[int]:
        """Return the passes' indices in a pipeline or an `opt` line of this environment.

        Raises ValueError for other passes.
        """
        return parse_commandline(text or NOTHING, self.actions)


class Opaque(gymnasium.Space[Any]):  # type: ignore[misc]
    """Space of the values of one Python type, such as a program graph. It cannot be sampled."""

    def __init__(self, kind: type) -> None:
        self.kind = kind
        super().__init__()

    def contains(self, x: Any) -> bool:
        """Return whether `x` is of the type."""
        return isinstance(x, self.kind)

    def sample(self, mask: Any = None, probability: Any = None) -> Any:
        """Raise NotImplementedError: a random program is not a meaningful observation."""
        raise NotImplementedError(
            f"observations of type {self.kind.__name__} cannot be sampled"
        )

    @property
    def is_np_flattenable(self) -> bool:
        """False: the values are not arrays."""
        return False

    def __repr__(self) -> str:
        return f"Opaque({self.kind.__name__})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Opaque) and other.kind is self.kind

    __hash__ = None  # type: ignore[assignment]  # as Gymnasium's other spaces
