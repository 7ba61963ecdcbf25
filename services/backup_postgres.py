"""The database part of a backup on PostgreSQL: pg_dump and pg_restore in one snapshot.

pg_dump must be of the server's version or newer. A dump is SQL that pg_restore executes: restore
archives of your own alone.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import make_url

from services.backup_types import BackupRefused, Contents

MEMBER = "database.pgdump"
_LOCKS_S = 30  # pg_dump waits so long for a migration


class PostgresDatabase:
    """A server's database, named by a URL like TRIMTAB_DATABASE_URL."""

    member, comes_last = MEMBER, False

    def __init__(self, url: str) -> None:
        self._url = make_url(url).set(drivername="postgresql")

    def snapshot(self, copy: Path) -> Contents:
        """Dump the database into `copy`, and read its contents in the same snapshot.

        Writers go on meanwhile. Raises BackupRefused.
        """
        with self._connect() as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            (snapshot,) = _row(connection, "SELECT pg_export_snapshot()")
            dump = ["pg_dump", "--format=custom", f"--snapshot={snapshot}"]
            dump += ["--no-owner", "--no-privileges"]
            self._run([*dump, f"--lock-wait-timeout={_LOCKS_S}s", f"--file={copy}"])
            (revision,) = _row(connection, "SELECT version_num FROM alembic_version")
            (jobs,) = _row(connection, "SELECT count(*) FROM job")
            (events,) = _row(connection, "SELECT count(*) FROM event")
            digests = connection.execute(
                "SELECT DISTINCT digest FROM artifact ORDER BY digest"
            ).fetchall()
        return Contents(
            revision=str(revision),
            jobs=int(jobs),
            events=int(events),
            digests=tuple(str(digest) for (digest,) in digests),
        )

    def require_empty(self) -> None:
        """Raise BackupRefused if the database has tables."""
        with self._connect() as connection:
            (tables,) = _row(
                connection,
                "SELECT count(*) FROM pg_tables WHERE schemaname NOT IN "
                "('pg_catalog', 'information_schema')",
            )
        if tables:
            raise BackupRefused(
                f"database {self._url.database}: expected an empty one, got {tables} tables; "
                "make another: CREATE DATABASE, and name it in TRIMTAB_DATABASE_URL"
            )

    def restore(self, dump: Path) -> None:
        """Restore a dump in one transaction. Raises BackupRefused; nothing is written then."""
        restore = ["pg_restore", "--single-transaction", "--exit-on-error"]
        restore += ["--no-owner", "--no-privileges"]
        self._run([*restore, f"--dbname={self._url.database}", str(dump)])

    @contextlib.contextmanager
    def _connect(self) -> Iterator[psycopg.Connection]:
        try:
            with psycopg.connect(self._url.render_as_string(hide_password=False)) as made:
                yield made
        except psycopg.Error as error:
            raise BackupRefused(f"PostgreSQL: {_first_line(str(error))}") from None

    def _run(self, command: list[str]) -> None:
        """Run a program of PostgreSQL; it gets the password in its environment."""
        url = self._url
        named = {
            "PGHOST": url.host or url.query.get("host"),
            "PGPORT": None if url.port is None else str(url.port),
            "PGUSER": url.username,
            "PGPASSWORD": url.password,
            "PGDATABASE": url.database,
            "PGSSLMODE": url.query.get("sslmode"),
            "PGSSLROOTCERT": url.query.get("sslrootcert"),
        }
        environment = os.environ | {
            name: value for name, value in named.items() if isinstance(value, str)
        }
        try:
            done = subprocess.run(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
        except FileNotFoundError:
            raise BackupRefused(
                f"{command[0]}: not found; on Debian: apt-get install postgresql-client"
            ) from None
        if done.returncode != 0:
            raise BackupRefused(f"{command[0]}: {done.stderr.strip()[:1000]}")


def _row(connection: psycopg.Connection, query: str) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row


def _first_line(text: str) -> str:
    return (text.strip().splitlines() or ["no connection"])[0][:300]
