"""Retention over a million events, while clients submit over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Iterator
from typing import Any

import psycopg

from workers.bench.service.harness import Server
from workers.bench.service.http import LeanClient
from workers.bench.service.load import PROBE
from workers.bench.stats import quantiles_ms

EVENTS_OF_JOB = 100
_DAY_US = 86_400 * 1_000_000
_JOBS_AT_ONCE = 200
_PACE_S = 0.02  # between two submits of a client


def retention_under_load(
    server: Server, *, events: int, clients: int, database_url: str | None = None
) -> dict[str, Any]:
    """Remove the events of old jobs, then the jobs, while `clients` submit.

    Raises AssertionError if a rule removes anything else, or leaves something.
    """
    server.start()
    jobs = max(1, events // EVENTS_OF_JOB)
    protected, template = asyncio.run(_two_jobs(server))
    server.stop()
    with _database(server, database_url) as database:
        _fill(database, template, jobs)
    server.start()
    return asyncio.run(_measure(server, jobs, protected, clients))


async def _two_jobs(server: Server) -> tuple[str, str]:
    client = LeanClient(server.port, server.key)
    ids = []
    for number in range(2):
        answer = await client.request(
            "POST", "/v1/jobs", PROBE, {"Idempotency-Key": f"first-{number}"}
        )
        ids.append(str(answer.json()["id"]))
    await client.request("POST", f"/v1/jobs/{ids[1]}/cancel", {})
    client.close()
    return ids[0], ids[1]


async def _measure(server: Server, jobs: int, kept: str, clients: int) -> dict[str, Any]:
    await _submits(server, clients, seconds=1.0)  # warm-up
    quiet = await _submits(server, clients, seconds=5.0)
    cut = await _under(server, {"event_days": 1.0}, clients)
    dropped = await _under(server, {"job_days": 1.0}, clients)
    if cut["removed_events"] != jobs * (EVENTS_OF_JOB - 2):
        raise AssertionError(f"expected all events but changes of state to go, got {cut}")
    if dropped["removed_jobs"] != jobs:
        raise AssertionError(f"expected {jobs} jobs to go, got {dropped}")
    if server.get(f"/v1/jobs/{kept}")[0] != 200:
        raise AssertionError("a queued job was removed")
    return {
        "events": jobs * EVENTS_OF_JOB,
        "jobs": jobs,
        "clients": clients,
        "submit_without_retention": quantiles_ms(quiet),
        "events_rule": cut,
        "jobs_rule": dropped,
    }


async def _under(server: Server, rule: dict[str, float], clients: int) -> dict[str, Any]:
    """Apply a rule until nothing is left, under load."""
    client = LeanClient(server.port, server.key, timeout_s=120.0)
    await client.request("PUT", "/v1/retention", rule)
    ended = asyncio.Event()
    load = asyncio.create_task(_submits(server, clients, until=ended))
    began = time.perf_counter()
    removed = {"jobs": 0, "events": 0}
    complete = False
    while not complete:
        answer = await client.request("POST", "/v1/retention/run", {})
        report = answer.json()
        complete = report["complete"]
        for name in removed:
            removed[name] += report[name]
    seconds = time.perf_counter() - began
    ended.set()
    client.close()
    return {
        "seconds": round(seconds, 1),
        "removed_jobs": removed["jobs"],
        "removed_events": removed["events"],
        "submit": quantiles_ms(await load),
    }


async def _submits(
    server: Server,
    clients: int,
    *,
    seconds: float | None = None,
    until: asyncio.Event | None = None,
) -> list[float]:
    """Submit from several clients; returns the seconds of each submit."""
    deadline = None if seconds is None else time.perf_counter() + seconds
    taken: list[float] = []

    async def one(number: int) -> None:
        client = LeanClient(server.port, server.key)
        while (deadline is None or time.perf_counter() < deadline) and not (
            until is not None and until.is_set()
        ):
            began = time.perf_counter()
            key = f"retention-{number}-{began}"
            await client.request("POST", "/v1/jobs", PROBE, {"Idempotency-Key": key})
            taken.append(time.perf_counter() - began)
            await asyncio.sleep(_PACE_S)
        client.close()

    await asyncio.gather(*(one(number) for number in range(clients)))
    return taken


@contextlib.contextmanager
def _database(server: Server, url: str | None) -> Iterator[Any]:
    """Open the database of a stopped server."""
    connection: Any = (
        sqlite3.connect(server.data_dir / "trimtab.sqlite3")
        if url is None
        else psycopg.connect(url)
    )
    with contextlib.closing(connection):
        yield connection
        connection.commit()


def _fill(database: Any, template: str, jobs: int) -> None:
    """Insert ended jobs of ten days ago, like the job `template`, each with its events."""
    mark = "?" if isinstance(database, sqlite3.Connection) else "%s"
    cursor = database.cursor()
    cursor.execute(f"SELECT * FROM job WHERE id = {mark}", (template,))  # noqa: S608
    names = [column[0] for column in cursor.description]
    row = dict(zip(names, cursor.fetchone(), strict=True))
    ended_us = row["finished_us"] - 10 * _DAY_US

    def insert(table: str, columns: list[str]) -> str:
        marks = ", ".join([mark] * len(columns))
        return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608

    for first in range(0, jobs, _JOBS_AT_ONCE):
        numbers = range(first, min(jobs, first + _JOBS_AT_ONCE))
        old = [
            {
                **row,
                "id": f"job_{number:026d}",
                "created_us": ended_us - _DAY_US,
                "finished_us": ended_us + number,
                "last_seq": EVENTS_OF_JOB,
            }
            for number in numbers
        ]
        cursor.executemany(insert("job", names), [tuple(one.values()) for one in old])
        specs = [(one["id"], "{}") for one in old]
        cursor.executemany(insert("job_spec", ["job_id", "spec"]), specs)
        cursor.executemany(
            insert("event", ["job_id", "seq", "type", "at_us", "data"]),
            [
                (
                    one["id"],
                    seq,
                    "state" if seq in (1, EVENTS_OF_JOB) else "log",
                    ended_us,
                    '{"level":"info","message":"node 1234, gap 1.25 %"}',
                )
                for one in old
                for seq in range(1, EVENTS_OF_JOB + 1)
            ],
        )
        database.commit()
