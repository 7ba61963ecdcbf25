"""Schema migration: one Alembic history for both databases, applied when a store opens."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

HEAD = "0008"  # newest revision; a test compares it with the history
# Arbitrary, but the same in every version of trimtab.
_ADVISORY_LOCK = 7_206_412_001


def upgrade(conn: Connection, to: str = HEAD) -> None:
    """Migrate in the caller's transaction, under a lock against a second server.

    to: a revision; tests make databases of older ones.

    The caller of SQLite holds the lock of the file; for PostgreSQL an advisory lock is taken here.
    """
    if conn.dialect.name == "postgresql":
        conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    if revision(conn) == to:
        return
    # Imported late: a start on a current database needs no Alembic.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = conn
    command.upgrade(config, to)


def revision(conn: Connection) -> str | None:
    """Return the revision of the schema; None for an empty database."""
    if not inspect(conn).has_table("alembic_version"):
        return None
    current: str | None = conn.execute(
        text("SELECT version_num FROM alembic_version")
    ).scalar_one_or_none()
    return current
