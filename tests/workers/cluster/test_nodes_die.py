"""Jobs of two dispatchers over several raylets while nodes die: none lost, one effect each."""

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
from services.store.types import AttemptRecord, JobStore, NewJob
from tests.workers.cluster.cluster import LocalCluster
from tests.workers.cluster.conftest import make_executor
from trimtab.results import EventType, JobState
from workers.cluster.pool import RayExecutor

JOBS, KILLS = 500, 10  # the published figure, at --scale 1
STALLED_S = 120.0  # without the end of any job


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
        other = make_executor(cluster, tmp_path / "other")
        await other.open()
        dispatchers = [
            Dispatcher(
                store=store,
                executor=one,
                blobs=BlobStore(tmp_path / "blobs"),
                bus=bus,
                kinds=KINDS,
                settings=settings,
                seed=seed,
                owner=f"dispatcher {seed}",
            )
            for seed, one in enumerate((executor, other))
        ]
        for dispatcher in dispatchers:
            await dispatcher.start()
        try:
            submitted = [one.job.id for one in await store.submit_many(_probes(jobs))]
            bus.notify(QUEUE)
            for number in range(1, kills + 1):
                await _until_ended(store, jobs * number // (kills + 1))
                await asyncio.to_thread(cluster.kill_node)
                await asyncio.to_thread(cluster.add_node)
            await _until_ended(store, jobs)
            counts = await store.counts()
            assert counts[JobState.SUCCEEDED] == jobs, counts
            attempts = [
                a for job_id in submitted for a in await _one_effect(store, job_id)
            ]
            # Each of the two dispatchers had a share.
            assert len({attempt.worker for attempt in attempts}) == 2
            print(
                f"{jobs} jobs, {kills} node kills, {len(attempts) - jobs} attempts lost, "
                f"{await store.stale_writes()} stale writes"
            )
        finally:
            for dispatcher in dispatchers:
                await dispatcher.close()
            await other.close()
            await store.close()

    runner.run(body())


def _probes(count: int) -> list[NewJob]:
    return [
        NewJob(
            tenant="a",
            kind="probe",
            spec={"steps": 4, "step_seconds": 0.1},
            budget={"seconds": 60.0},
            seed=number,
            max_attempts=10,
        )
        for number in range(count)
    ]


async def _until_ended(store: JobStore, wanted: int) -> None:
    """Wait for `wanted` jobs. A busy machine is slow, so only a standstill is a failure."""
    ended, since = 0, time.monotonic()
    while ended < wanted:
        counts = await store.counts()
        if counts[JobState.SUCCEEDED] > ended:
            ended, since = counts[JobState.SUCCEEDED], time.monotonic()
        assert time.monotonic() < since + STALLED_S, counts
        await asyncio.sleep(0.05)


async def _one_effect(store: JobStore, job_id: str) -> list[AttemptRecord]:
    """Return a job's attempts, of which one alone gave the result."""
    attempts = await store.attempts(job_id)
    assert [attempt.outcome for attempt in attempts].count("result") == 1
    events = await store.events(job_id)
    states = [e.data["state"] for e in events if e.type is EventType.STATE]
    assert states.count("SUCCEEDED") == 1
    assert states[-1] == "SUCCEEDED"
    assert [e.seq for e in events] == list(range(1, len(events) + 1))
    return attempts
