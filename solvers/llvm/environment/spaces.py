"""Gymnasium spaces that CompilerGym's vocabulary needs beside Gymnasium's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium
import numpy as np

from solvers.llvm.environment.actions import NOTHING, Action, parse_commandline, pipeline_of

LARGEST = np.iinfo(np.int64).max


def counts(size: int | None = None) -> gymnasium.spaces.Box:
    """Non-negative whole numbers: a vector of `size`, or one number (shape ()) when it is None."""
    return gymnasium.spaces.Box(
        0, LARGEST, shape=() if size is None else (size,), dtype=np.int64
    )


class NamedDiscrete(gymnasium.spaces.Discrete):  # type: ignore[misc]  # Gymnasium is an extra: Any to the type checker
    """`Discrete` over named things, as CompilerGym's. `space["mem2reg"]` is the index, `space.names` the names."""

    def __init__(
        self, names: Sequence[str], seed: int | np.random.Generator | None = None
    ) -> None:
        if not names:
            raise ValueError(
                "an action space needs at least one action; came an empty list"
            )
        self.names = list(names)
        super().__init__(len(self.names), seed=seed)

    def __getitem__(self, name: str) -> int:
        """Index of the action `name`. Raises KeyError naming near ones."""
        if name not in self.names:
            near = [known for known in self.names if name.partition("<")[0] in known]
            raise KeyError(
                f"{name!r} is none of the {len(self.names)} actions; near: {', '.join(near) or 'nothing'}"
            )
        return self.names.index(name)


class PassSpace(NamedDiscrete):
    """The action space of `CompilerEnv`: passes, and the pipelines made of them."""

    def __init__(
        self, actions: Sequence[Action], seed: int | np.random.Generator | None = None
    ) -> None:
        self.actions = tuple(actions)
        super().__init__([action.name for action in actions], seed=seed)

    def to_string(self, actions: Iterable[int]) -> str:
        """The pipeline text that runs these passes."""
        return pipeline_of(self.actions[int(i)] for i in actions)

    def from_string(self, text: str) -> list[int]:
        """Indices of the passes in a pipeline or an `opt` line of this environment. Raises ValueError for other passes."""
        return parse_commandline(text or NOTHING, self.actions)


class Opaque(gymnasium.Space[Any]):  # type: ignore[misc]
    """Values of one Python type that no array describes: a program graph, IR text. It cannot be sampled."""

    def __init__(self, kind: type) -> None:
        self.kind = kind
        super().__init__()

    def contains(self, x: Any) -> bool:
        """Whether `x` is of the type."""
        return isinstance(x, self.kind)

    def sample(self, mask: Any = None, probability: Any = None) -> Any:
        """Raises NotImplementedError: a random program is not a meaningful observation."""
        raise NotImplementedError(
            f"values of {self.kind.__name__} are observed, never sampled"
        )

    @property
    def is_np_flattenable(self) -> bool:
        """False."""
        return False

    def __repr__(self) -> str:
        return f"Opaque({self.kind.__name__})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Opaque) and other.kind is self.kind

    __hash__ = None  # type: ignore[assignment]  # as Gymnasium's other spaces
