"""Real store and real children, killed and paused.

No job is lost, each has exactly one effect, and stale writes are refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from search.checkpoint import unpack
from services.bus import QUEUE, Bus
from services.settings import Settings
from services.store.factory import open_store
from services.store.types import JobStore, NewJob
from tests.services.dispatcher.serving import LEASE_S, serving, unfinished
from trimtab.results import EventType, JobState
from workers.process.pool import ProcessExecutor

pytestmark = pytest.mark.chaos


def probes(count: int, step_seconds: float) -> list[NewJob]:
    spec = {"steps": 3, "step_seconds": step_seconds}
    return [
        NewJob(
            tenant="a",
            kind="probe",
            spec=spec,
            budget={"seconds": 60.0},
            seed=n,
            max_attempts=10,
        )
        for n in range(count)
    ]


async def check_one_effect_each(store: JobStore, ids: list[str]) -> int:
    """Return how many attempts were lost, or ended early with their best solution."""
    lost = 0
    for job_id in ids:
        job = await store.get(job_id)
        assert job.state is JobState.SUCCEEDED, (job.state, job.termination)
        assert job.result is not None
        attempts = await store.attempts(job_id)
        assert [a.outcome for a in attempts].count("result") == 1
        events = await store.events(job_id)
        assert [e.seq for e in events] == list(range(1, len(events) + 1))
        ends = [
            e
            for e in events
            if e.type is EventType.STATE and e.data["state"] == "SUCCEEDED"
        ]
        assert [e.seq for e in ends] == [len(events)], (
            "the end is written once, and nothing after it"
        )
        lost += len(attempts) - 1 + bool(job.result["summary"].get("notes"))
    return lost


def child_groups(executor: ProcessExecutor) -> list[int]:
    return [run.current._child.process.pid for run in executor._running]


async def a_child(executor: ProcessExecutor) -> int:
    while not (groups := child_groups(executor)):
        await asyncio.sleep(0.01)
    return groups[0]


def test_children_are_killed_at_random(tmp_path: Path, scale: float) -> None:
    jobs, kills, rng = (
        max(10, round(200 * scale)),
        max(4, round(60 * scale)),
        random.Random(1),
    )

    async def body() -> None:
        async with serving(tmp_path) as (store, executor, _):
            ids = [s.job.id for s in await store.submit_many(probes(jobs, 0.05))]
            for _ in range(kills):
                await asyncio.sleep(rng.uniform(0.0, 0.2))
                if await unfinished(store):
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(
                            await asyncio.wait_for(a_child(executor), 60), signal.SIGKILL
                        )
            async with asyncio.timeout(60 + jobs):
                while await unfinished(store):
                    await asyncio.sleep(0.05)
            assert await check_one_effect_each(store, ids) >= 1

    asyncio.run(body())


def test_children_paused_longer_than_their_lease_write_nothing_more(
    tmp_path: Path, scale: float
) -> None:
    jobs, pauses = max(4, round(50 * scale)), max(1, round(50 * scale))

    async def body() -> None:
        async with serving(tmp_path) as (store, executor, _):
            ids = [s.job.id for s in await store.submit_many(probes(jobs, 0.2))]
            for _ in range(pauses):
                group = await asyncio.wait_for(a_child(executor), 60)
                os.killpg(group, signal.SIGSTOP)
                # Silent for most of a lease, it is no longer renewed. Then the lease expires and
                # another attempt begins.
                await asyncio.sleep(1.6 * LEASE_S)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(group, signal.SIGCONT)
            async with asyncio.timeout(60 + jobs):
                while await unfinished(store):
                    await asyncio.sleep(0.05)
            assert await check_one_effect_each(store, ids) >= 1

    asyncio.run(body())


class DeafBus(Bus):
    """A bus without wake-ups for jobs, as between dispatchers in different processes."""

    def notify(self, topic: str) -> None:
        if topic == QUEUE:
            super().notify(topic)


def test_write_with_an_old_fence_is_refused_and_counted(tmp_path: Path) -> None:
    async def body() -> None:
        # Nothing renews a lease here, so the second attempt must fit into one.
        async with serving(
            tmp_path, lease_s=5 * LEASE_S, heartbeat_s=20.0, bus=DeafBus()
        ) as (
            store,
            executor,
            _,
        ):
            (submitted,) = await store.submit_many(probes(1, 0.15))
            group = await asyncio.wait_for(a_child(executor), 60)
            os.killpg(group, signal.SIGSTOP)
            async with asyncio.timeout(20):
                # The lease expires, and a second attempt ends the job.
                while await unfinished(store):
                    await asyncio.sleep(0.02)
                assert await store.stale_writes() == 0
                # The first child wakes up with many events to report.
                os.killpg(group, signal.SIGCONT)
                while executor._running:
                    await asyncio.sleep(0.02)
            assert await store.stale_writes() >= 1
            assert await check_one_effect_each(store, [submitted.job.id]) == 1

    asyncio.run(body())


def start(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.services.dispatcher.serving", str(folder)],
        stdout=subprocess.DEVNULL,
    )


def wait_until_running(folder: Path, ended: int = 0) -> None:
    """Wait until a job runs and `ended` jobs have succeeded.

    Reads the file directly, because the store admits one process.
    """
    deadline = time.monotonic() + 90
    with contextlib.closing(
        sqlite3.connect(f"file:{folder}/trimtab.sqlite3?mode=ro", uri=True)
    ) as database:
        while True:
            counts = dict(
                database.execute("SELECT state, count(*) FROM job GROUP BY state")
            )
            if counts.get("RUNNING") and counts.get("SUCCEEDED", 0) >= ended:
                return
            assert time.monotonic() < deadline, counts
            time.sleep(0.02)


def children_in(folder: Path) -> list[int]:
    pids = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and f"--workdir {folder}" in (
                entry / "cmdline"
            ).read_bytes().replace(b"\0", b" ").decode(errors="replace"):
                pids.append(int(entry.name))
    return pids


def test_attempt_after_a_killed_dispatcher_starts_from_its_best(tmp_path: Path) -> None:
    spec = {"steps": 1000, "step_seconds": 0.02}
    long = NewJob(
        tenant="a",
        kind="probe",
        spec=spec,
        budget={"seconds": 90.0},
        seed=0,
        max_attempts=2,
    )

    async def submit() -> str:
        store = open_store(Settings(data_dir=tmp_path))
        await store.open()
        (submitted,) = await store.submit_many([long])
        await store.close()
        return submitted.job.id

    job_id = asyncio.run(submit())
    service = start(tmp_path)
    try:
        with contextlib.closing(
            sqlite3.connect(f"file:{tmp_path}/trimtab.sqlite3?mode=ro", uri=True)
        ) as database:
            deadline = time.monotonic() + 90
            while not database.execute("SELECT count(*) FROM job_checkpoint").fetchone()[
                0
            ]:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            (packed,) = database.execute("SELECT data FROM job_checkpoint").fetchone()
    finally:
        service.kill()
        service.wait()
    reached = json.loads(unpack(packed, kind="probe").solution)
    assert 0 < reached < 999

    async def finish() -> None:
        async with serving(tmp_path) as (store, _executor, _):
            async with asyncio.timeout(80):
                while await unfinished(store):
                    await asyncio.sleep(0.05)
            job = await store.get(job_id)
            assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2)
            assert job.result is not None
            assert job.result["objective"] == 0.0
            first = job.result["trace"][0]["objective"]
            assert job.result["summary"]["started_from"] == (
                f"the best solution of an earlier attempt, with objective {first}"
            )
            assert job.result["trace"][0]["objective"] <= reached, (
                "it goes on where the killed one was"
            )

    asyncio.run(finish())


def test_killed_dispatcher_loses_nothing_and_leaves_no_child(
    tmp_path: Path, scale: float
) -> None:
    jobs, kills = max(8, round(200 * scale)), max(2, round(25 * scale))

    async def submit() -> list[str]:
        store = open_store(Settings(data_dir=tmp_path))
        await store.open()
        ids = [s.job.id for s in await store.submit_many(probes(jobs, 0.05))]
        await store.close()
        return ids

    async def check(ids: list[str]) -> int:
        store = open_store(Settings(data_dir=tmp_path))
        await store.open()
        lost = await check_one_effect_each(store, ids)
        await store.close()
        return lost

    ids = asyncio.run(submit())
    for number in range(kills):
        service = start(tmp_path)
        try:
            wait_until_running(tmp_path, ended=jobs * number // (kills + 1))
        finally:
            service.kill()
            service.wait()
        deadline = time.monotonic() + 60
        while children_in(tmp_path):
            assert time.monotonic() < deadline, "children outlived their host"
            time.sleep(0.02)
    service = start(tmp_path)
    try:
        assert service.wait(timeout=60 + jobs) == 0
    finally:
        service.kill()
        service.wait()
    assert asyncio.run(check(ids)) >= 1
    assert list((tmp_path / "runs").iterdir()) == []


def test_ended_dispatcher_gives_its_jobs_back(tmp_path: Path) -> None:
    async def body() -> None:
        async with serving(tmp_path) as (store, executor, _):
            ids = [
                s.job.id
                for s in await store.submit_many(
                    [replace(p, max_attempts=1) for p in probes(2, 0.5)]
                )
            ]
            await asyncio.wait_for(a_child(executor), 60)
        async with serving(tmp_path) as (store, executor, _):
            async with asyncio.timeout(30):
                while await unfinished(store):
                    await asyncio.sleep(0.05)
            await check_one_effect_each(store, ids)

    asyncio.run(body())
