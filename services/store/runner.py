"""How operations reach a database: one door, two implementations (`sqlite_runner`, `postgres_runner`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from services.store.sql.tx import Tx

T = TypeVar("T")
Operation = Callable[[Tx], T]


class Runner(Protocol):
    """Runs an operation in a transaction. An operation may run more than once; only one run is committed."""

    dialect: str

    async def open(self) -> None:
        """Connect and migrate."""
        ...

    async def close(self) -> None:
        """Finish what was accepted, then disconnect."""
        ...

    async def write(self, operation: Operation[T]) -> T:
        """Returns once the transaction is durable."""
        ...

    async def read(self, operation: Operation[T]) -> T:
        """Sees every write that has returned."""
        ...
