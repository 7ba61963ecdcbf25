"""Translate database errors: unavailable, out of space, or a bug (left unchanged)."""

from __future__ import annotations

import sqlite3
from typing import Any

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.errors import InsufficientStorage, ServiceError, StoreUnavailable

_SQLITE_LATER = (
    "BUSY",
    "LOCKED",
    "IOERR",
    "READONLY",
    "CANTOPEN",
    "PROTOCOL",
    "NOMEM",
    "INTERRUPT",
)
_SQLITE_BROKEN = ("CORRUPT", "NOTADB")
# https://www.postgresql.org/docs/15/errcodes-appendix.html
_POSTGRES_NO_SPACE = ("53100",)
# Serialization failure and deadlock: rolled back, safe to run again.
_POSTGRES_AGAIN = ("40001", "40P01")
_POSTGRES_LATER = ("08", "25006", "53", "55P03", "57", "58", "XX")


def translate(error: Exception) -> Exception:
    """Return the service's error for a database error; other errors unchanged."""
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, PoolTimeout):
        return StoreUnavailable("all database connections are busy")
    if isinstance(error, sqlite3.Error):
        return _sqlite(error) or error
    if isinstance(error, DBAPIError):
        if isinstance(error.orig, sqlite3.Error):
            return _sqlite(error.orig) or error
        return _postgres(error) or error
    return error


def is_retryable(error: Exception) -> bool:
    """Return True if PostgreSQL rolled back because of a conflict: run it again."""
    return isinstance(error, DBAPIError) and _sqlstate(error.orig) in _POSTGRES_AGAIN


def _sqlite(error: sqlite3.Error) -> ServiceError | None:
    name = getattr(error, "sqlite_errorname", "").removeprefix("SQLITE_")
    if name == "FULL" or name == "IOERR_WRITE":
        return InsufficientStorage(
            f"SQLite could not write ({error}); nothing was stored",
            fix="free space on the disk of the data folder; the service then recovers by itself",
            retry_after_s=5.0,
        )
    if name.startswith(_SQLITE_LATER):
        return StoreUnavailable(
            f"SQLite is unavailable: {error} ({name}); nothing was stored"
        )
    if name.startswith(_SQLITE_BROKEN):
        return StoreUnavailable(
            f"the SQLite file is damaged: {error}",
            retry_after_s=60.0,
            fix="restore the file from a backup",
        )
    return None


def _postgres(error: DBAPIError) -> ServiceError | None:
    state = _sqlstate(error.orig)
    if state in _POSTGRES_NO_SPACE:
        return InsufficientStorage(
            "PostgreSQL's disk is full; nothing was stored", retry_after_s=5.0
        )
    # Without a state, the connection broke or could not be made.
    if (
        error.connection_invalidated
        or state is None
        or state.startswith(_POSTGRES_LATER)
        or state in _POSTGRES_AGAIN
    ):
        return StoreUnavailable(f"PostgreSQL is unavailable: {_first_line(error.orig)}")
    return None


def _sqlstate(error: Any) -> str | None:
    state: str | None = getattr(error, "sqlstate", None)
    return state


def _first_line(error: Any) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
