"""One random history on three stores: memory, SQLite and PostgreSQL agree after every step.

The memory store is the reference; after each step every job's record, events and attempts are
compared. Ids are counted and the clock belongs to the test, so even ids and times must agree.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from services.errors import ServiceError
from services.store.sql_store import SqlStore
from services.store.types import (
    After,
    Approval,
    Completion,
    Idempotency,
    JobFilter,
    JobRecord,
    JobStore,
    Memo,
    NewEvent,
    NewJob,
    OutputInput,
)
from tests.contracts.store import Clock, new_job
from tests.doubles.memory_store import MemoryStore
from tests.postgres import PostgresServer
from trimtab.results import EventType, JobState

FULL_EXAMPLES = 2000
STEPS = 50


def counted_ids() -> Callable[[], str]:
    numbers = iter(range(10**9))
    return lambda: f"job_{next(numbers):026d}"


class Trio:
    """Three stores and their loop, kept for a whole test because opening them is expensive."""

    def __init__(self, folder: Path, url: str) -> None:
        self.clock = Clock()
        self.loop = asyncio.new_event_loop()
        self.stores: list[JobStore] = [
            MemoryStore(clock=self.clock, new_id=counted_ids()),
            SqlStore.on_sqlite(
                folder / "x.sqlite3", clock=self.clock, new_id=counted_ids()
            ),
            SqlStore.on_postgres(url, clock=self.clock, new_id=counted_ids()),
        ]
        for store in self.stores:
            self.loop.run_until_complete(store.open())

    def close(self) -> None:
        for store in self.stores:
            self.loop.run_until_complete(store.close())
        self.loop.close()

    def ask_all(
        self, ids: list[str], act: Callable[[JobStore, str], Awaitable[Any]]
    ) -> list[Any]:
        """Return the common answers for some ids."""

        async def one(store: JobStore) -> list[Any]:
            return [await act(store, each) for each in ids]

        answers: list[Any] = self.ask(one)
        return answers

    def ask(self, act: Callable[[JobStore], Awaitable[Any]]) -> Any:
        """Return the common answer or refusal of all three stores."""

        async def one(store: JobStore) -> Any:
            try:
                return await act(store)
            except ServiceError as refusal:
                return type(refusal).__name__, refusal.detail

        async def all_three() -> list[Any]:
            return list(await asyncio.gather(*map(one, self.stores)))

        reference, *others = self.loop.run_until_complete(all_three())
        for store, answer in zip(self.stores[1:], others, strict=True):
            assert answer == reference, f"{store.dialect} differs from memory"
        return reference


@pytest.fixture
def trio(postgres_server: PostgresServer) -> Iterator[Trio]:
    with tempfile.TemporaryDirectory() as folder:
        trio = Trio(Path(folder), postgres_server.fresh_database())
        yield trio
        trio.close()


class InStep(RuleBasedStateMachine):
    trio: Trio
    # Else the events, attempts and memo of a job are compared when its record has changed.
    every_step_whole: bool

    def __init__(self) -> None:
        super().__init__()
        # Each example has a tenant, and thereby jobs, of its own.
        self.tenant = f"t{self.trio.clock()}"
        self.trio.clock.forward(1000)
        self.jobs: list[str] = []
        self.known: dict[str, JobState] = {}
        self.fences: dict[str, int] = {}
        self.redriven: set[str] = set()
        self.plans: set[str] = set()
        self.records: dict[str, JobRecord] = {}
        self.swept_out()

    def swept_out(self) -> None:
        """Sweep jobs that the previous example left running."""
        self.kind = f"kind-{self.tenant}"
        while self.trio.ask(lambda s: s.sweep(limit=1000)):
            pass

    @initialize(verb=st.sampled_from(["hold", "suspend"]))
    def some_jobs(self, verb: str) -> None:
        """Begin with jobs, one of them running and one a plan: chance alone seldom gets there."""
        for _ in range(3):
            self.submit(1, None, "d", 0, 3, False, [])
        self.claim(2, 20.0)
        self.all_agree_and_the_record_is_sound()
        self.rest(0, 0, verb, False, "u", [(-3, True, False)])

    def pick(self, n: int) -> str:
        return self.jobs[n % len(self.jobs)] if self.jobs else "job_none"

    @rule(
        n=st.integers(1, 3),
        key=st.none() | st.sampled_from("xyz"),
        digest=st.sampled_from("dde"),
        priority=st.integers(-1, 1),
        attempts=st.integers(1, 3),
        webhook=st.booleans(),
        parents=st.lists(
            st.tuples(st.integers(-3, 20), st.booleans(), st.booleans()), max_size=3
        ),
    )
    def submit(
        self,
        n: int,
        key: str | None,
        digest: str,
        priority: int,
        attempts: int,
        webhook: bool,
        parents: list[tuple[int, bool, bool]],
    ) -> None:
        batch = [
            new_job(
                tenant=self.tenant,
                kind=self.kind,
                priority=priority,
                max_attempts=attempts,
                labels={"n": str(i)},
                webhook={"url": "http://h/"} if webhook else None,
                artifacts=[f"digest-{i}"],
                **self.links(i, parents),
            )
            for i in range(n)
        ]
        idempotency = (
            None if key is None else Idempotency(key=key, request_digest=digest, ttl_s=40)
        )
        answer = self.trio.ask(lambda s: s.submit_many(batch, idempotency))
        if isinstance(answer, list):
            self.jobs += [s.job.id for s in answer if not s.replayed]

    def links(self, index: int, drawn: list[tuple[int, bool, bool]]) -> dict[str, Any]:
        """Return parents of job `index` of a batch: earlier ones of it, or stored ones."""
        after, inputs, files = [], [], []
        for number, needs_success, reads in drawn:
            parent = number + 3 if number < 0 else self.pick(number)
            if isinstance(parent, int) and parent >= index:
                continue
            if reads:
                inputs.append(
                    OutputInput(path=("files", len(files)), job=parent, output="out")
                )
                files.append({"digest": "?", "job": "?"})
            else:
                after.append(After(job=parent, needs_success=needs_success))
        return {"after": after, "inputs": inputs, "spec": {"files": files}}

    @rule(limit=st.integers(1, 3), lease=st.sampled_from([5.0, 20.0]))
    def claim(self, limit: int, lease: float) -> None:
        self.trio.ask(
            lambda s: s.claim("w", kinds=[self.kind], lease_s=lease, limit=limit)
        )

    @rule(n=st.integers(0, 20), fence=st.integers(1, 4))
    def renew(self, n: int, fence: int) -> None:
        self.trio.ask(lambda s: s.renew(self.pick(n), fence, lease_s=20))

    @rule(
        n=st.integers(0, 20),
        fence=st.integers(1, 4),
        data=st.binary(min_size=1, max_size=8),
    )
    def put_checkpoint(self, n: int, fence: int, data: bytes) -> None:
        self.trio.ask(lambda s: s.put_checkpoint(self.pick(n), fence, data))
        self.trio.ask(lambda s: s.get_checkpoint(self.pick(n)))

    @rule(
        n=st.integers(0, 20),
        fence=st.integers(1, 4),
        objective=st.floats(-9, 9),
        phase=st.booleans(),
    )
    def append(self, n: int, fence: int, objective: float, phase: bool) -> None:
        new_events = [
            NewEvent(
                type=EventType.INCUMBENT, data={"elapsed_s": 0.0, "objective": objective}
            )
        ]
        new_events += [NewEvent(type=EventType.PHASE, data={"phase": "search"})] * phase
        self.trio.ask(lambda s: s.append(self.pick(n), fence, new_events))

    @rule(
        n=st.integers(0, 20),
        fence=st.integers(1, 3),
        verb=st.sampled_from(["succeed", "fail", "confirm_cancel", "lose"]),
        delay=st.sampled_from([0.0, 10.0]),
        checkpoint=st.none() | st.just(b"best"),
    )
    def complete(
        self, n: int, fence: int, verb: str, delay: float, checkpoint: bytes | None
    ) -> None:
        completion = Completion(
            verb=verb,
            termination={"reason": "x", "limit": None},
            outcome=verb,
            result={
                "verb": verb,
                "artifacts": {"out": {"digest": "out"}} if delay else {},
            }
            if verb == "succeed"
            else None,
            artifacts=["out"],
            retry_delay_s=delay,
            checkpoint=checkpoint,
        )
        self.trio.ask(lambda s: s.complete(self.pick(n), fence, completion))

    @rule(
        n=st.integers(0, 20),
        off=st.sampled_from([0, 0, 0, 1]),
        verb=st.sampled_from(["hold", "suspend"]),
        asks=st.booleans(),
        word=st.sampled_from("uv"),
        parents=st.lists(
            st.tuples(st.integers(-3, -1), st.booleans(), st.booleans()), max_size=2
        ),
    )
    def rest(
        self,
        n: int,
        off: int,
        verb: str,
        asks: bool,
        word: str,
        parents: list[tuple[int, bool, bool]],
    ) -> None:
        """Let a running job rest; `off` is how far its fence is off."""
        job_id = self.pick_in(n, JobState.RUNNING)
        fence = self.fences.get(job_id, 1) - off
        completion = Completion(
            verb=verb,
            termination={"reason": "x", "limit": None},
            outcome="rested",
            memo=self.memo(word),
            asks=asks,
            children=self.children(n, parents) if verb == "suspend" else (),
        )
        self.trio.ask(lambda s: s.complete(job_id, fence, completion))
        self.find_children(job_id)

    def pick_in(self, n: int, *states: JobState) -> str:
        """Return a job in one of these states if there is any, else any job."""
        fitting = [job for job in self.jobs if self.known.get(job) in states]
        return fitting[n % len(fitting)] if fitting else self.pick(n)

    def memo(self, word: str) -> Memo:
        return Memo(body={"outline": {"word": word}}, digest=word)

    def children(self, n: int, parents: list[tuple[int, bool, bool]]) -> list[NewJob]:
        """Return two jobs of a plan; they often name one another, and sometimes outsiders."""
        return [
            new_job(tenant=self.tenant, kind=self.kind, **self.links(i, parents))
            for i in range(2)
        ]

    def find_children(self, plan: str) -> None:
        """Watch the jobs that a plan has started."""
        where = JobFilter(tenant=self.tenant, graph=plan)
        for job in reversed(self.trio.ask(lambda s: s.list_jobs(where, limit=100))):
            if job.id not in self.jobs:
                self.jobs.append(job.id)

    @rule(
        n=st.integers(0, 20),
        off=st.sampled_from([0, 0, 0, 1]),
        how=st.sampled_from(["put_memo", "answer", "approve", "approve"]),
        word=st.sampled_from("uv"),
        starts=st.booleans(),
    )
    def owner_decides(self, n: int, off: int, how: str, word: str, starts: bool) -> None:
        job_id = self.pick_in(n, JobState.NEEDS_INPUT, JobState.AWAITING_APPROVAL)
        stored = self.trio.ask(lambda s: s.memo(job_id))
        revision = off + getattr(stored, "revision", 1)
        said: Any = self.memo(word)
        if how == "approve":
            children = self.children(n, [(-3, True, False)]) if starts else []
            digest = getattr(stored, "digest", word) if n % 4 else word
            said = Approval(digest=digest, children=children)
        self.trio.ask(
            lambda s: getattr(s, how)(job_id, said, revision=revision, tenant=self.tenant)
        )
        self.find_children(job_id)

    @rule(n=st.integers(0, 20), verb=st.sampled_from(["request_cancel", "request_stop"]))
    def owner_ends_a_plan(self, n: int, verb: str) -> None:
        plans = [job for job in self.jobs if job in self.plans]
        if plans:
            plan = plans[n % len(plans)]
            self.trio.ask(lambda s: getattr(s, verb)(plan, tenant=self.tenant))

    @rule(
        n=st.integers(0, 20),
        verb=st.sampled_from(["request_cancel", "request_stop", "redrive"]),
    )
    def owner_says(self, n: int, verb: str) -> None:
        self.trio.ask(lambda s: getattr(s, verb)(self.pick(n), tenant=self.tenant))
        if verb == "redrive":
            self.redriven.add(self.pick(n))

    @rule(n=st.integers(0, 20))
    def delete(self, n: int) -> None:
        job_id = self.pick(n)
        if self.trio.ask(lambda s: s.delete(job_id)) is None and job_id in self.jobs:
            self.jobs.remove(job_id)
            self.known.pop(job_id, None)

    @rule(seconds=st.sampled_from([1.0, 10.0, 25.0]))
    def time_passes(self, seconds: float) -> None:
        self.trio.clock.forward(seconds)

    @rule(limit=st.integers(1, 3), ttl=st.sampled_from([15.0, 60.0]))
    def sweep(self, limit: int, ttl: float) -> None:
        self.trio.ask(lambda s: s.sweep(limit=limit, resting_ttl_s=ttl))

    @rule(limit=st.integers(1, 3), ends=st.booleans())
    def deliver(self, limit: int, ends: bool) -> None:
        for due in self.trio.ask(lambda s: s.outbox_due(limit=limit, lock_s=5)):
            if ends:
                self.trio.ask(lambda s, row=due: s.outbox_done(row.id))
            else:
                self.trio.ask(lambda s, row=due: s.outbox_retry(row.id, delay_s=3))

    @rule(
        states=st.sets(st.sampled_from(JobState), max_size=2),
        n=st.none() | st.integers(0, 2),
    )
    def listing(self, states: set[JobState], n: int | None) -> None:
        labels = {} if n is None else {"n": str(n)}
        where = JobFilter(tenant=self.tenant, states=sorted(states), labels=labels)
        self.trio.ask(lambda s: s.list_jobs(where, limit=4))

    @invariant()
    def all_agree_and_the_record_is_sound(self) -> None:
        self.trio.ask(lambda s: s.counts(self.tenant))
        self.trio.ask(lambda s: s.stale_writes())
        records = self.trio.ask_all(self.jobs, lambda s, i: s.get(i))
        if self.every_step_whole:
            self.records = {}
        changed = [job for job in records if self.records.get(job.id) != job]
        self.records = {job.id: job for job in records}
        # A job's relatives change with a job that has changed.
        for job in records if changed else ():
            self.check_links(job)
            self.check_plan(job, self.records)
        for job in changed:
            job_id = job.id
            events = self.trio.ask(lambda s, i=job_id: s.events(i))
            attempts = self.trio.ask(lambda s, i=job_id: s.attempts(i))
            assert [e.seq for e in events] == list(range(1, job.last_seq + 1))
            assert len(attempts) == job.fence
            assert sum(a.ended_us is None for a in attempts) == (
                job.state is JobState.RUNNING
            )
            assert (
                (job.finished_us is not None)
                == job.state.is_terminal
                == (job.termination is not None)
            )
            # One more attempt may verify the checkpoint.
            assert job.attempt <= job.max_attempts + 1
            assert (
                self.known.get(job_id) is not JobState.SUCCEEDED
                or job.state is JobState.SUCCEEDED
            )
            self.known[job_id] = job.state
            self.fences[job_id] = job.fence
            if job.graph == job.id:
                self.plans.add(job_id)
            self.check_rest(job)

    def check_rest(self, job: JobRecord) -> None:
        """Check that a job at rest has a memo."""
        memo = self.trio.ask(lambda s: s.memo(job.id))
        assert (memo is not None) == job.has_memo
        if job.state.is_resting:
            assert memo is not None
            assert (job.owner, job.attempt, job.waits) == (None, 0, 0)

    def check_plan(self, job: JobRecord, records: dict[str, JobRecord]) -> None:
        """Check that no job of a cancelled plan goes on."""
        plan = records.get(job.graph or "")
        if plan is None or plan is job:
            return
        if plan.cancel_requested and plan.state is JobState.CANCELLED:
            redriven = job.id in self.redriven
            assert job.state.is_terminal or job.cancel_requested or redriven

    def check_links(self, job: JobRecord) -> None:
        """Check a job against its parents: none waits in vain, none starts early."""
        relatives = self.trio.ask(lambda s: s.relatives(job.id))
        open_parents = [
            state for _, state in relatives.parents.values() if not state.is_terminal
        ]
        lost = [
            state
            for needed, state in relatives.parents.values()
            if needed and state.is_terminal and state is not JobState.SUCCEEDED
        ]
        if job.state is JobState.WAITING:
            assert job.waits == len(open_parents) > 0
            assert not lost
        elif job.state in (JobState.QUEUED, JobState.RUNNING):
            assert job.waits == 0
        if job.state is JobState.SKIPPED:
            assert job.termination is not None
            assert lost or job.termination["reason"] in ("input_missing", "parent_failed")
        if job.state is JobState.QUEUED and job.fence == 0:
            assert not open_parents
            assert not lost
            assert all(file["digest"] == "out" for file in job.spec["files"])


@pytest.mark.postgres
def test_three_stores_in_step(trio: Trio, scale: float) -> None:
    parts = {"trio": trio, "every_step_whole": scale >= 0.1}
    machine = type("Machine", (InStep,), parts)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=max(5, round(FULL_EXAMPLES * scale)),
            stateful_step_count=STEPS if scale >= 0.1 else 20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
