"""PostgreSQL fulfils the store contract and recovers from a crash of the server."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterator
from typing import ClassVar

import psycopg
import pytest
from sqlalchemy import text

from services.errors import Conflict, StoreUnavailable
from services.store.sql_store import SqlStore
from services.store.tables import Base
from services.store.types import After, JobFilter, JobStore
from tests.contracts.store import DONE, StoreContract, claim_one, key, new_job
from tests.contracts.store.graphs import FAILED
from tests.contracts.store.plans import rested, suspend
from tests.postgres import PostgresServer, running_server
from trimtab.results import JobState

pytestmark = pytest.mark.postgres


class TestPostgresStore(StoreContract):
    """All tests share a database: to make one takes most of a test's time."""

    url: ClassVar[str] = ""

    @pytest.fixture(autouse=True)
    def _empty_database(self, postgres_server: PostgresServer) -> None:
        if not self.url:
            type(self).url = postgres_server.fresh_database()
            return
        with psycopg.connect(self.url, autocommit=True) as admin:
            names = ", ".join(f'"{name}"' for name in Base.metadata.tables)
            admin.execute(f"TRUNCATE {names} RESTART IDENTITY CASCADE")

    def make(self, clock: Callable[[], int]) -> JobStore:
        return SqlStore.on_postgres(self.url, clock=clock)


def test_the_servers_clock_decides_leases(postgres_url: str) -> None:
    async def main() -> None:
        store = SqlStore.on_postgres(postgres_url)
        await store.open()
        job = (await store.submit(new_job())).job
        await store.claim("w", kinds=["probe"], lease_s=0.0)
        assert [j.id for j in await store.sweep()] == [job.id]
        assert await store.now_us() > job.created_us
        await store.close()

    asyncio.run(main())


def test_servers_that_start_together_migrate_once(postgres_url: str) -> None:
    async def main() -> None:
        stores = [SqlStore.on_postgres(postgres_url) for _ in range(4)]
        await asyncio.gather(*(store.open() for store in stores))
        await asyncio.gather(*(store.submit(new_job()) for store in stores))
        assert (await stores[0].counts())[JobState.QUEUED] == 4
        for store in stores:
            await store.close()

    asyncio.run(main())


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server of one test: recovery after a crash reads the files of all databases."""
    with running_server() as server:
        yield server


def test_a_crash_of_the_server_is_reported_and_healed(
    own_server: PostgresServer,
) -> None:
    async def main() -> None:
        store = SqlStore.on_postgres(own_server.fresh_database())
        await store.open()
        jobs = [(await store.submit(new_job(), key(str(n)))).job for n in range(5)]
        claim = await claim_one(store)
        await asyncio.to_thread(own_server.stop, "immediate")
        try:
            with pytest.raises(StoreUnavailable) as failure:
                await store.submit(new_job(), key("down"))
            assert failure.value.retry_after_s
            with pytest.raises(StoreUnavailable):
                await store.ping()
            with pytest.raises(StoreUnavailable):
                await SqlStore.on_postgres(own_server.url("postgres")).open()
        finally:
            await asyncio.to_thread(own_server.start)
        assert (
            await store.complete(claim.job.id, claim.fence, DONE)
        ).state is JobState.SUCCEEDED
        assert (await store.submit(new_job(), key("0"))).job.id == jobs[0].id
        # A restart between two calls breaks every pooled connection without an error.
        await asyncio.to_thread(own_server.stop, "immediate")
        await asyncio.to_thread(own_server.start)
        assert not (await store.submit(new_job(), key("after"))).replayed
        assert sum((await store.counts()).values()) == 6
        await store.close()

    asyncio.run(main())


def test_plans_end_under_concurrent_completions_and_cancels(postgres_url: str) -> None:
    """Six workers end jobs of plans while owners cancel and stop: nothing waits for ever."""
    plans, leaves = 12, 8
    rng = random.Random(5)

    async def work(store: SqlStore) -> None:
        while True:
            claims = await store.claim("w", kinds=["probe"], lease_s=60, limit=2)
            for claim in claims:
                end = FAILED if rng.random() < 0.2 else DONE
                await store.complete(claim.job.id, claim.fence, end)
            states = (JobState.QUEUED, JobState.RUNNING)
            left = JobFilter(kinds=["probe"], states=states)
            if not await store.list_jobs(left, limit=1):
                return

    async def interfere(store: SqlStore, ids: list[str]) -> None:
        for plan in ids[::2]:
            await asyncio.sleep(0.02)
            verb = store.request_cancel if rng.random() < 0.5 else store.request_stop
            with contextlib.suppress(Conflict):
                await verb(plan)

    async def main() -> None:
        store = SqlStore.on_postgres(postgres_url)
        await store.open()
        ids = []
        for _ in range(plans):
            children = [
                new_job(
                    after=[
                        After(job=parent, needs_success=rng.random() < 0.5)
                        for parent in rng.sample(range(n), min(n, 2))
                    ]
                )
                for n in range(leaves)
            ]
            ids.append(await rested(store, suspend(*children)))
        workers = [work(store) for _ in range(6)]
        await asyncio.gather(interfere(store, ids), *workers)
        for plan in ids:
            job = await store.get(plan)
            assert job.waits == 0 or job.state is JobState.CANCELLED
            # Ended by its owner, or due to write its report.
            assert job.state in (JobState.QUEUED, JobState.CANCELLED)
        counts = await store.counts()
        assert counts[JobState.WAITING] == 0
        assert sum(counts.values()) == plans * (leaves + 1)
        await asyncio.sleep(1.1)  # until the server has counted
        deadlocks = text(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        )
        found = await store._runner.read(lambda tx: tx.conn.execute(deadlocks).scalar())
        assert found == 0
        await store.close()

    asyncio.run(main())
