"""Kill and pause things while jobs flow, then count. Every function checks its own invariants and raises on a breach.

The counting reads the record back through the API or straight from the database file, never from what the load
generator believes.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import sqlite3
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

from workers.bench.service.harness import Server
from workers.bench.service.http import LeanClient
from workers.bench.service.postgres import PostgresServer

BROKEN = (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError, IndexError)


class Breach(AssertionError):
    """An invariant did not hold."""


async def submit_all(
    server: Server,
    bodies: list[dict[str, Any]],
    *,
    clients: int,
    tag: str,
    acked: dict[int, str],
) -> dict[str, Any]:
    """Submit every body exactly once through any number of failures: each has an idempotency key, each is retried.

    `acked` is filled as answers come (number → job id), so that faults can be made at shares of the work.
    """
    queue: asyncio.Queue[int] = asyncio.Queue()
    for number in range(len(bodies)):
        queue.put_nowait(number)
    statuses: Counter[int] = Counter()
    broken = replayed = missing_retry_after = 0

    async def one() -> None:
        nonlocal broken, replayed, missing_retry_after
        client = LeanClient(server.port, server.key, timeout_s=20)
        while True:
            try:
                number = queue.get_nowait()
            except asyncio.QueueEmpty:
                break
            while number not in acked:
                try:
                    answer = await client.request(
                        "POST",
                        "/v1/jobs",
                        bodies[number],
                        {"Idempotency-Key": f"{tag}-{number}"},
                    )
                except BROKEN:
                    broken += 1
                    await asyncio.sleep(0.05)
                    continue
                statuses[answer.status] += 1
                if answer.status < 300:
                    acked[number] = answer.json()["id"]
                    replayed += answer.headers.get("idempotency-replayed") == "true"
                elif answer.status in (429, 503):
                    missing_retry_after += "retry-after" not in answer.headers
                    await asyncio.sleep(
                        min(1.0, float(answer.headers.get("retry-after", "0.2")))
                    )
                else:
                    raise Breach(f"submit answered {answer.status}: {answer.body[:400]!r}")
        client.close()

    await asyncio.gather(*(one() for _ in range(clients)))
    return {
        "statuses": dict(statuses),
        "broken_connections": broken,
        "replayed": replayed,
        "missing_retry_after": missing_retry_after,
    }


async def kill_gateway(
    server: Server, *, submits: int, kills: int, clients: int = 8, seed: int = 0
) -> dict[str, Any]:
    """kill -9 of the gateway, `kills` times spread over `submits` submits."""
    rng = random.Random(seed)
    bodies = [
        {
            "kind": "probe",
            "spec": {"steps": 0},
            "seed": n,
            "budget": {"seconds": 60.0},
            "labels": {"n": str(n)},
        }
        for n in range(submits)
    ]
    began = time.perf_counter()
    acked: dict[int, str] = {}
    load = asyncio.create_task(
        submit_all(server, bodies, clients=clients, tag="kill-gateway", acked=acked)
    )
    killed = 0
    while killed < kills and not load.done():
        # At even shares of the work, give or take, so that the last kill still meets traffic.
        if len(acked) < submits * (killed + rng.uniform(0.5, 0.9)) / kills:
            await asyncio.sleep(0.005)
            continue
        await asyncio.to_thread(server.kill)
        killed += 1
        await asyncio.to_thread(server.start)
    told = await load
    seconds = time.perf_counter() - began
    server.stop()
    found = _count(server, "SELECT count(*), count(DISTINCT id) FROM job")
    ids = {row[0] for row in _rows(server, "SELECT id FROM job")}
    integrity = _rows(server, "PRAGMA integrity_check")[0][0]
    lost = [n for n, job_id in acked.items() if job_id not in ids]
    if (
        lost
        or found[0] != submits
        or len(set(acked.values())) != submits
        or integrity != "ok"
    ):
        raise Breach(
            f"lost {lost[:5]}, rows {found[0]} for {submits} submits, integrity {integrity}"
        )
    return {
        "submits": submits,
        "kills": killed,
        "seconds": round(seconds, 1),
        "lost": len(lost),
        "duplicates": found[0] - submits,
        "integrity_check": integrity,
        **told,
    }


async def kill_workers(
    server: Server,
    *,
    jobs: int,
    kills: int,
    pauses: int,
    lease_s: float,
    seed: int = 0,
    timeout_s: float = 7200,
) -> dict[str, Any]:
    """SIGKILL and SIGSTOP (longer than the lease) of workers while `jobs` probes run; then each must have one effect.

    A job may need more attempts than usual here, so each allows ten.
    """
    rng = random.Random(seed)
    bodies = [
        {
            "kind": "probe",
            # Most are trivial; every fourth is long enough to be surely met by a fault in the middle.
            "spec": {"steps": 1, "step_seconds": 0.6 if n % 4 == 0 else 0.02},
            "seed": n,
            "budget": {"seconds": 120.0},
            "max_attempts": 10,
            "labels": {"n": str(n)},
        }
        for n in range(jobs)
    ]
    began = time.perf_counter()
    acked: dict[int, str] = {}
    await submit_all(server, bodies, clients=8, tag="kill-workers", acked=acked)
    client = LeanClient(server.port, server.key)

    async def terminal() -> int:
        answer = await client.request("GET", "/metrics")
        done = 0
        for line in answer.body.decode().splitlines():
            if line.startswith("trimtab_jobs{") and not any(
                s in line for s in ('"QUEUED"', '"RUNNING"')
            ):
                done += int(float(line.rsplit(" ", 1)[1]))
        return done

    # Faults come at fixed shares of the work done, so that they meet jobs from the first to the last.
    faults = [signal.SIGKILL] * kills + [signal.SIGSTOP] * pauses
    rng.shuffle(faults)
    made: Counter[str] = Counter()
    resume: list[tuple[float, psutil.Process]] = []
    done = 0
    while done < jobs:
        if time.perf_counter() - began > timeout_s:
            raise Breach(f"{jobs - done} of {jobs} jobs had not ended after {timeout_s} s")
        now = time.perf_counter()
        for item in [i for i in resume if i[0] <= now]:
            resume.remove(item)
            with contextlib.suppress(psutil.Error):
                item[1].send_signal(signal.SIGCONT)
        due = round(done / jobs * (kills + pauses) + 1)
        while faults and made.total() < due:
            paused = {p.pid for _, p in resume}
            fault = faults[-1]
            victim = _worker(server, rng, exclude=paused, only_busy=fault is signal.SIGSTOP)
            if victim is None:
                # A pause of a spare proves nothing, so it waits for a worker that has a job; a kill may come first.
                faults.insert(0, faults.pop())
                break
            try:
                victim.send_signal(fault)
            except psutil.Error:
                continue  # it ended just now: another one gets this fault
            faults.pop()
            made[fault.name] += 1
            if fault is signal.SIGSTOP:
                resume.append((now + lease_s * rng.uniform(1.8, 1.95), victim))
        await asyncio.sleep(0.05 if not faults or made.total() >= due else 0.01)
        done = await terminal()
    seconds = time.perf_counter() - began
    client.close()
    _, ready = await asyncio.to_thread(server.get, "/readyz")
    server.stop()
    states = dict(_rows(server, "SELECT state, count(*) FROM job GROUP BY state"))
    ends = _rows(
        server,
        "SELECT job_id, count(*) FROM event WHERE type = 'state' AND "
        "(data LIKE '%SUCCEEDED%' OR data LIKE '%FAILED%' OR data LIKE '%DEAD%' OR data LIKE '%CANCELLED%') GROUP BY job_id",
    )
    attempts = _count(server, "SELECT count(*) FROM attempt")[0]
    twice = [job_id for job_id, count in ends if count != 1]
    lost = set(acked.values()) - {job_id for job_id, _ in ends}
    stale = _rows(server, "SELECT value FROM counter WHERE name = 'stale_writes'")
    stale_writes = int(stale[0][0]) if stale else 0
    if twice or lost or states != {"SUCCEEDED": jobs}:
        raise Breach(f"twice {twice[:5]}, lost {sorted(lost)[:5]}, states {states}")
    if pauses and not stale_writes:
        raise Breach(
            "no stale write was refused although workers were paused for longer than their lease"
        )
    return {
        "jobs": jobs,
        "kills": made["SIGKILL"],
        "pauses": made["SIGSTOP"],
        "lease_s": lease_s,
        "seconds": round(seconds, 1),
        "attempts": attempts,
        "lost": len(lost),
        "effects_per_job": 1,
        "stale_writes_refused": stale_writes,
        "ready_at_end": ready.get("status") if isinstance(ready, dict) else None,
    }


async def restart_postgres(
    server: Server,
    database: PostgresServer,
    *,
    submits: int,
    restarts: int,
    clients: int = 8,
    seed: int = 0,
) -> dict[str, Any]:
    """Crash PostgreSQL (`pg_ctl -m immediate`) `restarts` times while clients submit: 503 with Retry-After, never 500."""
    rng = random.Random(seed)
    bodies = [
        {"kind": "probe", "spec": {"steps": 0}, "seed": n, "budget": {"seconds": 60.0}}
        for n in range(submits)
    ]
    began = time.perf_counter()
    acked: dict[int, str] = {}
    load = asyncio.create_task(
        submit_all(server, bodies, clients=clients, tag="restart-postgres", acked=acked)
    )
    done = 0
    while done < restarts and not load.done():
        if len(acked) < submits * (done + rng.uniform(0.5, 0.9)) / restarts:
            await asyncio.sleep(0.005)
            continue
        await asyncio.to_thread(database.stop, "immediate")
        await asyncio.sleep(rng.uniform(0.0, 0.5))
        await asyncio.to_thread(database.start)
        done += 1
    told = await load
    seconds = time.perf_counter() - began
    client = LeanClient(server.port, server.key)
    ids: list[str] = []
    cursor = ""
    while True:
        page = (await client.request("GET", f"/v1/jobs?limit=500{cursor}")).json()
        ids += [job["id"] for job in page["items"]]
        if not page["next_cursor"]:
            break
        cursor = f"&cursor={page['next_cursor']}"
    client.close()
    lost = set(acked.values()) - set(ids)
    if lost or len(ids) != submits or len(set(ids)) != submits:
        raise Breach(
            f"lost {sorted(lost)[:5]}; {len(ids)} rows, {len(set(ids))} distinct, for {submits} submits"
        )
    if told["missing_retry_after"]:
        raise Breach(f"{told['missing_retry_after']} answers with 503 had no Retry-After")
    return {
        "submits": submits,
        "restarts": done,
        "seconds": round(seconds, 1),
        "lost": 0,
        "duplicates": 0,
        **told,
    }


def _worker(
    server: Server, rng: random.Random, *, exclude: set[int], only_busy: bool
) -> psutil.Process | None:
    """A worker's child that is not paused already: busy where there is one, else (unless `only_busy`) a warm spare."""
    busy: list[psutil.Process] = []
    spare: list[psutil.Process] = []
    for process in server.descendants():
        with contextlib.suppress(psutil.Error):
            command = process.cmdline()
            if (
                "workers.process.child" in " ".join(command)
                and process.pid not in exclude
                and "--workdir" in command
            ):
                # The host puts the inputs into the run folder when a child gets its job.
                folder = Path(command[command.index("--workdir") + 1])
                (busy if (folder / "inputs").exists() else spare).append(process)
    found = busy or ([] if only_busy else spare)
    parents = {p.ppid() for p in found if p.is_running()}
    inner = [
        p for p in found if p.pid not in parents
    ]  # under bubblewrap the outer processes only wait
    return rng.choice(inner) if inner else None


def _rows(server: Server, query: str) -> list[Any]:
    # A read-only look after the server has ended; one writer only is the server's rule, and it holds.
    (path,) = list(server.data_dir.glob("*.sqlite3")) or list(server.data_dir.glob("*.db"))
    with contextlib.closing(
        sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    ) as connection:
        return connection.execute(query).fetchall()


def _count(server: Server, query: str) -> tuple[int, ...]:
    return tuple(_rows(server, query)[0])
