"""Content-addressed files: `<root>/ab/abcd…`, named by their SHA-256.

Files are written under a temporary name, synced and renamed, so that a file is either complete
or absent. Two uploads of the same bytes are one file.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from services.errors import InsufficientStorage, InvalidBody, NotFound, PayloadTooLarge
from trimtab.specs.common import DIGEST_PATTERN

_COPY_BYTES = 1 << 20
_LEFT_S = 86_400.0  # a file of this age belongs to a process that has died
_ASIDE, _PARTS = "removed-", ("upload-", "adopt-")
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, kw_only=True)
class UploadLimits:
    """Limits of an upload."""

    max_bytes: int
    max_unpacked_bytes: int  # of a gzip file, after unpacking
    max_gzip_ratio: float  # unpacked over packed, once 1 MiB is unpacked


@dataclass(frozen=True, kw_only=True)
class Blob:
    """A stored file."""

    digest: str  # "sha256:" and 64 hex digits
    size_bytes: int
    media_type: str


class BlobStore:
    """Content-addressed files below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, digest: str) -> Path:
        """Return the path of the bytes. Raises NotFound."""
        path = self._place(digest)
        if not path.is_file():
            raise NotFound(
                f"the bytes of {digest} are not stored here",
                fix="upload the file again: POST /v1/artifacts?name=FILE",
            )
        return path

    def probe_write(self) -> None:
        """Write a small file and remove it. Raises OSError if the disk accepts no writes."""
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile(prefix="probe-", dir=self._root) as file:
            file.write(b"writable")
            file.flush()
            os.fsync(file.fileno())

    async def ingest(
        self, stream: AsyncIterator[bytes], *, name: str, limits: UploadLimits
    ) -> Blob:
        """Store a stream.

        Raises PayloadTooLarge, InvalidBody (damaged gzip) or InsufficientStorage, and then
        leaves nothing behind.
        """
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, temporary = tempfile.mkstemp(prefix=_PARTS[0], dir=self._root)
        digest = hashlib.sha256()
        size = 0
        gzip: _GzipGuard | None = None
        try:
            with os.fdopen(handle, "wb") as file:
                async for chunk in stream:
                    if not chunk:
                        continue
                    if size == 0 and (
                        name.endswith(".gz") or chunk.startswith(b"\x1f\x8b")
                    ):
                        gzip = _GzipGuard(limits)
                    size += len(chunk)
                    if size > limits.max_bytes:
                        raise PayloadTooLarge(
                            f"upload: expected at most {limits.max_bytes} bytes, got more",
                            fix="compress it with gzip, or ask the operator to raise "
                            "TRIMTAB_MAX_UPLOAD_BYTES",
                        )
                    await asyncio.to_thread(self._take, file, digest, gzip, chunk)
                if gzip is not None:
                    gzip.finish()
                await asyncio.to_thread(_sync, file)
            result = "sha256:" + digest.hexdigest()
            await asyncio.to_thread(self._keep, Path(temporary), result)
        except OSError as error:
            if error.errno in _NO_SPACE:
                raise InsufficientStorage(
                    "the disk has no space for this upload; nothing was stored"
                ) from error
            raise
        finally:
            Path(temporary).unlink(missing_ok=True)
        return Blob(
            digest=result,
            size_bytes=size,
            media_type=_media_type(name, gzip=gzip is not None),
        )

    def adopt(self, source: Path) -> Blob:
        """Copy a local file in. Blocking. Raises InsufficientStorage."""
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, temporary = tempfile.mkstemp(prefix=_PARTS[1], dir=self._root)
        digest = hashlib.sha256()
        size = 0
        try:
            with os.fdopen(handle, "wb") as file, source.open("rb") as original:
                while chunk := original.read(_COPY_BYTES):
                    digest.update(chunk)
                    file.write(chunk)
                    size += len(chunk)
                _sync(file)
            result = "sha256:" + digest.hexdigest()
            self._keep(Path(temporary), result)
        except OSError as error:
            if error.errno in _NO_SPACE:
                raise InsufficientStorage(
                    f"the disk has no space for {source.name}"
                ) from error
            raise
        finally:
            Path(temporary).unlink(missing_ok=True)
        return Blob(
            digest=result,
            size_bytes=size,
            media_type=_media_type(source.name, gzip=source.suffix == ".gz"),
        )

    def holds(self, digest: str) -> bool:
        """Return True if the bytes are stored."""
        return self._place(digest).is_file()

    def set_aside(self, digest: str) -> Path | None:
        """Take bytes away under another name; None if they are not stored."""
        place = self._place(digest)
        if not place.is_file():
            return None
        handle, aside = tempfile.mkstemp(prefix=f"{_ASIDE}{place.name}-", dir=self._root)
        os.close(handle)
        try:
            place.replace(aside)
        except FileNotFoundError:
            Path(aside).unlink()
            return None
        return Path(aside)

    def put_back(self, digest: str, aside: Path) -> None:
        """Store bytes again that were set aside."""
        self._keep(aside, digest)

    def recover(self, *, older_than_s: float = _LEFT_S) -> list[str]:
        """Deal with what a process left that died; returns the digests of bytes put back.

        Bytes that were set aside are stored again: the caller decides anew about them. Parts of
        uploads are removed. What is younger than `older_than_s` may be another process's work.
        """
        until, back = time.time() - older_than_s, []
        for path in self._root.glob("*-*"):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_ctime > until:
                    continue
                if path.name.startswith(_ASIDE):
                    back.append(f"sha256:{path.name.split('-')[1]}")
                    self.put_back(back[-1], path)
                elif path.name.startswith(_PARTS):
                    path.unlink()
        return back

    def free_bytes(self) -> int:
        """Return the free space on the disk."""
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        return shutil.disk_usage(self._root).free

    def _place(self, digest: str) -> Path:
        if not DIGEST_PATTERN.match(digest):
            raise NotFound(
                f"digest: expected sha256: and 64 hexadecimal digits, got {digest[:100]!r}"
            )
        name = digest.removeprefix("sha256:")
        return self._root / name[:2] / name

    @staticmethod
    def _take(
        file: object, digest: hashlib._Hash, gzip: _GzipGuard | None, chunk: bytes
    ) -> None:
        if gzip is not None:
            gzip.feed(chunk)
        digest.update(chunk)
        file.write(chunk)  # type: ignore[attr-defined]

    def _keep(self, temporary: Path, digest: str) -> None:
        place = self._place(digest)
        place.parent.mkdir(exist_ok=True, mode=0o700)
        temporary.chmod(0o400)
        temporary.replace(place)
        folder = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class _GzipGuard:
    """Unpacks a gzip upload while it arrives, to refuse damaged files and zip bombs.

    The unpacked bytes are discarded.
    """

    def __init__(self, limits: UploadLimits) -> None:
        self._limits = limits
        self._inflate = zlib.decompressobj(wbits=31)
        self._packed = 0
        self._unpacked = 0

    def feed(self, chunk: bytes) -> None:
        """Check the next chunk. Raises PayloadTooLarge or InvalidBody."""
        self._packed += len(chunk)
        data = chunk
        while data:
            try:
                out = self._inflate.decompress(data, _COPY_BYTES)
            except zlib.error as error:
                raise InvalidBody(
                    f"upload: expected a gzip file, got one that does not unpack: {error}",
                    fix="compress it again",
                ) from error
            self._unpacked += len(out)
            self._check()
            if self._inflate.eof:
                data = self._inflate.unused_data
                # A gzip file may have several members; zero padding after the last is common.
                if not data.strip(b"\x00"):
                    return
                self._inflate = zlib.decompressobj(wbits=31)
            else:
                data = self._inflate.unconsumed_tail

    def finish(self) -> None:
        """Check the end of the stream. Raises InvalidBody if it is truncated."""
        if not self._inflate.eof:
            raise InvalidBody(
                "upload: expected a complete gzip file, got a truncated one",
                fix="upload it again",
            )

    def _check(self) -> None:
        limits = self._limits
        if self._unpacked > limits.max_unpacked_bytes:
            raise PayloadTooLarge(
                f"upload: expected at most {limits.max_unpacked_bytes} bytes after unpacking, "
                "got more",
                fix="send a smaller file, or ask the operator to raise "
                "TRIMTAB_MAX_UNPACKED_BYTES",
            )
        if (
            self._unpacked > _COPY_BYTES
            and self._unpacked > limits.max_gzip_ratio * self._packed
        ):
            raise PayloadTooLarge(
                "upload: expected a gzip file that unpacks to at most "
                f"{limits.max_gzip_ratio:g} times its size, got a larger ratio",
                fix="upload it uncompressed",
            )


def _sync(file: object) -> None:
    file.flush()  # type: ignore[attr-defined]
    os.fsync(file.fileno())  # type: ignore[attr-defined]


def _media_type(name: str, *, gzip: bool) -> str:
    if gzip:
        return "application/gzip"
    return (
        "text/plain"
        if name.endswith((".mps", ".lp", ".sol", ".csv", ".txt"))
        else "application/octet-stream"
    )
