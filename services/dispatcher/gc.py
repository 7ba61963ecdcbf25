"""Garbage collection of files: remove those that no job refers to after their time to live."""

from __future__ import annotations

import asyncio

from services.store.blobs import BlobStore
from services.store.types import JobStore


async def collect_garbage(store: JobStore, blobs: BlobStore, *, ttl_s: float) -> int:
    """Remove unreferenced files older than `ttl_s`; returns their number.

    The row is deleted first: a file without a row wastes space, a row without a file is an
    error for its owner.
    """
    older_than_us = await store.now_us() - round(ttl_s * 1e6)
    removed = 0
    while rows := await store.unreferenced_artifacts(older_than_us=older_than_us):
        for row in rows:
            if await store.delete_artifact(row.digest, tenant=row.tenant):
                await asyncio.to_thread(blobs.delete, row.digest)
            removed += 1
    return removed
