"""SIGKILL of a process that submits: every acknowledged job is stored, and the file is intact."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from services.store.sql_store import SqlStore
from tests.contracts.store import key, new_job
from trimtab.results import JobState

SUBMITTER = """
import asyncio, pathlib, sys
from services.store.sql_store import SqlStore
from tests.contracts.store import key, new_job

async def main():
    store = SqlStore.on_sqlite(pathlib.Path(sys.argv[1]))
    await store.open()
    async def submit(lane):
        for n in range(10**6):
            name = f"{sys.argv[2]}-{lane}-{n}"
            done = await store.submit(new_job(), key(name))
            print(name, done.job.id, flush=True)
    await asyncio.gather(*(submit(lane) for lane in range(8)))

asyncio.run(main())
"""


@pytest.mark.chaos
def test_kill_9_loses_no_acknowledged_job(tmp_path: Path, scale: float) -> None:
    path = tmp_path / "x.sqlite3"
    acked: dict[str, str] = {}
    turns = max(2, round(25 * scale))
    for turn in range(turns):
        with subprocess.Popen(
            [sys.executable, "-c", SUBMITTER, str(path), str(turn)],
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            for count, line in enumerate(process.stdout):
                if count == 150 + 37 * turn:
                    # What it had printed by then is read to the end.
                    process.send_signal(signal.SIGKILL)
                if line.endswith("\n"):
                    name, job_id = line.split()
                    acked[name] = job_id
        assert process.returncode == -signal.SIGKILL

    raw = sqlite3.connect(path)
    assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    raw.close()

    async def main() -> None:
        store = SqlStore.on_sqlite(path)
        await store.open()
        before = (await store.counts())[JobState.QUEUED]
        # At most the eight submits in flight at each kill were stored and not acknowledged.
        assert len(acked) <= before <= len(acked) + 8 * turns
        for name, job_id in acked.items():
            again = await store.submit(new_job(), key(name))
            assert (again.job.id, again.replayed) == (job_id, True)
        assert (await store.counts())[JobState.QUEUED] == before
        await store.close()

    assert len(set(acked.values())) == len(acked) > 200
    asyncio.run(main())
