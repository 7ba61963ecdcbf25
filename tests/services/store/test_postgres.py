"""PostgreSQL fulfils the store contract and recovers from a crash of the server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from services.errors import StoreUnavailable
from services.store.sql_store import SqlStore
from services.store.types import JobStore
from tests.contracts.store import DONE, StoreContract, claim_one, key, new_job
from tests.postgres import PostgresServer
from trimtab.results import JobState

pytestmark = pytest.mark.postgres


class TestPostgresStore(StoreContract):
    @pytest.fixture(autouse=True)
    def _database(self, postgres_url: str) -> None:
        self.url = postgres_url

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


def test_a_crash_of_the_server_is_reported_and_healed(
    postgres_server: PostgresServer,
) -> None:
    async def main() -> None:
        store = SqlStore.on_postgres(postgres_server.fresh_database())
        await store.open()
        jobs = [(await store.submit(new_job(), key(str(n)))).job for n in range(5)]
        claim = await claim_one(store)
        await asyncio.to_thread(postgres_server.stop, "immediate")
        try:
            with pytest.raises(StoreUnavailable) as failure:
                await store.submit(new_job(), key("down"))
            assert failure.value.retry_after_s
            with pytest.raises(StoreUnavailable):
                await store.ping()
            with pytest.raises(StoreUnavailable):
                await SqlStore.on_postgres(postgres_server.url("postgres")).open()
        finally:
            await asyncio.to_thread(postgres_server.start)
        assert (
            await store.complete(claim.job.id, claim.fence, DONE)
        ).state is JobState.SUCCEEDED
        assert (await store.submit(new_job(), key("0"))).job.id == jobs[0].id
        # A restart between two calls breaks every pooled connection without an error.
        await asyncio.to_thread(postgres_server.stop, "immediate")
        await asyncio.to_thread(postgres_server.start)
        assert not (await store.submit(new_job(), key("after"))).replayed
        assert sum((await store.counts()).values()) == 6
        await store.close()

    asyncio.run(main())
