"""Statements of the submit path, compiled to text once.

SQLAlchemy prepares every execution of a statement anew. For a row of eight columns that took
29 µs, and SQLite took 6 µs; a submit inserts five rows. On PostgreSQL each statement is a round
trip, so single rows of several tables travel as one.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Dialect, Float, Table, bindparam, insert
from sqlalchemy.dialects.postgresql import psycopg
from sqlalchemy.dialects.sqlite import pysqlite
from sqlalchemy.sql.elements import ClauseElement

from services.store.sql.tx import Tx

Row = Mapping[str, Any]

_DIALECTS: Mapping[str, Dialect] = {
    "sqlite": pysqlite.dialect(paramstyle="named"),
    "postgresql": psycopg.dialect(),  # type: ignore[no-untyped-call]
}


@dataclass(frozen=True, kw_only=True)
class NewRows:
    """Rows for one table, all with the same columns."""

    table: Table
    rows: Sequence[Row]


def insert_rows(tx: Tx, batches: Iterable[NewRows]) -> None:
    """Insert rows, in order: a table comes after those that it refers to."""
    filled = [batch for batch in batches if batch.rows]
    if (
        len(filled) > 1
        and tx.conn.dialect.name == "postgresql"
        and all(len(batch.rows) == 1 for batch in filled)
    ):
        _insert_together(tx, filled)
        return
    for batch in filled:
        sql = _insert_text(tx.conn.dialect.name, batch.table, tuple(batch.rows[0]))
        if len(batch.rows) == 1:
            execute_text(tx, sql, batch.rows[0])
        else:
            tx.conn.exec_driver_sql(sql, list(batch.rows))


def execute_text(tx: Tx, sql: str, row: Row) -> Sequence[Any] | None:
    """Execute a statement of `text_of`; return its first row, None without one.

    Errors of SQLite are the driver's own, which `faults.translate` knows too.
    """
    driver = tx.conn.connection.driver_connection
    if isinstance(driver, sqlite3.Connection):
        first: tuple[Any, ...] | None = driver.execute(sql, row).fetchone()
        return first
    result = tx.conn.exec_driver_sql(sql, dict(row))
    return result.first() if result.returns_rows else None


def text_of(statement: ClauseElement, dialect: str) -> str:
    """Return a statement as text for `execute_text`, with its parameters by name."""
    return str(statement.compile(dialect=_DIALECTS[dialect]))


def _insert_together(tx: Tx, batches: Sequence[NewRows]) -> None:
    """Insert one row for each table in one statement.

    PostgreSQL checks foreign keys at its end, so the order within does not matter.
    """
    shape = tuple((batch.table, tuple(batch.rows[0])) for batch in batches)
    values = {
        f"{column}_{number}": value
        for number, batch in enumerate(batches)
        for column, value in batch.rows[0].items()
    }
    execute_text(tx, _joint_text(shape), values)


@functools.cache
def _insert_text(dialect: str, table: Table, columns: tuple[str, ...]) -> str:
    _require_plain(table, columns, _DIALECTS[dialect])
    # `inline`: without RETURNING for a serial column.
    compiled = (
        insert(table)
        .inline()
        .compile(dialect=_DIALECTS[dialect], column_keys=list(columns))
    )
    return str(compiled)


@functools.cache
def _joint_text(shape: tuple[tuple[Table, tuple[str, ...]], ...]) -> str:
    """Return one PostgreSQL statement that inserts a row into each table."""
    texts = []
    for number, (table, columns) in enumerate(shape):
        _require_plain(table, columns, _DIALECTS["postgresql"])
        values: dict[str, Any] = {
            column: bindparam(f"{column}_{number}") for column in columns
        }
        texts.append(text_of(insert(table).inline().values(values), "postgresql"))
    *first, last = texts
    named = ", ".join(f"part_{number} AS ({sql})" for number, sql in enumerate(first))
    return f"WITH {named} {last}"


def _require_plain(table: Table, columns: Iterable[str], dialect: Dialect) -> None:
    """Raise TypeError for a column whose values SQLAlchemy would convert: text does not."""
    for name in columns:
        kind = table.c[name].type.dialect_impl(dialect)
        # That of Float is for decimals.
        if kind.bind_processor(dialect) is not None and not isinstance(kind, Float):
            raise TypeError(
                f"{table.name}.{name}: expected a column that takes values as they are, "
                f"got {kind!r}"
            )
