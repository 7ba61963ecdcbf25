"""`python -m workers batch jobs.jsonl --out results.jsonl`: run a file of jobs here or over Ray.

`python -m workers stream` runs jobs for its parent, as `workers.batch.stream` describes.

Exit codes: 0 all jobs succeeded; 1 some did not (their records say why); 2 invalid arguments or
file; 3 the executor could not be started; 130 interrupted (resume with --resume).
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
from workers.batch.stream import own_streams, serve
from workers.executor import NAMES, open_executor
from workers.types import TaskLimits

LINE_EVERY_S = 10.0
INTERRUPTED = 130


def main(argv: list[str]) -> int:
    """Run a command and return the exit code."""
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
        help="Ray cluster; default: start one on this machine",
    )
    batch.add_argument(
        "--concurrency", type=int, default=os.cpu_count() or 1, help="jobs at once"
    )
    batch.add_argument(
        "--resume",
        action="store_true",
        help="continue an earlier run of the same jobs",
    )
    batch.add_argument(
        "--files",
        type=Path,
        help="folder for the produced files, named by their SHA-256",
    )
    batch.add_argument("--quiet", action="store_true", help="no progress on stderr")
    stream = commands.add_parser("stream", help="run jobs over standard input and output")
    for command in (batch, stream):
        command.add_argument(
            "--sandbox", choices=("auto", "rlimit", "bwrap"), default="auto"
        )
        command.add_argument(
            "--memory-gb", type=float, default=6.0, help="memory limit of a run, GiB"
        )
    stream.add_argument("--kind", default="ilp", help="kind whose modules are preloaded")
    options = parser.parse_args(argv)
    if options.memory_gb <= 0:
        parser.error("--memory-gb: expected a positive number")
    if options.command == "stream":
        return asyncio.run(_stream(options))
    if options.concurrency < 1:
        parser.error("--concurrency: expected a positive number")
    try:
        return _batch(options)
    except (BadBatch, BadJournal, JournalInUse, OSError) as error:
        print(f"batch: {error}", file=sys.stderr)
        return 2


def _batch(options: argparse.Namespace) -> int:
    parquet = options.out if options.out.suffix == ".parquet" else None
    if parquet is not None and parquet.exists() and not options.resume:
        raise BadJournal(
            f"{parquet} exists; continue it with --resume, or give another --out"
        )
    jobs = read_jobs(options.jobs)
    journal_path = (
        options.out
        if parquet is None
        else options.out.with_name(options.out.name + ".jsonl")
    )
    with Journal(journal_path, resume=options.resume) as journal:
        left = pending(jobs, journal)
        code = asyncio.run(_run(options, jobs, left, journal)) if left else 0
        if code == 0 and parquet is not None:
            write_parquet(journal, parquet)
        ids = {job.id for job in jobs}
        states = (
            ", ".join(
                f"{count} {state}" for state, count in sorted(journal.states.items())
            )
            or "no jobs"
        )
        print(
            f"batch: {len(ids & set(journal.done))} of {len(jobs)} jobs done ({states}) in "
            f"{options.out}",
            file=sys.stderr,
        )
        if code:
            return code
        return 0 if set(journal.states) <= {"SUCCEEDED"} else 1


async def _run(
    options: argparse.Namespace,
    jobs: list[BatchJob],
    left: list[BatchJob],
    journal: Journal,
) -> int:
    preload = sorted({_module(job.kind) for job in left if job.kind})
    with (
        tempfile.TemporaryDirectory(prefix="trimtab-batch-") as folder,
        _progress(options, jobs, left) as progress,
    ):
        executor = open_executor(
            options.executor,
            workers=options.concurrency,
            scratch_dir=Path(folder) / "runs",
            sandbox=options.sandbox,
            preload=preload,
            ray_address=options.address,
        )
        try:
            await executor.open()
        except (RuntimeError, ValueError) as error:
            # SandboxUnavailable, RayUnavailable or UnsafeCluster
            print(f"batch: executor {options.executor}: {error}", file=sys.stderr)
            return 3
        # Ray's slots come and go, and its start() waits for one. The inline executor has a single
        # thread.
        room = 1 if options.executor == "inline" else options.concurrency
        batch = Batch(
            executor=executor,
            journal=journal,
            concurrency=room,
            limits=TaskLimits(memory_bytes=round(options.memory_gb * 2**30)),
            files_dir=options.files,
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
            print("batch: interrupted; continue with --resume", file=sys.stderr)
            return INTERRUPTED
        finally:
            await executor.close()
    return 0


async def _stream(options: argparse.Namespace) -> int:
    source, send = own_streams()
    limits = TaskLimits(memory_bytes=round(options.memory_gb * 2**30))
    with tempfile.TemporaryDirectory(prefix="trimtab-stream-") as folder:
        executor = open_executor(
            "process",
            workers=1,
            scratch_dir=Path(folder) / "runs",
            sandbox=options.sandbox,
            preload=[_module(options.kind)],
        )
        try:
            await executor.open()
        except (RuntimeError, ValueError) as error:
            send({"type": "fault", "detail": str(error)})
            return 3
        try:
            await serve(executor, limits, source=source, send=send)
        finally:
            await executor.close()
    return 0


def _module(kind: str) -> str:
    from search.kinds import KINDS

    return KINDS[kind].module


class _Plain:
    """Progress for logs: a line every ten seconds."""

    def __init__(self, total: int, before: int, *, quiet: bool) -> None:
        self._total, self._count, self._quiet = total, before, quiet
        self._last = time.monotonic()

    def done(self, record: Json) -> None:
        self._count += 1
        if not self._quiet and time.monotonic() - self._last >= LINE_EVERY_S:
            self._last = time.monotonic()
            print(f"batch: {self._count} of {self._total}", file=sys.stderr)


class _Bar:
    """Progress bar for terminals."""

    def __init__(self, advance: object) -> None:
        self._advance = advance

    def done(self, record: Json) -> None:
        if callable(self._advance):
            self._advance(record)


@contextlib.contextmanager
def _progress(
    options: argparse.Namespace, jobs: list[BatchJob], left: list[BatchJob]
) -> Iterator[_Plain | _Bar]:
    before = len(jobs) - len(left)
    if options.quiet or not sys.stderr.isatty():
        yield _Plain(len(jobs), before, quiet=options.quiet)
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
