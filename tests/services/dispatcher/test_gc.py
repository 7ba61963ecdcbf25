"""Garbage collection removes unreferenced old files and no others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from services.dispatcher.gc import collect_garbage, remove_bytes
from services.store.blobs import BlobStore
from services.store.types import ArtifactRecord, NewJob
from tests.doubles.memory_store import MemoryStore

DAY_US = 86_400_000_000


def test_only_old_files_without_a_job_are_removed(tmp_path: Path) -> None:
    now_us = 100 * DAY_US

    async def body() -> None:
        nonlocal now_us
        store, blobs = MemoryStore(clock=lambda: now_us), BlobStore(tmp_path / "blobs")

        async def uploaded(content: str, tenant: str = "a") -> str:
            path = tmp_path / "given"
            path.write_text(content)
            blob = blobs.adopt(path)
            record = ArtifactRecord(
                digest=blob.digest,
                tenant=tenant,
                name="given",
                media_type="text/plain",
                size_bytes=blob.size_bytes,
                created_us=now_us,
            )
            await store.put_artifact(record)
            return blob.digest

        used, unused, shared = (
            await uploaded("used"),
            await uploaded("unused"),
            await uploaded("shared"),
        )
        job = NewJob(
            tenant="a",
            kind="probe",
            spec={},
            budget={"seconds": 1.0},
            seed=0,
            artifacts=[used],
        )
        await store.submit(job)
        now_us += 8 * DAY_US
        fresh = await uploaded("fresh")
        await uploaded("shared", tenant="b")

        assert await collect_garbage(store, blobs, ttl_s=7 * 86_400.0) == 2
        there = {d for d in (used, unused, shared, fresh) if (blobs._place(d)).is_file()}
        assert there == {used, shared, fresh}
        assert (await store.get_artifact(shared)).tenant == "b"
        assert await collect_garbage(store, blobs, ttl_s=7 * 86_400.0) == 0

    asyncio.run(body())


@pytest.mark.parametrize("uploading", [True, False])
def test_bytes_that_have_a_row_again_are_put_back(
    tmp_path: Path, uploading: bool
) -> None:
    (tmp_path / "given").write_text("x")
    blobs = BlobStore(tmp_path / "blobs")
    digest = blobs.adopt(tmp_path / "given").digest
    artifact = ArtifactRecord(
        digest=digest,
        tenant="a",
        name="given",
        media_type="text/plain",
        size_bytes=1,
        created_us=1,
    )

    class Uploading(MemoryStore):
        """Stores a row while the bytes are set aside, as an upload of them does."""

        async def unknown_files(self, digests: Sequence[str]) -> list[str]:
            assert not blobs.holds(digest)
            if uploading:
                await self.put_artifact(artifact)
            return await super().unknown_files(digests)

    async def body() -> None:
        await remove_bytes(Uploading(), blobs, digest)
        assert blobs.holds(digest) == uploading
        assert not list((tmp_path / "blobs").glob("removed-*"))
        await remove_bytes(MemoryStore(), blobs, f"sha256:{0:064x}")  # nothing to do

    asyncio.run(body())


def test_what_a_process_left_that_died_is_dealt_with(tmp_path: Path) -> None:
    """Killed between setting bytes aside and looking for their row, or in an upload."""
    content = tmp_path / "content"
    content.write_bytes(b"a model")
    blobs = BlobStore(tmp_path / "blobs")
    digest = blobs.adopt(content).digest

    class Known(MemoryStore):
        async def unknown_files(self, digests: Sequence[str]) -> list[str]:
            return []

    async def collect(store: MemoryStore) -> None:
        await collect_garbage(store, blobs, ttl_s=1e9)

    assert blobs.set_aside(digest) is not None
    (tmp_path / "blobs" / "upload-1").write_bytes(b"half")
    asyncio.run(collect(Known()))
    assert not blobs.holds(digest), "another process may be about to look for its row"
    with pytest.MonkeyPatch.context() as patch:
        later = time.time() + 90_000
        patch.setattr(time, "time", lambda: later)
        asyncio.run(collect(Known()))
        assert blobs.path(digest).read_bytes() == b"a model", "it has a row"
        blobs.set_aside(digest)
        asyncio.run(collect(MemoryStore()))
    assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == []
