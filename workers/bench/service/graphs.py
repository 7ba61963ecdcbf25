"""Graphs of jobs under kill -9 of the whole service and of its workers.

Every graph's end is compared with an oracle that knows no order of events, and the order is read
from the database: no attempt of a job began before all its parents had ended.
"""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Sequence
from typing import Any

from workers.bench.service.chaos import BROKEN, Breach, Faults, ended_jobs, read_rows
from workers.bench.service.harness import Server
from workers.bench.service.http import LeanClient

FAIL_SHARE = 0.12  # of jobs end FAILED by themselves
DONE_SHARE = 0.3  # of edges are satisfied by any end
FILE_SHARE = 0.02  # of graphs pass a solution file from one integer program to another
PLAN_SHARE = 1 / 3  # of graphs are a plan that rests, is approved, and waits for a job
_PLAN: dict[str, Any] = {
    "kind": "plan",
    "spec": {"goal": "Solve model.lp in 20 seconds.", "text_model": "none"},
    "budget": {"seconds": 60.0},
    "max_attempts": 10,
}
_LEAVES = 1
_MODEL = "Minimize\n obj: 2 x + 3 y\nSubject To\n c: x + y >= 3\nGeneral\n x y\nEnd\n"


def random_graph(rng: random.Random) -> list[dict[str, Any]]:
    """Return a batch of 2 to 20 jobs, each after up to three earlier ones."""
    if rng.random() < FILE_SHARE:
        return _file_graph()
    jobs = []
    for index in range(rng.randint(2, 20)):
        parents = rng.sample(range(index), min(index, rng.randint(0, 3)))
        fails = rng.random() < FAIL_SHARE
        jobs.append(
            {
                "kind": "probe",
                "spec": {
                    "steps": 1,
                    "step_seconds": 0.3 if rng.random() < 0.1 else 0.0,
                    "outcome": "invalid" if fails else "succeed",
                },
                "budget": {"seconds": 120.0},
                "max_attempts": 10,
                "after": [
                    {
                        "job": f"#{parent}",
                        "needs": "done" if rng.random() < DONE_SHARE else "success",
                    }
                    for parent in sorted(parents)
                ],
            }
        )
    return jobs


def _file_graph() -> list[dict[str, Any]]:
    spec: dict[str, Any] = {"model_text": _MODEL, "format": "lp"}
    start = {"job": "#0", "output": "solution.sol"}
    common = {"kind": "ilp", "budget": {"seconds": 60.0}, "max_attempts": 10}
    return [
        {**common, "spec": spec},
        {**common, "spec": {**spec, "warm_start": start}},
    ]


def expected_states(jobs: Sequence[dict[str, Any]]) -> list[str]:
    """Return the final state of every job of a graph, whatever the order of events."""
    states: list[str] = []
    for job in jobs:
        needed = [
            int(parent["job"][1:])
            for parent in job.get("after", ())
            if parent["needs"] == "success"
        ]
        if any(states[parent] != "SUCCEEDED" for parent in needed):
            states.append("SKIPPED")
        else:
            invalid = job["spec"].get("outcome") == "invalid"
            states.append("FAILED" if invalid else "SUCCEEDED")
    return states


async def kill_graphs(
    server: Server,
    *,
    graphs: int,
    gateway_kills: int,
    worker_kills: int,
    plan_share: float = PLAN_SHARE,
    seed: int = 0,
    timeout_s: float = 7200,
) -> dict[str, Any]:
    """Run random graphs while the service and its workers are killed. Raises Breach."""
    rng = random.Random(seed)
    plans = round(plan_share * graphs)
    plan = await _plan(server)
    batches = [*([plan] for _ in range(plans))]
    batches += [random_graph(rng) for _ in range(graphs - plans)]
    rng.shuffle(batches)
    total = sum(map(len, batches)) + _LEAVES * plans
    began = time.perf_counter()
    ids: dict[int, list[str]] = {}
    load = asyncio.create_task(_submit_all(server, batches, ids))
    faults = Faults(
        server=server,
        rng=rng,
        lease_s=2.0,
        pending=[signal.SIGKILL] * worker_kills,
    )
    killed, done, approve_at = 0, 0, began
    while done < total or not load.done():
        if time.perf_counter() - began > timeout_s:
            raise Breach(f"{total - done} of {total} jobs had not ended in {timeout_s} s")
        if killed < gateway_kills and done >= total * (killed + 0.5) / gateway_kills:
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
            killed += 1
        else:
            faults.step(done / total)
        await asyncio.sleep(0.05)
        if load.done():
            load.result()
        if plans and time.perf_counter() >= approve_at:
            await _approve(server)
            approve_at = time.perf_counter() + 1.0
        done = await _ended(server)
    seconds = time.perf_counter() - began
    server.stop()
    return {
        "graphs": graphs,
        "plans": plans,
        "jobs": total,
        "service_kills": killed,
        "worker_kills": faults.made["SIGKILL"],
        "seconds": round(seconds, 1),
        **_check(server, batches, ids),
    }


async def _plan(server: Server) -> dict[str, Any]:
    """Return a plan for a small model that the server has got."""
    client = LeanClient(server.port, server.key, timeout_s=60)
    answer = await client.request("POST", "/v1/artifacts?name=model.lp", _MODEL.encode())
    client.close()
    if answer.status >= 300:
        raise Breach(f"upload answered {answer.status}: {answer.body[:400]!r}")
    digest = answer.json()["digest"]
    spec = {**_PLAN["spec"], "files": {"model.lp": {"digest": digest}}}
    return {**_PLAN, "spec": spec}


async def _submit_all(
    server: Server, batches: Sequence[list[dict[str, Any]]], ids: dict[int, list[str]]
) -> None:
    """Submit every graph exactly once through failures."""
    client = LeanClient(server.port, server.key, timeout_s=20)
    for number, jobs in enumerate(batches):
        headers = {"Idempotency-Key": f"graph-{number}"}
        while number not in ids:
            try:
                answer = await client.request(
                    "POST", "/v1/jobs:batch", {"jobs": jobs}, headers
                )
            except BROKEN:
                await asyncio.sleep(0.05)
                continue
            if answer.status < 300:
                ids[number] = [job["id"] for job in answer.json()["items"]]
            elif answer.status in (429, 503):
                await asyncio.sleep(0.2)
            else:
                raise Breach(f"submit answered {answer.status}: {answer.body[:400]!r}")
    client.close()


async def _approve(server: Server) -> None:
    """Approve the outlines that wait for their owner; a lost answer is no harm."""
    client = LeanClient(server.port, server.key, timeout_s=20)
    try:
        listed = await client.request("GET", "/v1/jobs?state=AWAITING_APPROVAL")
        for job in listed.json()["items"]:
            path = f"/v1/jobs/{job['id']}/outline"
            seen = (await client.request("GET", path)).json()
            body = {"revision": seen["revision"], "digest": seen["digest"]}
            await client.request("POST", f"{path}/approve", body)
    except (*BROKEN, KeyError):
        return
    finally:
        client.close()


async def _ended(server: Server) -> int:
    client = LeanClient(server.port, server.key, timeout_s=20)
    try:
        return await ended_jobs(client)
    except BROKEN:
        return 0
    finally:
        client.close()


def _check(
    server: Server,
    batches: Sequence[list[dict[str, Any]]],
    ids: dict[int, list[str]],
) -> dict[str, Any]:
    """Compare the database with the oracle, and the order of events with the edges."""
    states = dict(read_rows(server, "SELECT id, state FROM job"))
    wrong = [
        (job_id, want, states.get(job_id))
        for number, jobs in enumerate(batches)
        for job_id, want in zip(ids[number], expected_states(jobs), strict=True)
        if states.get(job_id) != want
    ]
    plans = [
        ids[number][0] for number, jobs in enumerate(batches) if jobs[0]["kind"] == "plan"
    ]
    started = read_rows(server, "SELECT graph, state FROM job WHERE graph != id")
    for plan in plans:
        own = [state for graph, state in started if graph == plan]
        if own != ["SUCCEEDED"] * _LEAVES:
            wrong.append((plan, "its jobs SUCCEEDED", str(own)))
    if wrong or len(states) != sum(map(len, batches)) + _LEAVES * len(plans):
        raise Breach(f"{len(wrong)} final states differ, e.g. {wrong[:3]}")
    early = read_rows(
        server,
        "SELECT e.child FROM job_edge e JOIN job p ON p.id = e.parent "
        "JOIN attempt a ON a.job_id = e.child JOIN job c ON c.id = e.child "
        # A plan runs before it has jobs; its report begins after all of them.
        "WHERE (c.graph IS NULL OR c.graph != c.id OR a.outcome = 'result') "
        "AND (p.finished_us IS NULL OR a.started_us < p.finished_us)",
    )
    ran = read_rows(
        server,
        "SELECT j.id FROM job j JOIN attempt a ON a.job_id = j.id "
        "WHERE j.state = 'SKIPPED'",
    )
    twice = read_rows(
        server,
        "SELECT job_id FROM attempt WHERE outcome IN ('result', 'failed') "
        "GROUP BY job_id HAVING count(*) > 1",
    )
    unresolved = read_rows(server, "SELECT job_id FROM job_input WHERE digest IS NULL")
    if early or ran or twice or unresolved:
        raise Breach(
            f"early {early[:3]}, skipped but run {ran[:3]}, run twice {twice[:3]}, "
            f"started without their file {unresolved[:3]}"
        )
    counted = [state for jobs in batches for state in expected_states(jobs)]
    return {
        "edges": read_rows(server, "SELECT count(*) FROM job_edge")[0][0],
        "skipped": counted.count("SKIPPED"),
        "lost": 0,
        "run_twice": 0,
        "started_early": 0,
    }
