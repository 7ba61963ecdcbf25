"""The runner interface: run operations in transactions of a database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from services.store.sql.tx import Tx

T = TypeVar("T")
Operation = Callable[[Tx], T]


class Runner(Protocol):
    """Runs operations in transactions. An operation may run several times; one run commits."""

    dialect: str

    async def open(self) -> None:
        """Connect and migrate to the newest schema."""
        ...

    async def close(self) -> None:
        """Finish the accepted operations, then disconnect."""
        ...

    async def write(self, operation: Operation[T]) -> T:
        """Run a writing operation; returns once it is durable."""
        ...

    async def read(self, operation: Operation[T]) -> T:
        """Run a reading operation, which sees every write that has returned."""
        ...
