"""Batch runs: thousands of jobs from a file, over an executor, without a server.

    read the lines → skip those in the journal → run `concurrency` at a time → append the record

Lost attempts are repeated. A run can be killed and resumed at any moment.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from search.kinds import KINDS, Kind
from trimtab.results import Limit, Reason, Termination
from workers.batch.jobs import BatchJob
from workers.batch.journal import BadJournal, Journal, Json
from workers.retry import RETRIED, Backoff
from workers.types import (
    Execution,
    Executor,
    Finish,
    Outcome,
    OutcomeStatus,
    ProducedFile,
    Progress,
    Task,
    TaskLimits,
)

# A child sends a frame every 0.5 s; after this much silence it is killed and tried again.
SILENCE_S = 60.0
_ATTEMPTS_LOST = Finish(
    ended=Termination(
        reason=Reason.WORKER_LOST,
        limit=Limit.ATTEMPTS,
        detail="the workers of all attempts were lost",
    )
)
STATES = {
    OutcomeStatus.RESULT: "SUCCEEDED",
    OutcomeStatus.FAILED: "FAILED",
    OutcomeStatus.CANCELLED: "CANCELLED",
    OutcomeStatus.LOST: "DEAD",
    OutcomeStatus.TRANSIENT: "DEAD",
}


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """Settings of one job's run."""

    executor: Executor
    limits: TaskLimits
    files_dir: Path | None = None  # folder for produced files, named by their SHA-256
    kinds: Mapping[str, Kind] = field(default_factory=lambda: KINDS)
    backoff: Backoff = field(default_factory=Backoff)
    silence_s: float = SILENCE_S
    on_start: Callable[[Execution], None] = lambda execution: None  # of each attempt
    on_event: Callable[[Progress], None] = lambda progress: None


@dataclass(frozen=True, kw_only=True)
class Batch(RunContext):
    """Settings of a batch run."""

    journal: Journal
    concurrency: int


def pending(jobs: Sequence[BatchJob], journal: Journal) -> list[BatchJob]:
    """Return the jobs not in the journal. Raises BadJournal for an id of another request."""
    left = []
    for job in jobs:
        digest = journal.done.get(job.id)
        if digest is None:
            left.append(job)
        elif digest != job.digest:
            raise BadJournal(
                f"{journal.path} has a result for id {job.id!r} (line {job.line}), but of another "
                "request or of other file contents; give another --out, or another id"
            )
    return left


async def run(
    batch: Batch,
    jobs: Sequence[BatchJob],
    *,
    rng: random.Random,
    on_done: Callable[[Json], None] = lambda record: None,
) -> None:
    """Run all jobs. Those that run when this is cancelled get no record and are run by a resume."""
    waiting = iter(jobs)

    async def worker() -> None:
        for job in waiting:
            record = await run_job(batch, job, rng)
            # fsync blocks the loop for a moment; a record must not be lost.
            batch.journal.append(record)
            on_done(record)

    async with asyncio.TaskGroup() as group:
        for _ in range(max(1, min(batch.concurrency, len(jobs)))):
            group.create_task(worker())


async def run_job(context: RunContext, job: BatchJob, rng: random.Random) -> Json:
    """Run one job, lost attempts included, and return its record. Cancel it to discard the run."""
    began = time.monotonic()
    attempts = 0
    artifacts: Json = {}
    best: bytes | None = None  # of the attempts that were lost
    if job.request is None:
        outcome = _outcome(OutcomeStatus.FAILED, Reason.INVALID_INPUT, job.problem)
    else:
        while True:
            attempts += 1
            outcome, artifacts, best = await _attempt(context, job, attempts, best)
            # One attempt more when there is a checkpoint: it only verifies and writes that.
            most = job.request.max_attempts + (best is not None)
            if outcome.status not in RETRIED or attempts >= most:
                break
            await asyncio.sleep(context.backoff.delay_s(attempts, rng))
    termination = outcome.termination
    if outcome.status in RETRIED:
        termination = termination.model_copy(update={"limit": Limit.ATTEMPTS})
    rest = outcome.rest
    if rest is not None:
        detail = "a batch has no owner to answer or approve: submit this job to a server"
        termination = termination.model_copy(update={"detail": detail})
    return {
        "id": job.id,
        "line": job.line,
        "digest": job.digest,
        "kind": job.kind,
        "state": STATES[outcome.status] if rest is None else rest.state.value,
        "termination": termination.model_dump(mode="json"),
        "attempts": attempts,
        "seconds": round(time.monotonic() - began, 6),
        "usage": dict(outcome.usage),
        "result": _result(outcome, artifacts),
    }


def _result(outcome: Outcome, artifacts: Json) -> Json | None:
    """Return the result of a run; of one that rests, the outline that it shows its owner."""
    if outcome.rest is not None:
        return {"outline": outcome.rest.memo.get("outline")}
    return None if outcome.result is None else {**outcome.result, "artifacts": artifacts}


async def _attempt(
    context: RunContext, job: BatchJob, number: int, best: bytes | None
) -> tuple[Outcome, Json, bytes | None]:
    """Run one attempt; return its outcome, its files, and the checkpoint for the next one."""
    try:
        execution = await context.executor.start(_task(context, job, number, best))
    except Exception as error:
        # No memory to fork, or an unreachable cluster: another attempt may succeed.
        detail = f"no worker could be started: {error}"
        outcome = _outcome(OutcomeStatus.TRANSIENT, Reason.WORKER_LOST, detail)
        return outcome, {}, best
    silent = False

    async def guard() -> None:
        nonlocal silent
        while True:
            await asyncio.sleep(min(1.0, context.silence_s / 4))
            if execution.silent_s > context.silence_s:
                silent = True
                await execution.cancel()
                return

    guarding = asyncio.create_task(guard())
    try:
        context.on_start(execution)
        async for progress in execution.events():
            context.on_event(progress)
        outcome = await execution.result()
        if outcome.status is OutcomeStatus.CANCELLED:  # not by an owner: a batch has none
            why = "the executor ended it"
            if silent:
                why = f"no report for {context.silence_s:g} s"
            lost = _outcome(OutcomeStatus.LOST, Reason.WORKER_LOST, why)
            outcome = replace(lost, usage=outcome.usage)
        artifacts: Json = {}
        try:
            artifacts = await asyncio.to_thread(
                _store_files, outcome.produced, context.files_dir
            )
        except OSError as error:
            detail = f"the files could not be stored: {error}"
            outcome = _outcome(OutcomeStatus.TRANSIENT, Reason.WORKER_LOST, detail)
        if outcome.status in RETRIED:
            best = await execution.checkpoint() or best
        return outcome, artifacts, best
    finally:
        guarding.cancel()
        await execution.close()


def _task(context: RunContext, job: BatchJob, number: int, best: bytes | None) -> Task:
    request = job.request
    if request is None:
        raise ValueError(f"job {job.id} has no request")
    kind = context.kinds[job.kind]
    return Task(
        job_id=job.id,
        fence=number,
        kind=job.kind,
        builder=kind.builder,
        spec_class=kind.spec_class,
        spec=request.spec.model_dump(mode="json"),
        seed=request.seed,
        budget=request.budget.model_dump(mode="json"),
        inputs=job.inputs,
        input_names={name: path.name for name, path in job.inputs.items()},
        limits=context.limits,
        baseline=kind.baseline,
        resumes=kind.resumes,
        model=request.model,
        needs=kind.needs,
        start=best,
        finish=_ATTEMPTS_LOST
        if best is not None and number > request.max_attempts
        else None,
    )


def _store_files(produced: Sequence[ProducedFile], folder: Path | None) -> Json:
    references: Json = {}
    for file in produced:
        with file.path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            temporary = folder / f".{digest}.{time.monotonic_ns()}"
            shutil.copyfile(file.path, temporary)
            temporary.replace(folder / digest)
        references[file.name] = {
            "digest": f"sha256:{digest}",
            "name": file.name,
            "size_bytes": file.path.stat().st_size,
            "media_type": file.media_type,
        }
    return references


def _outcome(status: OutcomeStatus, reason: Reason, detail: str, **more: Any) -> Outcome:
    return Outcome(
        status=status, termination=Termination(reason=reason, detail=detail), **more
    )
