"""Several tenants need runs that cannot read each other's files. Where the sandbox does not protect files, one is served."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from services.errors import Conflict
from services.store.types import JobStore

FIX = "install bubblewrap, or run on a kernel with Landlock (Linux 5.13 or newer), or revoke the keys of all tenants but one"


def gaps(executor: Mapping[str, Any]) -> str:
    """Why runs of this executor could read files of others; empty when they cannot. `executor` is its `describe()`."""
    return (
        ""
        if executor.get("protects", {}).get("files", True)
        else str(executor.get("sandbox_gaps", ""))
    )


async def active_tenants(store: JobStore) -> set[str]:
    """Tenants with a key that works."""
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
    """Raise Conflict when a key for `tenant` would let one tenant read the files of another."""
    if not (reason := gaps(executor)):
        return
    if others := sorted(await active_tenants(store) - {tenant}):
        raise Conflict(
            f"tenant: expected {others[0]!r}, the only tenant of this server, got {tenant!r}: {reason}",
            fix=FIX,
        )


async def refusal_to_run(store: JobStore, executor: Mapping[str, Any]) -> str:
    """Why no job may run here; empty when jobs may."""
    if not (reason := gaps(executor)):
        return ""
    tenants = sorted(await active_tenants(store))
    if len(tenants) < 2:
        return ""
    return f"no job is run: expected one tenant, got {len(tenants)} ({', '.join(tenants[:5])}): {reason}. To serve them, {FIX}"
