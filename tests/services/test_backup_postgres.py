"""Backup of a PostgreSQL database that is being written, and restores of it."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from pathlib import Path

import psycopg
import pytest

from services.backup import create, restore
from services.backup_postgres import PostgresDatabase
from services.backup_types import BackupRefused
from services.store.sql_store import SqlStore
from services.store.types import ArtifactRecord
from tests.contracts.store import DONE, claim_one, new_job
from tests.postgres import PostgresServer, postgres_server, postgres_url
from trimtab.results import JobState

__all__ = ["postgres_server", "postgres_url"]
pytestmark = pytest.mark.postgres


def stored_file(data: Path, content: bytes) -> str:
    name = hashlib.sha256(content).hexdigest()
    place = data / "blobs" / name[:2] / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return f"sha256:{name}"


async def write(
    url: str, data: Path, started: threading.Event, done: threading.Event
) -> int:
    """Submit jobs, run some, store files; returns the number of jobs."""
    store = SqlStore.on_postgres(url)
    await store.open()
    number = 0
    while number < 5 or not done.is_set():
        digest = stored_file(data, f"file {number}".encode())
        now_us = await store.now_us()
        file = ArtifactRecord(
            digest=digest,
            tenant="t",
            name="a.lp",
            media_type="text/plain",
            size_bytes=8,
            created_us=now_us,
        )
        await store.put_artifact(file)
        await store.submit(new_job())
        claim = await claim_one(store)
        if number % 2:  # the others are left running
            await store.complete(claim.job.id, claim.fence, DONE)
        number += 1
        if number == 3:
            started.set()
    await store.close()
    return number


def test_a_database_that_is_being_written(
    postgres_server: PostgresServer, postgres_url: str, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "admin.key").write_text("tt_secret")
    started, done, written = threading.Event(), threading.Event(), 0

    def writer() -> None:
        nonlocal written
        written = asyncio.run(write(postgres_url, data, started, done))

    thread = threading.Thread(target=writer)
    thread.start()
    try:
        assert started.wait(60)
        source = PostgresDatabase(postgres_url)
        manifest = create(data, tmp_path / "b.tar", database=source)
    finally:
        done.set()
        thread.join()
    assert 3 <= manifest.jobs <= written
    assert manifest.jobs <= manifest.files <= manifest.jobs + 1  # a file is stored first

    target = postgres_server.fresh_database()
    new = tmp_path / "new"
    assert restore(tmp_path / "b.tar", new, database=PostgresDatabase(target)) == manifest
    assert (new / "admin.key").read_text() == "tt_secret"
    with psycopg.connect(target) as connection:
        torn = connection.execute(
            "SELECT count(*) FROM job WHERE last_seq <> "
            "(SELECT count(*) FROM event WHERE event.job_id = job.id)"
        ).fetchone()
    assert torn == (0,)
    asyncio.run(goes_on(target, manifest.jobs))

    with pytest.raises(BackupRefused, match="expected a folder without"):
        restore(tmp_path / "b.tar", new, database=PostgresDatabase(target))
    with pytest.raises(BackupRefused, match="expected an empty one, got"):
        restore(tmp_path / "b.tar", tmp_path / "c", database=PostgresDatabase(target))
    with pytest.raises(BackupRefused, match="expected a backup of SQLite, got"):
        restore(tmp_path / "b.tar", tmp_path / "c")


async def goes_on(url: str, jobs: int) -> None:
    """A server on the restored database takes back what was running, and takes new jobs."""
    store = SqlStore.on_postgres(url)
    await store.open()
    counts = await store.counts()
    assert sum(counts.values()) == jobs
    job = (await store.submit(new_job())).job
    assert (await store.get(job.id)).state is JobState.QUEUED
    await store.close()


def test_a_missing_file_or_server_is_named(postgres_url: str, tmp_path: Path) -> None:
    with pytest.raises(BackupRefused, match="PostgreSQL: "):
        create(
            tmp_path,
            tmp_path / "b.tar",
            database=PostgresDatabase("postgresql://u:secret@127.0.0.1:1/x"),
        )
    with pytest.raises(BackupRefused, match="alembic_version"):
        create(tmp_path, tmp_path / "b.tar", database=PostgresDatabase(postgres_url))
    assert list(tmp_path.iterdir()) == [], "no remains"
