"""The store's contract. Each implementation subclasses `StoreContract` and defines `make(clock)`.

The clock is the test's own, so that leases expire without waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from services.store.types import JobStore
from tests.contracts.store.attempts import Attempts
from tests.contracts.store.checkpoints import Checkpoints
from tests.contracts.store.common import DONE, Clock, claim_one, key, new_job
from tests.contracts.store.graphs import Graphs
from tests.contracts.store.listing import Listing
from tests.contracts.store.models import Models
from tests.contracts.store.plans import Plans
from tests.contracts.store.records import Records
from tests.contracts.store.submission import Submission
from tests.contracts.store.upkeep import Upkeeping

__all__ = ["DONE", "Clock", "StoreContract", "claim_one", "key", "new_job"]


class StoreContract(
    Upkeeping, Models, Plans, Graphs, Checkpoints, Submission, Listing, Attempts, Records
):
    """Subclass as `TestX` and define `make`."""

    def make(self, clock: Callable[[], int]) -> JobStore:
        raise NotImplementedError

    @pytest.fixture
    def run(self) -> Callable[[Callable[[JobStore, Clock], Awaitable[None]]], None]:
        @asynccontextmanager
        async def opened(clock: Clock) -> AsyncIterator[JobStore]:
            store = self.make(clock)
            await store.open()
            try:
                yield store
            finally:
                await store.close()

        def go(body: Callable[[JobStore, Clock], Awaitable[None]]) -> None:
            async def main() -> None:
                clock = Clock()
                async with opened(clock) as store:
                    await asyncio.wait_for(body(store, clock), 60)

            asyncio.run(main())

        return go
