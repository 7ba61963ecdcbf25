"""Garbage collection of files: remove those that no job refers to after their time to live."""

from __future__ import annotations

import asyncio

from services.store.blobs import BlobStore
from services.store.upkeep import ServiceStore


async def collect_garbage(store: ServiceStore, blobs: BlobStore, *, ttl_s: float) -> int:
    """Remove unreferenced files older than `ttl_s`; returns their number.

    The row is deleted first: a file without a row wastes space, a row without a file is an
    error for its owner. Bytes that a process was about to remove when it died are looked at again.
    """
    for digest in await asyncio.to_thread(blobs.recover):
        await remove_bytes(store, blobs, digest)
    older_than_us = await store.now_us() - round(ttl_s * 1e6)
    removed = 0
    while rows := await store.unreferenced_artifacts(older_than_us=older_than_us):
        for row in rows:
            if await store.delete_artifact(row.digest, tenant=row.tenant):
                await remove_bytes(store, blobs, row.digest)
            removed += 1
    return removed


async def remove_bytes(store: ServiceStore, blobs: BlobStore, digest: str) -> None:
    """Remove the bytes of a file whose last row was deleted, unless it has one again.

    An upload of the same bytes at this moment writes bytes, then its row, and then looks for the
    bytes. Here they go first, and the row is looked for afterwards: one of the two sees the other.
    """
    aside = await asyncio.to_thread(blobs.set_aside, digest)
    if aside is None:
        return
    if await store.unknown_files([digest]):
        await asyncio.to_thread(aside.unlink)
    else:
        await asyncio.to_thread(blobs.put_back, digest, aside)
