"""The protocol of all search methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from search.domains.antenna.design import Design


class Searcher(Protocol):
    """A method that proposes legal designs and learns from their scores (higher is better)."""

    def ask(self, count: int) -> list[Design]:
        """Return at most `count` designs, at least one."""
        ...

    def tell(self, designs: Sequence[Design], scores: Sequence[float]) -> None:
        """Take the scores of the designs that were asked for last, in their order."""
        ...
