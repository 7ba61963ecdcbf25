"""Jobs of the service over several raylets while nodes die: none lost, one effect each."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from search.kinds import KINDS
from services.bus import QUEUE, Bus
from services.dispatcher.loop import Dispatcher
from services.settings import Settings
from services.store.blobs import BlobStore
from services.store.factory import open_store
from services.store.types import NewJob
from tests.workers.cluster.cluster import LocalCluster
from trimtab.results import EventType, JobState
from workers.cluster.pool import RayExecutor

JOBS, KILLS = 500, 10  # the published figure, at --scale 1


@pytest.mark.ray
@pytest.mark.chaos
def test_nodes_die_and_every_job_has_one_effect(
    cluster: LocalCluster,
    executor: RayExecutor,
    runner: asyncio.Runner,
    tmp_path: Path,
    scale: float,
) -> None:
    jobs, kills = max(16, round(JOBS * scale)), max(1, round(KILLS * scale))

    async def body() -> None:
        settings = Settings(data_dir=tmp_path, lease_s=8.0, heartbeat_s=1.0, sweep_s=0.5)
        store, bus = open_store(settings), Bus()
        await store.open()
        dispatcher = Dispatcher(
            store=store,
            executor=executor,
            blobs=BlobStore(tmp_path / "blobs"),
            bus=bus,
            kinds=KINDS,
            settings=settings,
            seed=0,
        )
        await dispatcher.start()
        try:
            spec = {"steps": 4, "step_seconds": 0.1}
            new = [
                NewJob(
                    tenant="a",
                    kind="probe",
                    spec=spec,
                    budget={"seconds": 60.0},
                    seed=n,
                    max_attempts=10,
                )
                for n in range(jobs)
            ]
            submitted = await store.submit_many(new)
            bus.notify(QUEUE)
            for number in range(1, kills + 1):
                await until_ended(store, jobs * number // (kills + 1))
                await asyncio.to_thread(cluster.kill_node)
                await asyncio.to_thread(cluster.add_node)
            await until_ended(store, jobs)
            counts = await store.counts()
            assert counts[JobState.SUCCEEDED] == jobs, counts
            lost = 0
            for one in submitted:
                attempts = await store.attempts(one.job.id)
                assert [a.outcome for a in attempts].count("result") == 1
                events = await store.events(one.job.id)
                states = [e.data["state"] for e in events if e.type is EventType.STATE]
                assert states.count("SUCCEEDED") == 1
                assert states[-1] == "SUCCEEDED"
                assert [e.seq for e in events] == list(range(1, len(events) + 1))
                lost += len(attempts) - 1
            print(
                f"{jobs} jobs, {kills} node kills, {lost} attempts lost, "
                f"{await store.stale_writes()} stale writes"
            )
        finally:
            await dispatcher.close()
            await store.close()

    async def until_ended(store: object, wanted: int) -> None:
        deadline = time.monotonic() + 60 + jobs
        while (await store.counts())[JobState.SUCCEEDED] < wanted:  # type: ignore[attr-defined]
            assert time.monotonic() < deadline, await store.counts()  # type: ignore[attr-defined]
            await asyncio.sleep(0.05)

    runner.run(body())
