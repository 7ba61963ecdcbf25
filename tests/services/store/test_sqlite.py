"""SQLite fulfils the store contract, survives file faults, and has exactly one writer."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from services.errors import InsufficientStorage, ServiceError, StoreUnavailable
from services.store.sql_store import SqlStore
from services.store.types import JobStore
from tests.contracts.store import Clock, StoreContract, claim_one, key, new_job
from trimtab.results import JobState


class TestSqliteStore(StoreContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.path = tmp_path / "trimtab.sqlite3"

    def make(self, clock: Callable[[], int]) -> JobStore:
        return SqlStore.on_sqlite(self.path, clock=clock)


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        clock = Clock()
        store = SqlStore.on_sqlite(tmp_path / "x.sqlite3", clock=clock)
        await store.open()
        first = await store.submit(new_job(), key())
        claim = await claim_one(store)
        with pytest.raises(ServiceError):
            await store.renew(first.job.id, claim.fence + 1, lease_s=1)
        await store.close()
        with pytest.raises(StoreUnavailable, match="closed"):
            await store.get(first.job.id)
        store = SqlStore.on_sqlite(tmp_path / "x.sqlite3", clock=clock)
        await store.open()
        again = await store.submit(new_job(), key())
        assert again.replayed
        assert again.job == claim.job
        assert await store.stale_writes() == 1
        await store.close()

    asyncio.run(main())


def test_the_file_is_its_users_alone_and_durable_by_setting(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.sqlite3"

    async def main() -> None:
        store = SqlStore.on_sqlite(path)
        await store.open()
        modes = await store._runner.write(
            lambda tx: [
                tx.conn.exec_driver_sql(f"PRAGMA {p}").scalar()
                for p in ("journal_mode", "synchronous")
            ]
        )
        assert modes == ["wal", 2]
        with pytest.raises(StoreUnavailable, match="READONLY"):
            await store._runner.read(
                lambda tx: tx.conn.exec_driver_sql("DELETE FROM job")
            )
        await store.close()

    asyncio.run(main())
    assert path.stat().st_mode & 0o077 == 0


def test_an_operation_that_fails_leaves_its_group_alone(tmp_path: Path) -> None:
    async def main() -> None:
        store = SqlStore.on_sqlite(tmp_path / "x.sqlite3")
        await store.open()

        def half_written(tx: object) -> None:
            insert = "INSERT INTO counter VALUES ('half', 1)"
            tx.conn.exec_driver_sql(insert)  # type: ignore[attr-defined]
            raise RuntimeError("on purpose")

        # Queued in one tick of the loop, so they share groups.
        answers = await asyncio.gather(
            *(
                store._runner.write(half_written)
                if n % 3 == 0
                else store.submit(new_job())
                for n in range(150)
            ),
            return_exceptions=True,
        )
        assert sum(isinstance(answer, RuntimeError) for answer in answers) == 50
        assert (await store.counts())[JobState.QUEUED] == 100
        await store.close()

    asyncio.run(main())
    with sqlite3.connect(tmp_path / "x.sqlite3") as raw:
        assert raw.execute(
            "SELECT count(*) FROM counter WHERE name = 'half'"
        ).fetchone() == (0,)
    raw.close()


def test_a_full_disk_refuses_whole_writes_and_heals(tmp_path: Path) -> None:
    async def main() -> None:
        store = SqlStore.on_sqlite(tmp_path / "x.sqlite3")
        await store.open()

        async def pragma(text: str) -> int:
            return await store._runner.write(
                lambda tx: tx.conn.exec_driver_sql(f"PRAGMA {text}").scalar()
            )

        async def pages(most: int) -> None:
            await pragma(f"max_page_count={most}")

        await pages(await pragma("page_count") + 60)
        acked, refused = [], 0
        big = new_job(spec={"text": "x" * 20_000})
        for _ in range(40):
            answers = await asyncio.gather(
                *(store.submit(big) for _ in range(4)), return_exceptions=True
            )
            for answer in answers:
                if isinstance(answer, InsufficientStorage):
                    refused += 1
                else:
                    assert not isinstance(answer, BaseException), repr(answer)
                    acked.append(answer.job.id)
        assert acked
        assert refused
        await pages(100_000)
        acked.append((await store.submit(big)).job.id)
        assert (await store.counts())[JobState.QUEUED] == len(acked)
        for job_id in acked:
            assert (await store.get(job_id)).spec == big.spec
        await store.close()

    asyncio.run(main())


def test_a_second_process_on_the_same_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite3"
    other = (
        "import asyncio, pathlib, sys\n"
        "from services.store.sql_store import SqlStore\n"
        "asyncio.run(SqlStore.on_sqlite(pathlib.Path(sys.argv[1])).open())\n"
    )

    async def main() -> None:
        store = SqlStore.on_sqlite(path)
        await store.open()
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", other, str(path)],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode != 0
        assert "is open in another process" in done.stderr
        await store.close()
        await store.open()  # the lock was released
        await store.close()

    asyncio.run(main())


def test_a_file_that_is_no_database_is_refused_clearly(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite3"
    path.write_bytes(b"this is not a database" * 100)

    async def main() -> None:
        store = SqlStore.on_sqlite(path)
        with pytest.raises(StoreUnavailable, match="damaged"):
            await store.open()
        await store.close()
        path.unlink()
        await store.open()  # and it works once the file is replaced
        assert not (await store.submit(new_job())).replayed
        await store.close()

    asyncio.run(main())
    folder = tmp_path / "file"
    folder.write_text("")
    with pytest.raises(StoreUnavailable, match="data folder"):
        asyncio.run(SqlStore.on_sqlite(folder / "x.sqlite3").open())
