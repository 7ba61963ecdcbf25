"""Clock, requests and shortcuts of the store's contract."""

from __future__ import annotations

from typing import Any

from services.store.types import (
    Claim,
    Completion,
    Idempotency,
    JobStore,
    NewEvent,
    NewJob,
)
from trimtab.results import EventType, JobState

LEASE_S = 30.0
DONE = Completion(
    verb="succeed",
    termination={"reason": "optimal", "limit": None},
    outcome="result",
    result={"objective": 1.5},
)
LOST = Completion(
    verb="lose", termination={"reason": "worker_lost", "limit": None}, outcome="lost"
)


class Clock:
    """Stands still until moved forward."""

    def __init__(self) -> None:
        self.us = 1_800_000_000_000_000

    def __call__(self) -> int:
        return self.us

    def forward(self, seconds: float) -> None:
        self.us += round(seconds * 1e6)


def new_job(**more: Any) -> NewJob:
    return NewJob(
        **{
            "tenant": "a",
            "kind": "probe",
            "spec": {"steps": 1},
            "budget": {"seconds": 60.0},
            "seed": 7,
        }
        | more
    )


def key(name: str = "k", digest: str = "d", **more: Any) -> Idempotency:
    return Idempotency(key=name, request_digest=digest, **more)


def incumbent(objective: float) -> NewEvent:
    return NewEvent(
        type=EventType.INCUMBENT, data={"elapsed_s": 0.1, "objective": objective}
    )


async def claim_one(store: JobStore, owner: str = "w1", **more: Any) -> Claim:
    (claim,) = await store.claim(owner, kinds=["probe"], lease_s=LEASE_S, **more)
    return claim


async def state_of(store: JobStore, job_id: str) -> JobState:
    return (await store.get(job_id)).state
