"""Graphs of jobs: what the end, the submit or the re-drive of a job does to its relatives.

One algorithm for all stores. A store calls `settle` in the transaction in which a job ends, so
that no crash can separate the end of a parent from its effect on the children. `Links` is the
store's part: edges, locked jobs, and writing.

Two rules: a child that *needs success* is skipped as soon as that parent ends otherwise; any
other end counts. So the order in which parents end does not change the children's final states.

An edge leads from an older job to a younger one, because a submit can name only stored jobs and
earlier jobs of its own: a cycle cannot be expressed. The one exception is a plan, which waits for
jobs that it started (`services.store.plans`); these may name only one another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from services.errors import Conflict
from services.store import changes
from services.store.changes import JobChange
from services.store.refusals import no_such_job
from services.store.types import (
    After,
    Edge,
    JobRecord,
    Json,
    MemoRecord,
    NewJob,
    OutputInput,
    PendingInput,
)
from trimtab.results import JobState, Reason


class Links(Protocol):
    """Relatives of jobs within one transaction."""

    def edges_from(self, parents: Sequence[str]) -> list[Edge]:
        """Return the edges to children of these jobs."""
        ...

    def edges_to(self, children: Sequence[str]) -> list[Edge]:
        """Return the edges from parents of these jobs."""
        ...

    def inputs_to(self, children: Sequence[str]) -> list[PendingInput]:
        """Return the files that these jobs read and whose digests are not known yet."""
        ...

    def read(self, job_ids: Sequence[str]) -> list[JobRecord]:
        """Return jobs with their results."""
        ...

    def lock(self, job_ids: Sequence[str]) -> list[JobRecord]:
        """Return the jobs with their specs, in order of ids, locked until the end."""
        ...

    def share(self, job_ids: Sequence[str]) -> list[JobRecord]:
        """Return those jobs that exist; none of them can end before this transaction has."""
        ...

    def members(self, plan_id: str) -> list[str]:
        """Return the jobs of a plan that have not ended, in order of ids."""
        ...

    def memo(self, job_id: str) -> MemoRecord | None:
        """Return the memo of a job; None without one."""
        ...

    def states(self, job_ids: Sequence[str]) -> Mapping[str, JobState]:
        """Return the present states of jobs."""
        ...

    def write(
        self, written: Sequence[JobChange], resolved: Sequence[PendingInput]
    ) -> None:
        """Write changes of jobs, and the digests of files that are known now."""
        ...


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A new job with its place in the graph."""

    change: JobChange
    edges: tuple[Edge, ...]
    inputs: tuple[PendingInput, ...]


def settle(ended: Iterable[JobRecord], links: Links, now_us: int) -> None:
    """Queue or skip the jobs that waited for `ended`, and those that waited for skipped ones."""
    frontier: dict[str, JobRecord] = {job.id: job for job in ended}
    while frontier:
        into: dict[str, list[Edge]] = defaultdict(list)
        for edge in links.edges_from(list(frontier)):
            into[edge.child].append(edge)
        waiting = [
            job for job in links.lock(sorted(into)) if job.state is JobState.WAITING
        ]
        written = [_settled(job, into[job.id], frontier, now_us) for job in waiting]
        written = _write(waiting, written, links, now_us)
        frontier = {
            change.job.id: change.job
            for change in written
            if change.job.state is JobState.SKIPPED
        }


def _settled(
    job: JobRecord,
    edges: Sequence[Edge],
    ended: Mapping[str, JobRecord],
    now_us: int,
) -> JobChange:
    """Return what the end of some parents does to one waiting job."""
    for edge in edges:
        parent = ended[edge.parent]
        if edge.needs_success and parent.state is not JobState.SUCCEEDED:
            return changes.skipped(job, Reason.PARENT_FAILED, _blame(parent), now_us)
    return changes.settled(job, len(edges), now_us)


def _write(
    before: Sequence[JobRecord],
    written: Sequence[JobChange],
    links: Links,
    now_us: int,
) -> list[JobChange]:
    """Write changes; the specs of jobs that are queued now get the digests of their files.

    A job whose file was not produced is skipped instead. Returns what was written.
    """
    queued = [one.job.id for one in written if one.job.state is JobState.QUEUED]
    files: dict[str, list[PendingInput]] = defaultdict(list)
    for file in links.inputs_to(queued) if queued else ():
        files[file.child].append(file)
    needed = {file.parent for group in files.values() for file in group}
    parents = {job.id: job for job in links.read(sorted(needed))}
    done: list[JobChange] = []
    resolved: list[PendingInput] = []
    for job, change in zip(before, written, strict=True):
        known = [
            replace(file, digest=_digest_of(parents[file.parent], file.output))
            for file in files[change.job.id]
        ]
        missing = [file for file in known if file.digest is None]
        if missing:
            done.append(_missing(job, missing[0], now_us))
        else:
            done.append(_with_files(change, known))
            resolved += known
    links.write(done, resolved)
    return done


def _missing(job: JobRecord, file: PendingInput, now_us: int) -> JobChange:
    detail = f"job {file.parent} succeeded without the file {file.output!r}"
    return changes.skipped(
        replace(job, state=JobState.WAITING), Reason.INPUT_MISSING, detail, now_us
    )


def _blame(parent: JobRecord) -> str:
    """Return a sentence that names the job at which a chain of skips began."""
    if parent.state is JobState.SKIPPED and parent.termination is not None:
        return str(parent.termination.get("detail"))
    why = (parent.termination or {}).get("detail")
    return f"job {parent.id} ended {parent.state.value}" + (f": {why}" if why else "")


def _digest_of(parent: JobRecord, output: str) -> str | None:
    """Return the digest of a file that a job has produced; None without it."""
    artifacts = (parent.result or {}).get("artifacts") or {}
    reference = artifacts.get(output)
    return None if reference is None else str(reference["digest"])


def _with_files(change: JobChange, known: Sequence[PendingInput]) -> JobChange:
    """Write the digests of produced files into the spec."""
    if not known:
        return change
    spec = change.job.spec
    for file in known:
        assert file.digest is not None
        spec = _replaced(spec, file.path, {"digest": file.digest})
    return replace(
        change,
        job=replace(change.job, spec=spec),
        rewrites_spec=True,
        keeps=tuple(str(file.digest) for file in known),
    )


def _replaced(part: Any, path: Sequence[str | int], values: Json) -> Any:
    """Return a copy of a JSON value in which the object at `path` has other `values`."""
    if not path:
        return {**part, **values}
    first, rest = path[0], path[1:]
    if isinstance(part, list):
        assert isinstance(first, int)
        return [*part[:first], _replaced(part[first], rest, values), *part[first + 1 :]]
    return {**part, first: _replaced(part[first], rest, values)}


def place_all(
    jobs: Sequence[NewJob], job_ids: Sequence[str], links: Links, now_us: int
) -> list[Placed]:
    """Return new jobs as they are stored. Raises NotFound or Conflict."""
    named = {parent for job in jobs for parent in job.parents}
    stored = {
        job.id: job
        for job in links.share(sorted(name for name in named if isinstance(name, str)))
    }
    placed: list[Placed] = []
    for job, job_id in zip(jobs, job_ids, strict=True):
        parents: dict[str | int, JobRecord] = {}
        for parent in job.parents:
            if isinstance(parent, int):
                parents[parent] = placed[parent].change.job
            elif parent in stored and stored[parent].tenant == job.tenant:
                parents[parent] = stored[parent]
            else:
                raise no_such_job(parent)
        placed.append(place(job, job_id, now_us, parents))
    return placed


def place(
    new: NewJob,
    job_id: str,
    now_us: int,
    parents: Mapping[str | int, JobRecord],
) -> Placed:
    """Return a new job as it is stored. `parents` has every job that it names, locked.

    Raises Conflict for a parent that has ended badly, or without the file.
    """
    needs: dict[str, bool] = {}
    named = [*new.after, *(After(job=file.job) for file in new.inputs)]
    for after in named:
        parent = parents[after.job]
        needs[parent.id] = needs.get(parent.id, False) or after.needs_success
    by_id = {parent.id: parent for parent in parents.values()}
    for parent_id, needs_success in needs.items():
        _require_possible(by_id[parent_id], needs_success)
    inputs = [_pending(file, job_id, parents[file.job]) for file in new.inputs]
    waits = sum(not by_id[parent_id].state.is_terminal for parent_id in needs)
    spec = new.spec
    for file in inputs:
        spec = _replaced(spec, file.path, {"job": file.parent})
    if inputs:
        new = replace(new, spec=spec)
    change = changes.submitted(new, job_id, now_us, waits=waits)
    edges = [
        Edge(parent=parent_id, child=job_id, needs_success=needs_success)
        for parent_id, needs_success in needs.items()
    ]
    if new.graph is not None:
        edges.append(Edge(parent=job_id, child=new.graph, needs_success=False))
    return Placed(
        change=_with_files(change, [file for file in inputs if file.digest is not None]),
        edges=tuple(edges),
        inputs=tuple(inputs),
    )


def _pending(file: OutputInput, job_id: str, parent: JobRecord) -> PendingInput:
    digest = _digest_of(parent, file.output)
    if parent.state is JobState.SUCCEEDED and digest is None:
        produced = ", ".join(sorted((parent.result or {}).get("artifacts") or {}))
        raise Conflict(
            f"output: expected a file of job {parent.id} ({produced or 'it has none'}), "
            f"got {file.output!r}",
            fix="name one of its files: GET /v1/jobs/{id}/result",
        )
    return PendingInput(
        child=job_id,
        path=tuple(file.path),
        parent=parent.id,
        output=file.output,
        digest=digest if parent.state is JobState.SUCCEEDED else None,
    )


def _require_possible(parent: JobRecord, needs_success: bool) -> None:
    if (
        needs_success
        and parent.state.is_terminal
        and parent.state is not JobState.SUCCEEDED
    ):
        raise Conflict(
            f"after: expected a job that may still succeed, got the {parent.state.value} job "
            f"{parent.id}",
            fix="retry that job first, or wait for any end of it: needs: done",
        )


def redrive(job: JobRecord, links: Links, now_us: int) -> JobChange:
    """Queue an unsuccessful job again, and let the jobs wait that it had skipped.

    A descendant that has run is never run again by it. Raises Conflict while a parent that the
    job needs has itself ended without success.
    """
    change = changes.redriven(
        job, now_us, waits=_count(job.id, links.edges_to([job.id]), links)
    )
    (change,) = _write([job], [change], links, now_us)
    frontier = [job.id]
    while frontier:
        touched = sorted({edge.child for edge in links.edges_from(frontier)})
        into: dict[str, list[Edge]] = defaultdict(list)
        for edge in links.edges_to(touched):
            into[edge.child].append(edge)
        children = links.lock(touched)
        # Read after the locks: a parent that ends meanwhile waits for them, and settles afterwards.
        states = links.states(
            sorted({edge.parent for edges in into.values() for edge in edges})
        )
        before, written = [], []
        for child in children:
            waits = sum(not states[edge.parent].is_terminal for edge in into[child.id])
            if child.state is JobState.WAITING:
                written.append(changes.unsettled(child, waits))
            elif child.state is JobState.SKIPPED and not _is_lost(into[child.id], states):
                written.append(changes.revived(child, waits, now_us))
            else:
                continue
            before.append(child)
        _write(before, written, links, now_us)
        frontier = [job.id for job in before if job.state is JobState.SKIPPED]
    return change


def _is_lost(edges: Iterable[Edge], states: Mapping[str, JobState]) -> bool:
    """Return True if a parent that is needed has ended without success."""
    return any(
        edge.needs_success
        and states[edge.parent].is_terminal
        and states[edge.parent] is not JobState.SUCCEEDED
        for edge in edges
    )


def _count(job_id: str, edges: Sequence[Edge], links: Links) -> int:
    """Return how many parents have not ended. Raises Conflict if one has ended badly."""
    states = links.states([edge.parent for edge in edges])
    for edge in edges:
        if _is_lost([edge], states):
            raise Conflict(
                f"job {job_id}: expected parents that may still succeed, got the "
                f"{states[edge.parent].value} job {edge.parent}",
                fix="retry that job first; this one then follows by itself",
            )
    return sum(not state.is_terminal for state in states.values())
