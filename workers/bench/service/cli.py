"""`python -m workers.bench service [NAME...] [--scale 1.0]`: measure the whole service.

Each measurement starts its own server in a temporary folder, checks its invariants, and appends
one JSON line with the figures, the goals beside them, the machine, the versions and the seed. The
exit code is 1 when an invariant broke. A missed goal is part of the figures and no failure of the
run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

from workers.bench.service import (
    chaos,
    first_visit,
    graphs,
    latency,
    lists,
    load,
    retention,
)
from workers.bench.service.harness import Server, running_server
from workers.bench.service.postgres import PostgresServer
from workers.bench.stats import machine

Figures = dict[str, Any]
Suite = Callable[[Path, float, argparse.Namespace], Figures]

# The arguments of `python -m workers.bench all`.
PUBLISHED: tuple[tuple[str, ...], ...] = ((),)


def submit_sqlite(folder: Path, scale: float, options: argparse.Namespace) -> Figures:
    """Measure 8 clients against SQLite."""
    with running_server(folder / "data", role="gateway") as server:
        asyncio.run(load.submit_load(server, clients=8, seconds=2.0))  # warm-up
        return asyncio.run(
            load.submit_load(server, clients=8, seconds=max(2.0, 20 * scale))
        )


def submit_postgres(folder: Path, scale: float, options: argparse.Namespace) -> Figures:
    """Measure 8 clients against PostgreSQL."""
    with (
        PostgresServer(folder / "postgres") as database,
        running_server(
            folder / "data", role="gateway", database_url=database.url
        ) as server,
    ):
        asyncio.run(load.submit_load(server, clients=8, seconds=2.0))
        return asyncio.run(
            load.submit_load(server, clients=8, seconds=max(2.0, 20 * scale))
        )


def submit_to_running(folder: Path, scale: float, options: argparse.Namespace) -> Figures:
    """Measure submit to RUNNING in an idle embedded service."""
    with running_server(folder / "data") as server:
        latency.submit_to_running(server, count=3)
        return latency.submit_to_running(server, count=max(10, round(200 * scale)))


def event_latency(folder: Path, scale: float, options: argparse.Namespace) -> Figures:
    """Measure the way of an event from the run to the SDK."""
    with running_server(folder / "data") as server:
        return latency.event_latency(
            server, jobs=max(1, round(10 * scale)), events_per_job=20
        )


def list_sqlite(folder: Path, scale: float, options: argparse.Namespace) -> Figures:
    """Measure pages of the job list over 100,000 jobs in SQLite."""
    server = Server(folder / "data", settings={"role": "gateway"})
    try:
        jobs = max(1_000, round(100_000 * scale))
        return lists.measure(server, None, jobs=jobs, seed=options.seed)
    finally:
        server.stop()


def list_postgres(folder: Path, scale: float, options: argparse.Namespace) -> Figures:
    """Measure pages of the job list over 100,000 jobs in PostgreSQL."""
    with PostgresServer(folder / "postgres") as database:
        settings = {"role": "gateway", "database_url": database.url}
        server = Server(folder / "data", settings=settings)
        try:
            jobs = max(1_000, round(100_000 * scale))
            return lists.measure(server, database, jobs=jobs, seed=options.seed)
        finally:
            server.stop()


def first_visit_pages(folder: Path, scale: float, options: argparse.Namespace) -> Figures:
    """Measure a newcomer's first result of each kind by the pages, and the pages' weight."""
    with running_server(folder / "data", diagnostic_kinds="false") as server:
        return first_visit.measure(server)


def stop_cancel(folder: Path, scale: float, options: argparse.Namespace) -> Figures:
    """Measure stop and cancel of probes."""
    server = Server(folder / "data")
    server.start()
    try:
        return latency.stop_and_cancel(server, count=max(6, round(100 * scale)))
    finally:
        server.stop()


def stop_cancel_ilp(folder: Path, scale: float, options: argparse.Namespace) -> Figures:
    """Measure stop and cancel of a real integer program in mid-search."""
    server = Server(folder / "data")
    server.start()
    try:
        return latency.stop_and_cancel(
            server, count=max(4, round(60 * scale)), model=options.model
        )
    finally:
        server.stop()


def overhead(folder: Path, scale: float, options: argparse.Namespace) -> Figures:
    """Measure what the service adds to a real integer program of 60 s."""
    with running_server(folder / "data") as server:
        return latency.overhead(server, model=options.model, seconds=max(5.0, 60 * scale))


def kill_gateway(folder: Path, scale: float, options: argparse.Namespace) -> Figures:
    """Submit 10,000 jobs while the gateway is killed 25 times."""
    server = Server(folder / "data", settings={"role": "gateway"})
    server.start()
    try:
        return asyncio.run(
            chaos.kill_gateway(
                server,
                submits=max(200, round(10_000 * scale)),
                kills=max(2, round(25 * scale)),
                seed=options.seed,
            )
        )
    finally:
        server.stop()


_LEASE_S = 2.0
_SHORT_LEASES = {
    "lease_s": str(_LEASE_S),
    "heartbeat_s": "0.4",
    "sweep_s": "0.5",
    "workers": "2",
    "sandbox": "rlimit",
}


def kill_workers(folder: Path, scale: float, options: argparse.Namespace) -> Figures:
    """Run 10,000 jobs under 200 worker kills and 50 pauses longer than the lease."""
    server = Server(folder / "data", settings=_SHORT_LEASES)
    server.start()
    try:
        return asyncio.run(
            chaos.kill_workers(
                server,
                jobs=max(40, round(10_000 * scale)),
                kills=max(3, round(200 * scale)),
                # About half of them wake in time to have a write refused.
                pauses=max(6, round(50 * scale)),
                lease_s=_LEASE_S,
                seed=options.seed,
            )
        )
    finally:
        server.stop()


def kill_graphs(folder: Path, scale: float, options: argparse.Namespace) -> Figures:
    """Run 1,000 graphs of 2 to 20 jobs under kill -9 of the service and of workers."""
    server = Server(folder / "data", settings=_SHORT_LEASES)
    server.start()
    try:
        return asyncio.run(
            graphs.kill_graphs(
                server,
                graphs=max(8, round(1_000 * scale)),
                gateway_kills=max(2, round(20 * scale)),
                worker_kills=max(3, round(200 * scale)),
                plan_share=options.plan_share,
                seed=options.seed,
            )
        )
    finally:
        server.stop()


def restart_postgres(folder: Path, scale: float, options: argparse.Namespace) -> Figures:
    """Crash PostgreSQL 20 times under load: answers are 503 with Retry-After, never 500."""
    with PostgresServer(folder / "postgres") as database:
        server = Server(
            folder / "data", settings={"database_url": database.url, "role": "gateway"}
        )
        server.start()
        try:
            return asyncio.run(
                chaos.restart_postgres(
                    server,
                    database,
                    submits=max(200, round(5_000 * scale)),
                    restarts=max(2, round(20 * scale)),
                    seed=options.seed,
                )
            )
        finally:
            server.stop()


def retention_sqlite(folder: Path, scale: float, options: argparse.Namespace) -> Figures:
    """Remove 1,000,000 events on SQLite while clients submit."""
    server = Server(folder / "data", settings={"role": "gateway"})
    try:
        events = max(2_000, round(1_000_000 * scale))
        return retention.retention_under_load(server, events=events, clients=4)
    finally:
        server.stop()


def retention_postgres(
    folder: Path, scale: float, options: argparse.Namespace
) -> Figures:
    """Remove 1,000,000 events on PostgreSQL while clients submit."""
    with PostgresServer(folder / "postgres") as database:
        settings = {"database_url": database.url, "role": "gateway"}
        server = Server(folder / "data", settings=settings)
        try:
            events = max(2_000, round(1_000_000 * scale))
            return retention.retention_under_load(
                server, events=events, clients=4, database_url=database.url
            )
        finally:
            server.stop()


SUITES: MappingProxyType[str, tuple[Suite, str]] = MappingProxyType(
    {
        "submit-to-running": (submit_to_running, "p50 <= 100 ms, p99 <= 500 ms"),
        "submit-sqlite": (
            submit_sqlite,
            ">= 500 submits/s, p99 <= 50 ms; gateway <= 150 MB",
        ),
        "submit-postgres": (submit_postgres, ">= 300 submits/s"),
        "list-sqlite": (list_sqlite, "every page of 100,000 jobs <= 200 ms"),
        "list-postgres": (list_postgres, "every page of 100,000 jobs <= 200 ms"),
        "first-visit": (
            first_visit_pages,
            "1 press to the result of each kind, 2 of a plan; every page <= 200 kB",
        ),
        "event-latency": (event_latency, "p95 <= 250 ms"),
        "stop-cancel": (
            stop_cancel,
            "stop p99 <= 2,500 ms, cancel p99 <= 250 ms, no orphan",
        ),
        "stop-cancel-ilp": (
            stop_cancel_ilp,
            "stop p99 <= 2,500 ms, cancel p99 <= 250 ms, no orphan",
        ),
        "overhead": (overhead, "<= 2 % of a 60 s job; gateway <= 150 MB"),
        "kill-gateway": (kill_gateway, "10,000 submits, 25 kills: 0 lost, 0 duplicates"),
        "kill-workers": (
            kill_workers,
            "10,000 jobs, 200 kills, 50 pauses: one effect each, >= 1 stale write refused",
        ),
        "kill-graphs": (
            kill_graphs,
            "1,000 graphs, 20 kills of the service, 200 of workers: 0 lost, 0 early, 0 twice",
        ),
        "retention-sqlite": (retention_sqlite, "submit p99 <= 50 ms"),
        "retention-postgres": (retention_postgres, "submit p99 <= 50 ms"),
        "restart-postgres": (
            restart_postgres,
            "20 restarts: 503 with Retry-After, never 500",
        ),
    }
)
GROUPS = MappingProxyType(
    {
        "chaos": ("kill-gateway", "kill-workers", "kill-graphs", "restart-postgres"),
        "retention": ("retention-sqlite", "retention-postgres"),
    }
)


def main(argv: list[str]) -> int:
    """Run the named measurements (default: all)."""
    options = _options(argv)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    breaches = 0
    for name in options.names:
        line = _measure(name, options)
        breaches += "error" in line["figures"]
        with options.out.open("a") as out:
            out.write(json.dumps(line) + "\n")
        print(json.dumps({"suite": name, **line["figures"]}, indent=1), flush=True)
    return 1 if breaches else 0


def _options(argv: list[str]) -> argparse.Namespace:
    """Parse the options.

    `names` holds the measurements with groups resolved; `model` is fetched where one is
    needed.
    """
    parser = argparse.ArgumentParser(
        prog="python -m workers.bench service", description=__doc__
    )
    every = ", ".join([*SUITES, *GROUPS])
    parser.add_argument("suites", nargs="*", help=f"of {every}; default all")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="1.0 is the published figure"
    )
    parser.add_argument(
        "--plan-share", type=float, default=graphs.PLAN_SHARE, help="of `kill-graphs`"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("bench-results") / "service.jsonl",
        help="JSON lines, appended",
    )
    parser.add_argument(
        "--model", type=Path, help="model for the ilp suites; default: fast0507, fetched"
    )
    options = parser.parse_args(argv)
    options.names = [
        name for word in options.suites or SUITES for name in GROUPS.get(word, (word,))
    ]
    unknown = [name for name in options.names if name not in SUITES]
    if unknown:
        parser.error(f"suite: expected one of {every}, got {unknown[0]!r}")
    solves_model = any(SUITES[n][0] in (stop_cancel_ilp, overhead) for n in options.names)
    if options.model is None and solves_model:
        from workers.bench import instances

        options.model = instances.fetch(["fast0507"])[0]
    return options


def _measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run one measurement in a folder of its own; return its line.

    The line of a failed measurement has the error, so that the others still run.
    """
    suite, goal = SUITES[name]
    folder = Path(tempfile.mkdtemp(prefix=f"trimtab-bench-{name}-"))
    began = time.perf_counter()
    described = machine()
    print(f"{name} (goal: {goal}) …", file=sys.stderr, flush=True)
    try:
        figures = suite(folder, options.scale, options)
    except Exception as error:
        figures = {"error": f"{type(error).__name__}: {error}"}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "suite": f"service/{name}",
        "goal": goal,
        "scale": options.scale,
        "seed": options.seed,
        "figures": figures,
        "took_s": round(time.perf_counter() - began, 1),
        "machine": {**described, "load_at_end": round(os.getloadavg()[0], 2)},
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
