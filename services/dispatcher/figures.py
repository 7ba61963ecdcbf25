"""Metrics of attempts: queue wait, time and outcome by kind."""

from __future__ import annotations

from services.store.types import Claim, JobRecord
from services.telemetry import Metrics


def observe_claim(metrics: Metrics, claim: Claim, lease_s: float) -> None:
    """Count the time that a job waited until this claim, by the clock of the database."""
    job = claim.job
    claimed_us = claim.lease_until_us - round(lease_s * 1e6)
    # `run_at_us` is the end of a back-off, or of the wait for other jobs.
    since_us = max(job.created_us, job.run_at_us)
    waited_s = max(0.0, (claimed_us - since_us) / 1e6)
    metrics.queue_wait.labels(job.kind).observe(waited_s)


def observe_end(
    metrics: Metrics, after: JobRecord, *, outcome: str, seconds: float
) -> None:
    """Count the end of an attempt that this process ran."""
    metrics.attempt_time.labels(after.kind).observe(seconds)
    metrics.outcomes.labels(after.kind, outcome, after.state.value).inc()
