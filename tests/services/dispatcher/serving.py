"""Run a dispatcher on an SQLite store until no job is left.

Usage: `python -m tests.services.dispatcher.serving FOLDER`
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from search.kinds import KINDS
from services.bus import Bus
from services.dispatcher.loop import Dispatcher
from services.settings import Settings
from services.store.blobs import BlobStore
from services.store.factory import open_store
from services.store.types import JobStore
from trimtab.results import JobState
from workers.process.pool import ProcessExecutor

LEASE_S = 1.0


@asynccontextmanager
async def serving(
    folder: Path,
    *,
    lease_s: float = LEASE_S,
    heartbeat_s: float = 0.2,
    bus: Bus | None = None,
) -> AsyncIterator[tuple[JobStore, ProcessExecutor, Dispatcher]]:
    """Run a dispatcher with the real store, the real executor and a short lease."""
    settings = Settings(
        data_dir=folder, lease_s=lease_s, heartbeat_s=heartbeat_s, sweep_s=0.1
    )
    store = open_store(settings)
    await store.open()
    executor = ProcessExecutor(workers=2, scratch_dir=folder / "runs", sandbox="rlimit")
    await executor.open()
    dispatcher = Dispatcher(
        store=store,
        executor=executor,
        blobs=BlobStore(folder / "blobs"),
        bus=bus or Bus(),
        kinds=KINDS,
        settings=settings,
    )
    await dispatcher.start()
    try:
        yield store, executor, dispatcher
    finally:
        await dispatcher.close()
        await executor.close()
        await store.close()


async def unfinished(store: JobStore) -> int:
    """Count the jobs that are queued or running."""
    counts = await store.counts()
    return counts[JobState.QUEUED] + counts[JobState.RUNNING]


async def main(folder: Path) -> None:
    async with serving(folder) as (store, _executor, _dispatcher):
        while await unfinished(store):
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
