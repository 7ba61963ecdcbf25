"""What an operation is given: a connection inside a transaction, and the two things in which the databases differ.

Operations are plain functions `op(tx, ...)`, written once as SQLAlchemy Core. SQLite ignores FOR UPDATE, which is right:
its single writer is alone anyway.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Connection, cast, extract, func, select
from sqlalchemy.dialects import postgresql, sqlite

_POSTGRES_NOW = select(
    cast(extract("epoch", func.clock_timestamp()) * 1_000_000, BigInteger)
)


@dataclass(frozen=True, kw_only=True)
class Tx:
    """One transaction."""

    conn: Connection
    clock: Callable[[Connection], int]
    new_id: Callable[[], str]

    def now_us(self) -> int:
        """The database's clock."""
        return self.clock(self.conn)

    def upsert(self, table: Any) -> Any:
        """INSERT that knows ON CONFLICT: the same words in both dialects, but not the same class."""
        return (
            postgresql.insert(table)
            if self.conn.dialect.name == "postgresql"
            else sqlite.insert(table)
        )


def postgres_clock(conn: Connection) -> int:
    """The server's clock, not the transaction's start: a long wait for a lock must not stretch a lease."""
    now: int = conn.execute(_POSTGRES_NOW).scalar_one()
    return now


def process_clock(clock: Callable[[], int]) -> Callable[[Connection], int]:
    """The single writer's own clock; tests pass one that stands still."""
    return lambda _: clock()
