"""SIGKILL of a process that submits graphs and runs their jobs: the end is as it must be.

1,000 graphs at full scale, with 25 kills. Every third one is a plan: it asks, rests, is approved,
starts the graph's jobs, and then one more as a repair. Workers here only end jobs; with real runs
in sandboxes, see `python -m workers.bench service kill-graphs`.
"""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SERVICE = """
import asyncio, pathlib, sys
from services.store.sql_store import SqlStore
from tests.services.store.test_graphs_crash import serve

async def main():
    store = SqlStore.on_sqlite(pathlib.Path(sys.argv[1]))
    await store.open()
    await serve(store, int(sys.argv[2]))
    await store.close()

asyncio.run(main())
"""
LEASE_S = 0.2
FULL_GRAPHS = 1000


def random_graph(number: int) -> list[dict[str, Any]]:
    """Return 2 to 20 jobs: own end, parents with what is needed, parents whose file is read."""
    rng = random.Random(number)
    jobs: list[dict[str, Any]] = []
    for index in range(rng.randint(2, 20)):
        others = rng.sample(range(index), min(index, rng.randint(0, 3)))
        reads = [parent for parent in others if rng.random() < 0.3]
        jobs.append(
            {
                "ends": rng.choice(["succeed"] * 7 + ["fail", "without file"]),
                "after": {
                    parent: rng.random() < 0.6 for parent in others if parent not in reads
                },
                "reads": reads,
            }
        )
    return jobs


def expected(jobs: list[dict[str, Any]]) -> list[str]:
    """Return every job's final state, whatever the order of events."""
    states: list[str] = []
    for job in jobs:
        needed = [parent for parent, success in job["after"].items() if success]
        lost = any(states[parent] != "SUCCEEDED" for parent in (*needed, *job["reads"]))
        missing = any(jobs[parent]["ends"] == "without file" for parent in job["reads"])
        if lost or missing:
            states.append("SKIPPED")
        else:
            states.append("FAILED" if job["ends"] == "fail" else "SUCCEEDED")
    return states


def is_plan(number: int) -> bool:
    return number % 3 == 0


def stored(number: int) -> list[Any]:
    """Return the jobs of a graph, as they are submitted or started by a plan."""
    from services.store.types import After, OutputInput
    from tests.contracts.store import new_job

    return [
        new_job(
            spec={"ends": job["ends"], "files": [{"digest": "?"} for _ in job["reads"]]},
            max_attempts=100,
            after=[
                After(job=parent, needs_success=success)
                for parent, success in job["after"].items()
            ],
            inputs=[
                OutputInput(path=("files", place), job=parent, output="out")
                for place, parent in enumerate(job["reads"])
            ],
        )
        for job in random_graph(number)
    ]


def memo(step: str) -> Any:
    from services.store.types import Memo

    return Memo(body={"outline": {}, "step": step}, digest=step)


async def end_of(store: Any, claim: Any) -> Any:
    """Return what a worker reports for a claim."""
    from services.store.types import Completion
    from tests.contracts.store import new_job

    termination = {"reason": "completed", "limit": None, "detail": ""}
    rests = {"termination": termination, "outcome": "rested"}
    spec = claim.job.spec
    if claim.job.kind == "plan":
        stored_memo = await store.memo(claim.job.id)
        match None if stored_memo is None else stored_memo.body["step"]:
            case None:
                return Completion(verb="hold", memo=memo("asked"), asks=True, **rests)
            case "answered":
                return Completion(verb="hold", memo=memo("shown"), **rests)
            case "shown":
                repair = new_job(spec={"ends": "succeed", "files": []}, max_attempts=100)
                return Completion(
                    verb="suspend", memo=memo("repaired"), children=[repair], **rests
                )
        result: Any = {"artifacts": {}}
        return Completion(
            verb="succeed", termination=termination, outcome="result", result=result
        )
    assert all(file["digest"] == "sha256:out" for file in spec["files"])
    fails = spec["ends"] == "fail"
    artifacts = {"out": {"digest": "sha256:out"}}
    if spec["ends"] == "without file":
        artifacts = {}
    return Completion(
        verb="fail" if fails else "succeed",
        termination=termination,
        outcome="failed" if fails else "result",
        result=None if fails else {"artifacts": artifacts},
    )


async def serve(store: Any, graphs: int) -> None:
    """Submit every graph under a key of its own, and run jobs until all have ended."""
    import asyncio

    from services.errors import Conflict, StaleFence
    from services.store.types import Approval, JobFilter
    from tests.contracts.store import key, new_job
    from trimtab.results import RESTING, JobState

    async def submit() -> None:
        for number in range(graphs):
            jobs = stored(number)
            if is_plan(number):
                spec = {"number": number}
                jobs = [new_job(kind="plan", spec=spec, max_attempts=100)]
            await store.submit_many(jobs, key(f"graph-{number}"))

    async def own() -> None:
        """Answer and approve whatever rests; repeat some approvals, as a client may."""
        where = JobFilter(states=sorted(RESTING))
        for listed in await store.list_jobs(where, limit=20):
            seen = await store.memo(listed.id)
            job = await store.get(listed.id)
            try:
                if job.state is JobState.NEEDS_INPUT:
                    await store.answer(job.id, memo("answered"), revision=seen.revision)
                    continue
                jobs = stored(job.spec["number"])
                approval = Approval(digest=seen.digest, children=jobs)
                for _ in range(2):
                    await store.approve(job.id, approval, revision=seen.revision)
            except Conflict:
                continue  # answered meanwhile

    async def work(name: str, submitting: asyncio.Task[None]) -> None:
        while True:
            await store.sweep()
            await own()
            claims = await store.claim(
                name, kinds=["probe", "plan"], lease_s=LEASE_S, limit=4
            )
            for claim in claims:
                completion = await end_of(store, claim)
                try:
                    await store.complete(claim.job.id, claim.fence, completion)
                except StaleFence:
                    continue
            counts = await store.counts()
            active = sum(n for state, n in counts.items() if not state.is_terminal)
            if submitting.done() and not active:
                return
            if not claims:
                await asyncio.sleep(0.01)

    submitting = asyncio.create_task(submit())
    await asyncio.gather(submitting, *(work(f"w{n}", submitting) for n in range(4)))
    print("all ended", flush=True)


@pytest.mark.chaos
def test_kill_9_of_a_service_with_graphs(tmp_path: Path, scale: float) -> None:
    path = tmp_path / "x.sqlite3"
    graphs = max(30, round(FULL_GRAPHS * scale))
    kills = max(3, round(25 * scale))
    total = sum(
        len(random_graph(number)) + 2 * is_plan(number) for number in range(graphs)
    )
    command = [sys.executable, "-c", SERVICE, str(path), str(graphs)]
    for kill in range(1, kills + 1):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            while process.poll() is None and ended(path) < total * kill / (kills + 1):
                pass
            process.send_signal(signal.SIGKILL)
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200)
    assert done.stdout == "all ended\n", done.stderr[-2000:]
    check(path, graphs)


def rows(path: Path, query: str) -> list[Any]:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30) as raw:
        return raw.execute(query).fetchall()


def ended(path: Path) -> int:
    """Return how many jobs have ended; 0 before there is a database."""
    try:
        query = "SELECT count(*) FROM job WHERE finished_us IS NOT NULL"
        return int(rows(path, query)[0][0])
    except sqlite3.OperationalError:
        return 0


def check(path: Path, graphs: int) -> None:
    # Ids are in the order of the submits, also across restarts; jobs of plans in their own.
    single = rows(path, "SELECT state FROM job WHERE graph IS NULL ORDER BY id")
    assert [state for (state,) in single] == [
        state
        for number in range(graphs)
        if not is_plan(number)
        for state in expected(random_graph(number))
    ]
    plans = rows(path, "SELECT id, state FROM job WHERE graph = id ORDER BY id")
    assert len(plans) == sum(map(is_plan, range(graphs)))
    for number, (plan, state) in zip(filter(is_plan, range(graphs)), plans, strict=True):
        own = f"SELECT state FROM job WHERE graph = '{plan}' AND id != graph ORDER BY id"
        wanted = [*expected(random_graph(number)), "SUCCEEDED"]
        assert (state, [one for (one,) in rows(path, own)]) == ("SUCCEEDED", wanted)
        # Asked, shown, repaired: each run that rested counted once.
        ends = rows(path, f"SELECT outcome FROM attempt WHERE job_id = '{plan}'")
        assert [end for (end,) in ends if end != "lost"] == ["rested"] * 3 + ["result"]
    assert rows(path, "SELECT max(waits) FROM job WHERE state != 'SKIPPED'") == [(0,)]
    early = (
        "SELECT count(*) FROM job_edge e JOIN job p ON p.id = e.parent "
        "JOIN job c ON c.id = e.child JOIN attempt a ON a.job_id = e.child "
        # A plan runs before it has jobs; its report begins after all of them.
        "WHERE a.started_us < p.finished_us AND (c.graph IS NULL OR c.graph != c.id "
        "OR a.outcome = 'result')"
    )
    assert rows(path, early) == [(0,)]
    twice = (
        "SELECT count(*) FROM (SELECT job_id FROM attempt WHERE outcome IN "
        "('result', 'failed') GROUP BY job_id HAVING count(*) > 1)"
    )
    assert rows(path, twice) == [(0,)]
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
