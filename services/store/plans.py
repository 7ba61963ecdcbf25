"""Plans: jobs that go to rest, start jobs of their own, and wait for these.

One algorithm for all stores, like `services.store.graphs`; a store calls each function in one
transaction. A plan is the join of its jobs: each has an edge to it that takes any end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from services.errors import Conflict
from services.store import changes, graphs
from services.store.changes import JobChange
from services.store.graphs import Links, Placed
from services.store.lifecycle import Verb
from services.store.types import (
    Approval,
    Completion,
    JobRecord,
    Memo,
    MemoRecord,
    NewJob,
)
from trimtab.results import JobState

_READ_AGAIN = "read it again: GET /v1/jobs/{id}/outline"


@dataclass(frozen=True, kw_only=True)
class Started:
    """A change of a plan, and the jobs to insert with it."""

    change: JobChange
    children: tuple[NewJob, ...] = ()
    placed: tuple[Placed, ...] = ()


def complete(
    job: JobRecord,
    completion: Completion,
    links: Links,
    new_id: Callable[[], str],
    now_us: int,
) -> Started:
    """End an attempt. A plan that suspends itself starts its jobs.

    Nothing is started once its owner wants it to end. Raises NotFound or Conflict for children
    that name other jobs than those of this plan.
    """
    verb = Verb(completion.verb)
    if verb not in changes.RESTS:
        return Started(change=changes.completed(job, completion, now_us))
    ending = job.stop_requested or job.cancel_requested
    children, placed, waits = (), (), 0  # type: tuple[NewJob, ...], tuple[Placed, ...], int
    if verb is Verb.SUSPEND:
        drawn = () if ending else completion.children
        children, placed, waits = _start(job, drawn, links, new_id, now_us)
    change = changes.completed(job, completion, now_us, waits=waits)
    assert completion.memo is not None
    approves = verb is Verb.SUSPEND and not ending
    memo = _next(links.memo(job.id), completion.memo, approves=approves)
    return Started(change=replace(change, memo=memo), children=children, placed=placed)


def put_memo(
    job: JobRecord, memo: Memo, links: Links, now_us: int, *, revision: int
) -> JobChange:
    """Replace the memo of a job at rest. Raises Conflict."""
    _require_rest(job, JobState.NEEDS_INPUT, JobState.AWAITING_APPROVAL)
    stored = _require_revision(job, links.memo(job.id), revision)
    return changes.edited(job, _next(stored, memo), now_us)


def answer(
    job: JobRecord, memo: Memo, links: Links, now_us: int, *, revision: int
) -> JobChange:
    """Queue a job that needed input, with its answers in the memo. Raises Conflict."""
    _require_rest(job, JobState.NEEDS_INPUT)
    stored = _require_revision(job, links.memo(job.id), revision)
    return replace(changes.released(job, now_us), memo=_next(stored, memo))


def approve(
    job: JobRecord,
    approval: Approval,
    links: Links,
    new_id: Callable[[], str],
    now_us: int,
    *,
    revision: int,
) -> Started | None:
    """Start the jobs of an approved plan; None if this very memo was approved before.

    Raises Conflict, and NotFound.
    """
    stored = links.memo(job.id)
    approved = None if stored is None else stored.approved
    if job.state is not JobState.AWAITING_APPROVAL and approved == approval.digest:
        return None
    _require_rest(job, JobState.AWAITING_APPROVAL)
    stored = _require_revision(job, stored, revision)
    if stored.digest != approval.digest:
        raise Conflict(
            f"digest: expected {stored.digest} of revision {revision}, got {approval.digest}",
            fix=_READ_AGAIN,
        )
    children, placed, waits = _start(job, approval.children, links, new_id, now_us)
    change = changes.released(job, now_us, waits=waits, approved=True)
    memo = replace(stored, approved=approval.digest)
    return Started(change=replace(change, memo=memo), children=children, placed=placed)


def request(job: JobRecord, verb: Verb, links: Links, now_us: int) -> JobRecord:
    """Cancel or stop a job and, if it is a plan, the jobs that it started."""
    decide = changes.cancelled if verb is Verb.CANCEL else changes.stopped
    change = decide(job, now_us)
    if change is None:
        return job
    written = [change]
    if job.graph == job.id:
        for member in links.lock(links.members(job.id)):
            follows = decide(member, now_us)
            if follows is not None:
                written.append(follows)
    links.write(written, [])
    ended = [one.job for one in written if one.job.state.is_terminal]
    graphs.settle(ended, links, now_us)
    # A plan that was stopped is queued once its jobs have ended.
    return change.job if change.job in ended else links.read([job.id])[0]


def _start(
    plan: JobRecord,
    children: Sequence[NewJob],
    links: Links,
    new_id: Callable[[], str],
    now_us: int,
) -> tuple[tuple[NewJob, ...], tuple[Placed, ...], int]:
    """Return jobs of a plan, as they are stored, and how many it waits for in all."""
    own = tuple(replace(child, tenant=plan.tenant, graph=plan.id) for child in children)
    before = links.share(sorted(edge.parent for edge in links.edges_to([plan.id])))
    known = {job.id for job in before if job.graph == plan.id}
    for child in own:
        for parent in child.parents:
            if isinstance(parent, str) and parent not in known:
                raise Conflict(
                    f"children: expected jobs that wait for jobs of {plan.id}, got one that waits "
                    f"for {parent}",
                    fix="name jobs of the same plan; any other may itself wait for the plan",
                )
    placed = tuple(graphs.place_all(own, [new_id() for _ in own], links, now_us))
    waits = sum(not job.state.is_terminal for job in before) + len(placed)
    return own, placed, waits


def _next(stored: MemoRecord | None, memo: Memo, *, approves: bool = False) -> MemoRecord:
    approved = None if stored is None else stored.approved
    return MemoRecord(
        revision=1 if stored is None else stored.revision + 1,
        body=memo.body,
        digest=memo.digest,
        approved=memo.digest if approves and approved is None else approved,
    )


def _require_rest(job: JobRecord, *states: JobState) -> None:
    if job.state not in states:
        expected = " or ".join(state.value for state in states)
        raise Conflict(
            f"job {job.id}: expected one that is {expected}, got a {job.state.value} job",
            fix="read the state of the job again",
        )


def _require_revision(
    job: JobRecord, stored: MemoRecord | None, revision: int
) -> MemoRecord:
    assert stored is not None, f"{job.id} rests without a memo"
    if stored.revision != revision:
        raise Conflict(
            f"revision: expected {stored.revision}, the newest, got {revision}",
            fix=_READ_AGAIN,
        )
    return stored
