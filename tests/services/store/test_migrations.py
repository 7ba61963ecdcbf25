"""Migrations: equal to the tables on both databases, and from every released schema."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, make_url

from services.store import migrate
from services.store.sql_store import SqlStore
from services.store.tables import Base
from tests.contracts.store import DONE, Clock, claim_one, key, new_job
from trimtab.results import JobState

DUMPS = sorted((Path(__file__).parent / "stored").glob("*.sql"))


def drift(conn: Connection) -> list[Any]:
    """Return the differences that `alembic check` would report."""
    context = MigrationContext.configure(conn, opts={"compare_type": True})
    return list(compare_metadata(context, Base.metadata))


def test_the_newest_revision_is_the_one_the_store_expects() -> None:
    config = Config()
    config.set_main_option(
        "script_location", str(Path(migrate.__file__).with_name("migrations"))
    )
    script = ScriptDirectory.from_config(config)
    assert script.get_heads() == [migrate.HEAD]
    # Every released revision keeps a stored database.
    assert [path.stem for path in DUMPS] == sorted(
        revision.revision for revision in script.walk_revisions()
    )


def test_sqlite_has_the_tables_the_code_has(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/x")
    with engine.begin() as conn:
        migrate.upgrade(conn)
        migrate.upgrade(conn)  # nothing more to do
        assert drift(conn) == []
        conn.exec_driver_sql("ALTER TABLE job DROP COLUMN phase")
        assert drift(conn)  # the check detects differences
    engine.dispose()


@pytest.mark.postgres
def test_postgres_has_the_tables_the_code_has(postgres_url: str) -> None:
    engine = create_engine(make_url(postgres_url).set(drivername="postgresql+psycopg"))
    with engine.begin() as conn:
        migrate.upgrade(conn)
        assert drift(conn) == []
    engine.dispose()


@pytest.mark.parametrize("dump", DUMPS, ids=lambda path: path.stem)
def test_a_stored_database_comes_up_with_its_data(dump: Path, tmp_path: Path) -> None:
    path = tmp_path / "trimtab.sqlite3"
    raw = sqlite3.connect(path)
    raw.executescript(dump.read_text())
    raw.close()

    async def main() -> None:
        store = SqlStore.on_sqlite(path, clock=Clock())
        await store.open()
        assert (
            await store._runner.read(lambda tx: migrate.revision(tx.conn)) == migrate.HEAD
        )
        counts = await store.counts()
        assert {state: n for state, n in counts.items() if n} == {
            JobState.QUEUED: 1,
            JobState.RUNNING: 1,
            JobState.SUCCEEDED: 1,
        }
        done = await store.get("job_00000000000000000000000000")
        assert (done.result, done.labels, done.best) == (
            DONE.result,
            {"n": "0"},
            {"elapsed_s": 0.1, "objective": 2.5},
        )
        assert [e.seq for e in await store.events(done.id)] == [1, 2, 3, 4]
        assert [a.outcome for a in await store.attempts(done.id)] == ["result"]
        assert (await store.submit(new_job(), key("kept", ttl_s=1))).job.id == done.id
        assert len(await store.outbox_due()) == 1
        assert await store.stale_writes() == 1
        assert [j.id for j in await store.sweep()] == ["job_00000000000000000000000001"]
        claim = await claim_one(store)
        await store.complete(claim.job.id, claim.fence, DONE)
        assert (
            await store._runner.read(
                lambda tx: tx.conn.exec_driver_sql("PRAGMA foreign_key_check").all()
            )
            == []
        )
        await store.close()

    asyncio.run(main())
