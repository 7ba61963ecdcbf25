"""The argument of every operation: a connection in a transaction, with clock and upsert.

Operations are plain functions `op(tx, ...)`, written once in SQLAlchemy Core for both
databases. SQLite ignores FOR UPDATE, which is correct: it has a single writer.
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
        """Return the time of the database."""
        return self.clock(self.conn)

    def upsert(self, table: Any) -> Any:
        """Return an INSERT that supports ON CONFLICT, in the dialect of the database."""
        return (
            postgresql.insert(table)
            if self.conn.dialect.name == "postgresql"
            else sqlite.insert(table)
        )


def postgres_clock(conn: Connection) -> int:
    """Return the server's time, not the transaction's start: waiting must not extend a lease."""
    now: int = conn.execute(_POSTGRES_NOW).scalar_one()
    return now


def process_clock(clock: Callable[[], int]) -> Callable[[Connection], int]:
    """Return the clock of the single writer; tests pass one that stands still."""
    return lambda _: clock()
