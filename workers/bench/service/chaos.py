"""Kill and pause processes while jobs flow, then count what happened to every job.

Each function checks its own invariants and raises Breach. It reads the record back through the
API or straight from the database file, never from what the load generator believes.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from workers.bench.service.harness import Server
from workers.bench.service.http import LeanClient
from workers.bench.service.postgres import PostgresServer

BROKEN = (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError, IndexError)
_ENDS_QUERY = (
    "SELECT job_id, count(*) FROM event WHERE type = 'state' AND "
    "(data LIKE '%SUCCEEDED%' OR data LIKE '%FAILED%' "
    "OR data LIKE '%DEAD%' OR data LIKE '%CANCELLED%') GROUP BY job_id"
)


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
    """Submit every body exactly once through failures, by idempotency key and retries.

    `acked` fills as answers arrive (number → job id), so that a caller can time faults by the
    work done.
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
            headers = {"Idempotency-Key": f"{tag}-{number}"}
            while number not in acked:
                try:
                    answer = await client.request(
                        "POST", "/v1/jobs", bodies[number], headers
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
                    wait_s = float(answer.headers.get("retry-after", "0.2"))
                    await asyncio.sleep(min(1.0, wait_s))
                else:
                    raise Breach(
                        f"submit answered {answer.status}: {answer.body[:400]!r}"
                    )
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
    """Kill the gateway with SIGKILL, `kills` times spread over `submits` submits."""
    rng = random.Random(seed)
    bodies = [_trivial_probe(n) | {"labels": {"n": str(n)}} for n in range(submits)]
    began = time.perf_counter()
    acked: dict[int, str] = {}
    load = asyncio.create_task(
        submit_all(server, bodies, clients=clients, tag="kill-gateway", acked=acked)
    )
    killed = 0
    while killed < kills and not load.done():
        # At roughly even shares of the work, so that the last kill still meets traffic.
        if len(acked) < submits * (killed + rng.uniform(0.5, 0.9)) / kills:
            await asyncio.sleep(0.005)
            continue
        await asyncio.to_thread(server.kill)
        killed += 1
        await asyncio.to_thread(server.start)
    traffic = await load
    seconds = time.perf_counter() - began
    server.stop()
    rows = _count(server, "SELECT count(*), count(DISTINCT id) FROM job")[0]
    ids = {row[0] for row in read_rows(server, "SELECT id FROM job")}
    integrity = read_rows(server, "PRAGMA integrity_check")[0][0]
    lost = [n for n, job_id in acked.items() if job_id not in ids]
    if (
        lost
        or rows != submits
        or len(set(acked.values())) != submits
        or integrity != "ok"
    ):
        raise Breach(
            f"lost {lost[:5]}, {rows} rows for {submits} submits, integrity {integrity}"
        )
    return {
        "submits": submits,
        "kills": killed,
        "seconds": round(seconds, 1),
        "lost": len(lost),
        "duplicates": rows - submits,
        "integrity_check": integrity,
        **traffic,
    }


_MOST_ROUNDS = 3
_STALE_WRITES = "trimtab_stale_writes_total"


@dataclass(kw_only=True)
class Faults:
    """Kills and pauses of workers at even shares of the work done.

    They meet jobs from the first to the last.
    """

    server: Server
    rng: random.Random
    lease_s: float
    pending: list[signal.Signals]
    made: Counter[str] = field(default_factory=Counter)
    paused: list[tuple[float, psutil.Process]] = field(default_factory=list)
    """When to resume which process."""

    def __post_init__(self) -> None:
        self.total = len(self.pending)
        self.rng.shuffle(self.pending)

    def behind(self, done: float) -> bool:
        """Return whether a fault is due when the share `done` of the jobs has ended."""
        return bool(self.pending) and self.made.total() < self._due(done)

    def step(self, done: float) -> None:
        """Resume what was paused for long enough, and inject the faults that are due."""
        self._resume(time.perf_counter())
        due = self._due(done)
        while self.pending and self.made.total() < due:
            if not self._inject():
                break

    def _due(self, done: float) -> int:
        return round(done * self.total + 1)

    def _resume(self, now: float) -> None:
        for entry in [entry for entry in self.paused if entry[0] <= now]:
            self.paused.remove(entry)
            with contextlib.suppress(psutil.Error):
                entry[1].send_signal(signal.SIGCONT)

    def _inject(self) -> bool:
        """Send the next fault; returns whether another one may follow now."""
        fault = self.pending[-1]
        victim = _worker(
            self.server,
            self.rng,
            exclude={process.pid for _, process in self.paused},
            only_busy=fault is signal.SIGSTOP,
        )
        if victim is None:
            # Pausing a spare proves nothing: the pause waits for a busy worker, and a kill may
            # come first.
            self.pending.insert(0, self.pending.pop())
            return False
        try:
            victim.send_signal(fault)
        except psutil.Error:
            return True  # the process has just ended; the fault goes to another one
        self.pending.pop()
        self.made[fault.name] += 1
        if fault is signal.SIGSTOP:
            resume_at = time.perf_counter() + self.lease_s * self.rng.uniform(1.8, 1.95)
            self.paused.append((resume_at, victim))
        return True


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
    """Kill workers, and pause them beyond the lease, while probes run.

    Each job must have one effect. Jobs are lost more often than usual here, so each allows ten
    attempts. About half of the paused workers wake in time to have a write refused: where none of
    a few did, there is another round.
    """
    began = time.perf_counter()
    acked: dict[int, str] = {}
    made: Counter[str] = Counter()
    client = LeanClient(server.port, server.key)
    rng = random.Random(seed)
    for round_ in range(_MOST_ROUNDS):
        bodies = [_probe_for_faults(n) for n in range(jobs)]
        mine: dict[int, str] = {}
        tag = f"kill-workers-{round_}"
        await submit_all(server, bodies, clients=8, tag=tag, acked=mine)
        acked |= {round_ * jobs + number: job for number, job in mine.items()}
        faults = Faults(
            server=server,
            rng=rng,
            lease_s=lease_s,
            pending=[signal.SIGKILL] * kills + [signal.SIGSTOP] * pauses,
        )
        done = 0
        while done < jobs:
            if time.perf_counter() - began > timeout_s:
                raise Breach(
                    f"{jobs - done} of {jobs} jobs had not ended after {timeout_s} s"
                )
            faults.step(done / jobs)
            await asyncio.sleep(0.01 if faults.behind(done / jobs) else 0.05)
            done = await ended_jobs(client) - round_ * jobs
        made += faults.made
        if not pauses or await _counted(client, _STALE_WRITES):
            break
    seconds = time.perf_counter() - began
    client.close()
    _, ready = await asyncio.to_thread(server.get, "/readyz")
    server.stop()
    return {
        "jobs": len(acked),
        "kills": made["SIGKILL"],
        "pauses": made["SIGSTOP"],
        "lease_s": lease_s,
        "seconds": round(seconds, 1),
        **_one_effect_each(server, set(acked.values()), paused=pauses > 0),
        "ready_at_end": ready.get("status") if isinstance(ready, dict) else None,
    }


def _trivial_probe(number: int) -> dict[str, Any]:
    return {
        "kind": "probe",
        "spec": {"steps": 0},
        "seed": number,
        "budget": {"seconds": 60.0},
    }


def _probe_for_faults(number: int) -> dict[str, Any]:
    """Return a job body for `kill_workers`.

    Most are trivial; every fourth is long enough to be hit by a fault in mid-run.
    """
    return {
        "kind": "probe",
        "spec": {"steps": 1, "step_seconds": 0.6 if number % 4 == 0 else 0.02},
        "seed": number,
        "budget": {"seconds": 120.0},
        "max_attempts": 10,
        "labels": {"n": str(number)},
    }


async def ended_jobs(client: LeanClient) -> int:
    """Count the jobs that have ended, from the metrics page."""
    live = ("WAITING", "QUEUED", "RUNNING")
    return await _counted(client, "trimtab_jobs{", less=[f'"{state}"' for state in live])


async def _counted(client: LeanClient, name: str, *, less: Sequence[str] = ()) -> int:
    """Return the sum of a metric's lines, without those that have a word of `less`."""
    answer = await client.request("GET", "/metrics")
    return sum(
        int(float(line.rsplit(" ", 1)[1]))
        for line in answer.body.decode().splitlines()
        if line.startswith(name) and not any(word in line for word in less)
    )


def _one_effect_each(
    server: Server, submitted: set[str], *, paused: bool
) -> dict[str, Any]:
    """Check in the database that every job succeeded exactly once; return the counts.

    Raises Breach.
    """
    states = dict(read_rows(server, "SELECT state, count(*) FROM job GROUP BY state"))
    ends = read_rows(server, _ENDS_QUERY)
    stale = read_rows(server, "SELECT value FROM counter WHERE name = 'stale_writes'")
    stale_writes = int(stale[0][0]) if stale else 0
    twice = [job_id for job_id, count in ends if count != 1]
    lost = submitted - {job_id for job_id, _ in ends}
    if twice or lost or states != {"SUCCEEDED": len(submitted)}:
        raise Breach(f"twice {twice[:5]}, lost {sorted(lost)[:5]}, states {states}")
    if paused and not stale_writes:
        raise Breach(
            "workers were paused for longer than their lease: no stale write was refused"
        )
    return {
        "attempts": _count(server, "SELECT count(*) FROM attempt")[0],
        "lost": len(lost),
        "effects_per_job": 1,
        "stale_writes_refused": stale_writes,
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
    """Crash PostgreSQL (`pg_ctl -m immediate`) while clients submit.

    Answers must be 503 with Retry-After, never 500.
    """
    rng = random.Random(seed)
    bodies = [_trivial_probe(n) for n in range(submits)]
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
    traffic = await load
    seconds = time.perf_counter() - began
    ids = await _job_ids(server)
    lost = set(acked.values()) - set(ids)
    if lost or len(ids) != submits or len(set(ids)) != submits:
        raise Breach(
            f"lost {sorted(lost)[:5]}; {len(ids)} rows, {len(set(ids))} distinct, "
            f"for {submits} submits"
        )
    if traffic["missing_retry_after"]:
        raise Breach(
            f"{traffic['missing_retry_after']} answers with 503 had no Retry-After"
        )
    return {
        "submits": submits,
        "restarts": done,
        "seconds": round(seconds, 1),
        "lost": 0,
        "duplicates": 0,
        **traffic,
    }


async def _job_ids(server: Server) -> list[str]:
    """Return the ids of all jobs, page by page through the API."""
    client = LeanClient(server.port, server.key)
    ids: list[str] = []
    cursor = ""
    while True:
        page = (await client.request("GET", f"/v1/jobs?limit=500{cursor}")).json()
        ids += [job["id"] for job in page["items"]]
        if not page["next_cursor"]:
            client.close()
            return ids
        cursor = f"&cursor={page['next_cursor']}"


def _worker(
    server: Server, rng: random.Random, *, exclude: set[int], only_busy: bool
) -> psutil.Process | None:
    """Return a worker's child: a busy one, else (unless `only_busy`) a warm spare."""
    busy: list[psutil.Process] = []
    spare: list[psutil.Process] = []
    for process in server.descendants():
        with contextlib.suppress(psutil.Error):
            command = process.cmdline()
            is_child = (
                "workers.process.child" in " ".join(command) and "--workdir" in command
            )
            if is_child and process.pid not in exclude:
                # The host puts the inputs into the run folder when a child gets its job.
                folder = Path(command[command.index("--workdir") + 1])
                (busy if (folder / "inputs").exists() else spare).append(process)
    candidates = busy or ([] if only_busy else spare)
    # Under bubblewrap the outer processes only wait; the innermost is the worker.
    parents = {p.ppid() for p in candidates if p.is_running()}
    inner = [p for p in candidates if p.pid not in parents]
    return rng.choice(inner) if inner else None


def read_rows(server: Server, query: str) -> list[Any]:
    """Return the rows of a query on the database of a server that has ended."""
    # Read-only, after the server has ended: the server stays the only writer of its database.
    (path,) = list(server.data_dir.glob("*.sqlite3")) or list(
        server.data_dir.glob("*.db")
    )
    with contextlib.closing(
        sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    ) as connection:
        return connection.execute(query).fetchall()


def _count(server: Server, query: str) -> tuple[int, ...]:
    return tuple(read_rows(server, query)[0])
