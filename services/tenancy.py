"""Refuse several tenants where the sandbox does not keep runs from each other's files."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from services.errors import Conflict
from services.store.types import JobStore

FIX = (
    "install bubblewrap, or run on a kernel with Landlock (Linux 5.13 or newer), or revoke the "
    "keys of all tenants but one"
)


def gaps(executor: Mapping[str, Any]) -> str:
    """Return why runs could read files of others; empty if they cannot.

    executor: its `describe()`.
    """
    return (
        ""
        if executor.get("protects", {}).get("files", True)
        else str(executor.get("sandbox_gaps", ""))
    )


async def active_tenants(store: JobStore) -> set[str]:
    """Return the tenants with a valid key."""
    now_us = time.time_ns() // 1000
    keys = await store.list_keys()
    return {
        key.tenant
        for key in keys
        if not key.revoked and (key.expires_us is None or key.expires_us > now_us)
    }


async def refuse_another_tenant(
    store: JobStore, tenant: str, executor: Mapping[str, Any]
) -> None:
    """Raise Conflict if a key for `tenant` would let one tenant read files of another."""
    if not (reason := gaps(executor)):
        return
    if others := sorted(await active_tenants(store) - {tenant}):
        raise Conflict(
            f"tenant: expected {others[0]!r}, the only tenant of this server, got {tenant!r}: "
            f"{reason}",
            fix=FIX,
        )


async def refusal_to_run(store: JobStore, executor: Mapping[str, Any]) -> str:
    """Return why no job may run here; empty if jobs may run."""
    if not (reason := gaps(executor)):
        return ""
    tenants = sorted(await active_tenants(store))
    if len(tenants) < 2:
        return ""
    names = ", ".join(tenants[:5])
    return (
        f"no job is run: expected one tenant, got {len(tenants)} ({names}): {reason}. "
        f"To serve them, {FIX}"
    )
