"""Parts of the dispatcher that every attempt uses."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from search.kinds import Kind
from services.bus import Bus
from services.store.blobs import BlobStore
from services.store.types import JobStore
from services.telemetry import Metrics
from workers.retry import Backoff
from workers.types import Executor, TaskLimits

LAST_WRITE_S = 5.0  # how long a shutdown waits for a write or a close that has begun


@dataclass(frozen=True, kw_only=True)
class DispatchContext:
    """Store, executor and timing of one dispatcher."""

    store: JobStore
    executor: Executor
    blobs: BlobStore
    bus: Bus
    limits: TaskLimits
    site: str  # address that links in reports begin with; empty: not known
    lease_s: float
    heartbeat_s: float
    signal_poll_s: float  # interval of polling for stop and cancel set by other processes
    backoff: Backoff
    rng: random.Random
    kinds: Mapping[str, Kind]
    metrics: Metrics
    webhook_hosts: Collection[str]  # private addresses that webhooks may call
    max_queued_jobs: int  # of a tenant: a plan beyond it waits for its owner's approval
