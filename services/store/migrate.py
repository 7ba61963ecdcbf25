"""Bring a database to the newest schema. One Alembic history serves both databases; it runs when the store opens."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

HEAD = "0003"  # newest revision; a test compares it with the history
# Any number will do, as long as every trimtab uses the same one.
_ADVISORY_LOCK = 7_206_412_001


def upgrade(conn: Connection) -> None:
    """Inside the caller's transaction and under a lock, so that two starting servers do not migrate at once.

    SQLite's caller holds the file's lock and has begun a transaction; PostgreSQL takes an advisory lock here.
    """
    if conn.dialect.name == "postgresql":
        conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    if revision(conn) == HEAD:
        return
    # Imported late: a start on a current database needs no Alembic.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = conn
    command.upgrade(config, "head")


def revision(conn: Connection) -> str | None:
    """The schema's revision; None in an empty database."""
    if not inspect(conn).has_table("alembic_version"):
        return None
    found: str | None = conn.execute(
        text("SELECT version_num FROM alembic_version")
    ).scalar_one_or_none()
    return found
