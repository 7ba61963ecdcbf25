"""Time of a page of the job list over 100,000 stored jobs, by search, filter and order."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import sqlite3
import time
from collections.abc import Iterator
from typing import Any

from workers.bench.service.harness import Server
from workers.bench.service.postgres import PostgresServer

GOAL_MS = 200.0
QUERIES = {
    "newest": "/v1/jobs",
    "search, one job": "/v1/jobs?q=needle",
    "search, none": "/v1/jobs?q=no+such+words",
    "search in failures": "/v1/jobs?q=line+4711&state=FAILED",
    "search, by objective": "/v1/jobs?q=nightly&sort=objective",
    "by objective": "/v1/jobs?sort=-objective",
    "by gap, one kind": "/v1/jobs?sort=gap&kind=ilp",
    "by name": "/v1/jobs?sort=name",
    "by run time": "/v1/jobs?sort=-run_time",
    "by end, one state": "/v1/jobs?sort=-finished&state=FAILED",
    "rare kind": "/v1/jobs?kind=antenna",
    "label": "/v1/jobs?label=run:77",
    "model": "/v1/jobs?model=shipped",
    "days": "/v1/jobs?created_after=2027-01-01&created_before=2027-01-02",
    "page of the browser": "/?q=nightly&sort=-gap",
}
_STATES = ("SUCCEEDED",) * 12 + ("FAILED",) * 3 + ("CANCELLED", "DEAD")
_KINDS = ("ilp",) * 60 + ("sharding",) * 20 + ("compile",) * 19 + ("learn",)
# Of a best solution: some have pictures of kilobytes.
_PICTURE = {"title": "loads", "alt": "loads", "svg": "x" * 3_000}


def fill(database: Any, *, jobs: int, seed: int, mark: str) -> None:
    """Insert ended jobs as copies of the newest row of `job`.

    database: an open DB-API connection; mark: its placeholder.
    """
    rng = random.Random(seed)
    cursor = database.cursor()
    cursor.execute("SELECT * FROM job LIMIT 1")
    names = [column[0] for column in cursor.description]
    base = dict(zip(names, cursor.fetchone(), strict=True))
    cursor.execute("DELETE FROM job")
    marks = ", ".join([mark] * len(names))
    insert = f"INSERT INTO job ({', '.join(names)}) VALUES ({marks})"  # noqa: S608 - own names
    label = f"INSERT INTO job_label (job_id, name, value) VALUES ({mark}, {mark}, {mark})"  # noqa: S608
    for start in range(0, jobs, 2_000):
        rows = [_row(base, n, rng) for n in range(start, min(start + 2_000, jobs))]
        cursor.executemany(insert, [tuple(row[name] for name in names) for row in rows])
        labels = [(row["id"], "run", str(n % 997)) for n, row in enumerate(rows, start)]
        cursor.executemany(label, labels)
    database.commit()


def _row(base: dict[str, Any], number: int, rng: random.Random) -> dict[str, Any]:
    state, kind = rng.choice(_STATES), rng.choice(_KINDS)
    if number % 5_000 == 17:
        kind = "antenna"
    job_id = f"job_{number:026d}"
    name = "" if number % 3 == 0 else f"Nightly {kind} {rng.randrange(10_000)}"
    if number == 1_234:
        name = "The Needle"
    objective, gap = rng.uniform(0, 1e6), rng.random()
    best: dict[str, Any] = {"elapsed_s": 1.0, "objective": objective, "gap": gap}
    if rng.random() < 0.2:
        best["pictures"] = [_PICTURE]
    ending = {"reason": "optimal", "limit": None, "detail": ""}
    failure = ""
    if state in ("FAILED", "DEAD"):
        failure = f"invalid_input line {rng.randrange(10_000)}: expected a number"
        ending = {"reason": "invalid_input", "limit": None, "detail": failure}
    begun = 1_798_000_000_000_000 + number * 20_000_000
    return base | {
        "id": job_id,
        "kind": kind,
        "state": state,
        "name": name,
        "name_key": name.casefold(),
        "search_text": f"{job_id}\n{failure}\nrun={number % 997}",
        "best": json.dumps(best),
        "termination": json.dumps(ending),
        "objective": objective,
        "gap": gap,
        "created_us": begun,
        "started_us": begun + 1_000_000,
        "finished_us": begun + rng.randrange(2_000_000, 90_000_000),
        "labels": json.dumps({"run": str(number % 997)}),
    }


@contextlib.contextmanager
def opened(server: Server, postgres: PostgresServer | None) -> Iterator[tuple[Any, str]]:
    """Open the database of a stopped server; yields (connection, placeholder)."""
    if postgres is None:
        (path,) = server.data_dir.glob("*.sqlite3")
        database: Any = sqlite3.connect(path)
        mark = "?"
    else:
        import psycopg

        database, mark = psycopg.connect(postgres.url), "%s"
    try:
        yield database, mark
    finally:
        database.close()


def measure(
    server: Server, postgres: PostgresServer | None, *, jobs: int, seed: int
) -> dict[str, Any]:
    """Fill the server's database, and time each query as an admin and as one tenant."""
    server.start(ready_within_s=180)
    body = {"kind": "probe", "spec": {"steps": 0}, "budget": {"seconds": 1.0}}
    post(server, "/v1/jobs", server.key, body)
    made = post(server, "/v1/keys", server.key, {"name": "bench", "scopes": ["viewer"]})
    server.stop()
    with opened(server, postgres) as (database, mark):
        fill(database, jobs=jobs, seed=seed, mark=mark)
        database.cursor().execute("ANALYZE")
        database.commit()
    server.start(ready_within_s=180)
    times: dict[str, dict[str, float]] = {}
    for who, key in (("tenant", made["key"]), ("admin", server.key)):
        times[who] = {
            name: _median_ms(server, path, key) for name, path in QUERIES.items()
        }
        if who == "admin":
            times[who].pop("page of the browser", None)
    slowest = max(value for each in times.values() for value in each.values())
    return {
        "jobs": jobs,
        "slowest_ms": slowest,
        "goal_met": slowest < GOAL_MS,
        "ms": times,
    }


def _median_ms(server: Server, path: str, key: str, *, times: int = 9) -> float:
    """Return the median of `times` answers, in milliseconds."""
    spent = []
    for _ in range(times):
        began = time.perf_counter()
        answer = _send(server, "GET", path, key)
        spent.append((time.perf_counter() - began) * 1e3)
        if answer[0] not in (200, 303):
            raise RuntimeError(f"{path}: answered {answer[0]}: {answer[1][:300]!r}")
    return round(sorted(spent)[len(spent) // 2], 1)


def post(server: Server, path: str, key: str, body: Any) -> Any:
    """POST JSON and return the answer. Raises RuntimeError for a refusal."""
    status, answer = _send(server, "POST", path, key, json.dumps(body))
    if status >= 300:
        raise RuntimeError(f"{path}: answered {status}: {answer[:300]!r}")
    return json.loads(answer)


def _send(
    server: Server, method: str, path: str, key: str, body: str | None = None
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        headers = {"Authorization": f"Bearer {key}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
