"""Latency of the service: submit to RUNNING, solver to SDK, stop, cancel, overhead."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from trimtab.client import Client
from trimtab.results import EventType, JobState
from trimtab.specs.ilp import IlpSpec
from trimtab.specs.probe import ProbeSpec
from workers.bench.service.harness import Server, survivors
from workers.bench.stats import quantiles_ms


@contextlib.contextmanager
def connect(server: Server) -> Iterator[Client]:
    """Open an SDK client with the server's admin key."""
    with Client(server.url, api_key=server.key) as client:
        yield client


def submit_to_running(server: Server, *, count: int) -> dict[str, Any]:
    """Measure from before the SDK's submit to the event RUNNING, one job at a time.

    Both clocks are this machine's.
    """
    waits = []
    with connect(server) as client:
        for number in range(count):
            began = time.time()
            job = client.submit(ProbeSpec(steps=0), seconds=30, seed=number)
            job.wait(timeout_s=30)
            running = next(
                e
                for e in job.events()
                if e.type is EventType.STATE and e.data["state"] == JobState.RUNNING
            )
            waits.append(running.at.timestamp() - began)
            time.sleep(0.05)  # an idle service: the pool refills between two submits
    return {"jobs": count, **quantiles_ms(waits)}


def event_latency(server: Server, *, jobs: int, events_per_job: int) -> dict[str, Any]:
    """Measure from the run's emission of an incumbent to the SDK iterator's yield.

    The probe writes the wall-clock time of emission into the incumbent's `source` (`probe@<unix
    seconds>`).
    """
    delays = []
    with connect(server) as client:
        for number in range(jobs):
            job = client.submit(
                ProbeSpec(steps=events_per_job, step_seconds=0.25),
                seconds=120,
                seed=number,
            )
            for incumbent in job.incumbents():
                now = time.time()
                _, _, emitted = incumbent.source.partition("@")
                if emitted:
                    delays.append(now - float(emitted))
    return {"events": len(delays), **quantiles_ms(delays)}


def stop_and_cancel(
    server: Server, *, count: int, model: Path | None = None
) -> dict[str, Any]:
    """Measure `stop` (to SUCCEEDED) and `cancel` (to CANCELLED); count orphan processes.

    Jobs are the integer program `model` in mid-search; probes when there is none.
    """
    stops, cancels = [], []
    kept_best = 0
    with connect(server) as client:
        artifact = client.upload(model) if model else None
        idle = {p.pid for p in server.descendants()}
        started: dict[int, psutil.Process] = {}
        for number in range(count):
            spec = (
                IlpSpec(model=artifact)
                if artifact
                else ProbeSpec(steps=100_000, step_seconds=0.02)
            )
            job = client.submit(spec, seconds=120, seed=number)
            for incumbent in job.incumbents():
                if incumbent.objective is not None:
                    break
            started |= {p.pid: p for p in server.descendants() if p.pid not in idle}
            began = time.perf_counter()
            if number % 2:
                job.cancel()
                view = job.wait(timeout_s=30)
                cancels.append(time.perf_counter() - began)
                if view.state is not JobState.CANCELLED:
                    raise AssertionError(
                        f"a cancelled job ended {view.state}: {view.termination}"
                    )
            else:
                job.stop()
                view = job.wait(timeout_s=30)
                stops.append(time.perf_counter() - began)
                if view.state is not JobState.SUCCEEDED:
                    raise AssertionError(
                        f"a stopped job ended {view.state}: {view.termination}"
                    )
                kept_best += job.result().objective is not None
    # Only warm spares may be left now; nothing after the server has ended.
    everyone = {p.pid: p for p in server.descendants()} | started
    server.stop()
    orphans = survivors(list(everyone.values()))
    return {
        "job": "ilp" if model else "probe",
        "stop": {"count": len(stops), "kept_best": kept_best, **quantiles_ms(stops)},
        "cancel": {"count": len(cancels), **quantiles_ms(cancels)},
        "orphans": [p.pid for p in orphans],
    }


def overhead(server: Server, *, model: Path, seconds: float) -> dict[str, Any]:
    """Measure what the service adds to a long job: wall clock, and its own processor time."""
    with connect(server) as client:
        artifact = client.upload(model)
        gateway = server.process
        before = gateway.cpu_times()
        began = time.perf_counter()
        job = client.submit(IlpSpec(model=artifact), seconds=seconds)
        events = sum(1 for _ in job.incumbents())
        job.wait(timeout_s=seconds + 60)
        wall = time.perf_counter() - began
        after = gateway.cpu_times()
        result = job.result()
    run_s = sum(result.timings_s.values())
    cpu = after.user + after.system - before.user - before.system
    return {
        "budget_s": seconds,
        "wall_s": round(wall, 3),
        "run_s": round(run_s, 3),
        "events": events,
        "termination": result.termination.reason,
        "limit": result.termination.limit,
        "wall_overhead": round((wall - run_s) / run_s, 5),
        "gateway_cpu_share_of_one_core": round(cpu / wall, 5),
        "gateway_cpu_share_of_two_cores": round(cpu / wall / 2, 5),
        "gateway_rss_mb": round(gateway.memory_info().rss / 2**20, 1),
    }
