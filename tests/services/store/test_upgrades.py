"""Upgrades from every stored schema with jobs running, 0 lost, on both databases."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import create_engine, make_url

from services.store import migrate
from services.store.sql_store import SqlStore
from tests.contracts.store import DONE, Clock, claim_one, new_job
from trimtab.results import JobState

DUMPS = sorted((Path(__file__).parent / "stored").glob("*.sql"))
QUEUED = 40
RUNNING = "job_00000000000000000000000001"


async def goes_on(store: Any, clock: Clock, ids: list[str]) -> None:
    """Run every job to its end: the one whose worker went away as well."""
    await store.open()
    revision = await store._runner.read(lambda tx: migrate.revision(tx.conn))
    assert revision == migrate.HEAD
    before = await store.counts()
    assert before[JobState.RUNNING] == 1
    swept = await store.sweep()
    assert [job.id for job in swept] == [RUNNING]
    ended = set()
    clock.forward(3600)  # beyond every back-off
    for _ in range(len(ids) + 1):
        claim = await claim_one(store)
        await store.complete(claim.job.id, claim.fence, DONE)
        ended.add(claim.job.id)
    after = await store.counts()
    assert after[JobState.SUCCEEDED] == before[JobState.SUCCEEDED] + len(ended)
    assert sum(after.values()) == sum(before.values())
    assert set(ids) <= ended
    new = (await store.submit(new_job())).job
    assert (await store.get(new.id)).state is JobState.QUEUED
    await store.close()


def queued_rows(database: sqlite3.Connection) -> list[str]:
    """Copy the queued job of the dump, as old versions wrote it."""
    cursor = database.cursor()
    cursor.execute("SELECT * FROM job WHERE state = 'QUEUED'")
    names = [column[0] for column in cursor.description]
    row = dict(zip(names, cursor.fetchone(), strict=True))
    ids = [row["id"]]
    marks = ", ".join(["?"] * len(names))
    for number in range(QUEUED):
        ids.append(f"job_{number + 100:026d}")
        copy = {**row, "id": ids[-1]}
        cursor.execute(
            f"INSERT INTO job ({', '.join(names)}) VALUES ({marks})", tuple(copy.values())
        )
        cursor.execute("INSERT INTO job_spec (job_id, spec) VALUES (?, '{}')", (ids[-1],))
    database.commit()
    return ids


@pytest.mark.parametrize("dump", DUMPS, ids=lambda path: path.stem)
def test_sqlite_goes_on_after_an_upgrade(dump: Path, tmp_path: Path) -> None:
    path = tmp_path / "trimtab.sqlite3"
    raw = sqlite3.connect(path)
    raw.executescript(dump.read_text())
    ids = queued_rows(raw)
    raw.close()
    clock = Clock()
    clock.forward(3600)
    asyncio.run(goes_on(SqlStore.on_sqlite(path, clock=clock), clock, ids))


@pytest.mark.postgres
@pytest.mark.parametrize("dump", DUMPS, ids=lambda path: path.stem)
def test_postgres_goes_on_after_an_upgrade(dump: Path, postgres_url: str) -> None:
    engine = create_engine(make_url(postgres_url).set(drivername="postgresql+psycopg"))
    with engine.begin() as conn:
        migrate.upgrade(conn, dump.stem)
    engine.dispose()
    ids = copy_rows(dump, postgres_url)
    clock = Clock()
    clock.forward(3600)
    asyncio.run(goes_on(SqlStore.on_postgres(postgres_url, clock=clock), clock, ids))


def copy_rows(dump: Path, url: str) -> list[str]:
    """Copy a stored database into one of PostgreSQL with the same schema."""
    source = sqlite3.connect(":memory:")
    source.executescript(dump.read_text())
    ids = queued_rows(source)
    tables = source.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' "
        "AND name <> 'alembic_version'"
    ).fetchall()
    with psycopg.connect(url) as target:
        target.execute("SET session_replication_role = replica")  # rows in any order
        for (table,) in tables:
            read = source.execute(f'SELECT * FROM "{table}"')
            names = [column[0] for column in read.description]
            copy = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                sql.Identifier(table),
                sql.SQL(", ").join(map(sql.Identifier, names)),
                sql.SQL(", ").join(sql.Placeholder() * len(names)),
            )
            rows = read.fetchall()
            if rows:
                target.cursor().executemany(copy, rows)
            # A serial column goes on behind the copied rows.
            sequence = target.execute(
                "SELECT pg_get_serial_sequence(%s, column_name) FROM "
                "information_schema.columns WHERE table_name = %s AND column_name = 'id'",
                (table, table),
            ).fetchone()
            if sequence and sequence[0] and rows:
                target.execute("SELECT setval(%s, %s)", (sequence[0], 10_000))
    source.close()
    return ids
