"""`python -m workers batch jobs.jsonl --out results.jsonl`: run a file of jobs here or over a Ray cluster.

Exit codes: 0 all jobs succeeded; 1 some did not (their records say why); 2 the call or a file makes no sense; 3 the executor
could not be started; 130 interrupted (go on with --resume).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from workers.batch.jobs import BadBatch, BatchJob, read_jobs
from workers.batch.journal import BadJournal, Journal, JournalInUse, Json, write_parquet
from workers.batch.run import Batch, pending, run
from workers.executor import NAMES, open_executor
from workers.types import TaskLimits

LINE_EVERY_S = 10.0
INTERRUPTED = 130


def main(argv: list[str]) -> int:
    """Run a command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m workers", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    batch = commands.add_parser("batch", help="run a file of jobs", description=__doc__)
    batch.add_argument("jobs", type=Path, help="JSON lines, one job request each")
    batch.add_argument(
        "--out",
        type=Path,
        required=True,
        help="results: .jsonl, or .parquet (with a journal beside it)",
    )
    batch.add_argument("--executor", choices=NAMES, default="process")
    batch.add_argument(
        "--address",
        default=os.environ.get("RAY_ADDRESS"),
        help="Ray cluster; unset: one of our own",
    )
    batch.add_argument(
        "--concurrency", type=int, default=os.cpu_count() or 1, help="jobs at once"
    )
    batch.add_argument(
        "--resume",
        action="store_true",
        help="go on where an earlier run of the same jobs ended",
    )
    batch.add_argument(
        "--files",
        type=Path,
        help="folder that keeps the produced files, named by their SHA-256",
    )
    batch.add_argument("--sandbox", choices=("auto", "rlimit", "bwrap"), default="auto")
    batch.add_argument(
        "--memory-gb", type=float, default=6.0, help="memory limit of a run, GiB"
    )
    batch.add_argument("--quiet", action="store_true", help="no progress on stderr")
    given = parser.parse_args(argv)
    if given.concurrency < 1 or given.memory_gb <= 0:
        parser.error("--concurrency and --memory-gb want positive numbers")
    try:
        return _batch(given)
    except (BadBatch, BadJournal, JournalInUse, OSError) as error:
        print(f"batch: {error}", file=sys.stderr)
        return 2


def _batch(given: argparse.Namespace) -> int:
    parquet = given.out if given.out.suffix == ".parquet" else None
    if parquet is not None and parquet.exists() and not given.resume:
        raise BadJournal(
            f"{parquet} exists; go on with it by --resume, or give another --out"
        )
    jobs = read_jobs(given.jobs)
    journal_path = (
        given.out if parquet is None else given.out.with_name(given.out.name + ".jsonl")
    )
    with Journal(journal_path, resume=given.resume) as journal:
        left = pending(jobs, journal)
        code = asyncio.run(_run(given, jobs, left, journal)) if left else 0
        if code == 0 and parquet is not None:
            write_parquet(journal, parquet)
        ids = {job.id for job in jobs}
        states = (
            ", ".join(f"{count} {state}" for state, count in sorted(journal.states.items()))
            or "no jobs"
        )
        print(
            f"batch: {len(ids & set(journal.done))} of {len(jobs)} jobs done ({states}) in {given.out}",
            file=sys.stderr,
        )
        if code:
            return code
        return 0 if set(journal.states) <= {"SUCCEEDED"} else 1


async def _run(
    given: argparse.Namespace, jobs: list[BatchJob], left: list[BatchJob], journal: Journal
) -> int:
    preload = tuple(
        sorted(
            {m for name in {job.kind for job in left if job.kind} for m in _preload(name)}
        )
    )
    with (
        tempfile.TemporaryDirectory(prefix="trimtab-batch-") as folder,
        _progress(given, jobs, left) as progress,
    ):
        executor = open_executor(
            given.executor,
            workers=given.concurrency,
            scratch_dir=Path(folder) / "runs",
            sandbox=given.sandbox,
            preload=preload,
            ray_address=given.address,
        )
        try:
            await executor.open()
        except (
            RuntimeError,
            ValueError,
        ) as error:  # SandboxUnavailable, RayUnavailable, UnsafeCluster
            print(f"batch: executor {given.executor}: {error}", file=sys.stderr)
            return 3
        # Ray's slots come and go: its start() waits for one. The inline executor has one thread, whatever is asked.
        room = 1 if given.executor == "inline" else given.concurrency
        batch = Batch(
            executor=executor,
            journal=journal,
            concurrency=room,
            limits=TaskLimits(memory_bytes=round(given.memory_gb * 2**30)),
            files_dir=given.files,
        )
        running = asyncio.create_task(
            run(batch, left, rng=random.Random(), on_done=progress.done)
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, running.cancel)
        try:
            await running
        except asyncio.CancelledError:
            print("batch: interrupted; go on with --resume", file=sys.stderr)
            return INTERRUPTED
        finally:
            await executor.close()
    return 0


def _preload(kind: str) -> tuple[str, ...]:
    from search.domains import KINDS

    return KINDS[kind].preload


class _Plain:
    """A line now and then, for logs."""

    def __init__(self, total: int, before: int, *, quiet: bool) -> None:
        self._total, self._count, self._quiet = total, before, quiet
        self._last = time.monotonic()

    def done(self, record: Json) -> None:
        self._count += 1
        if not self._quiet and time.monotonic() - self._last >= LINE_EVERY_S:
            self._last = time.monotonic()
            print(f"batch: {self._count} of {self._total}", file=sys.stderr)


class _Bar:
    """A bar, for people."""

    def __init__(self, advance: object) -> None:
        self._advance = advance

    def done(self, record: Json) -> None:
        if callable(self._advance):
            self._advance(record)


@contextlib.contextmanager
def _progress(
    given: argparse.Namespace, jobs: list[BatchJob], left: list[BatchJob]
) -> Iterator[_Plain | _Bar]:
    before = len(jobs) - len(left)
    if given.quiet or not sys.stderr.isatty():
        yield _Plain(len(jobs), before, quiet=given.quiet)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("jobs", total=len(jobs), completed=before)
        yield _Bar(lambda record: bar.advance(task))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
