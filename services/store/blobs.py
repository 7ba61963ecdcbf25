"""Files by their content: `<root>/ab/abcd…` named by SHA-256, written to a temporary file, synced, renamed.

A file is either there, whole and under its right name, or not there. Two uploads of the same bytes are one file.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import shutil
import tempfile
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from services.errors import InsufficientStorage, InvalidBody, NotFound, PayloadTooLarge
from trimtab.specs.common import DIGEST_PATTERN

_COPY_BYTES = 1 << 20
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, kw_only=True)
class UploadLimits:
    """What an upload may be."""

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
        """Where the bytes are. Raises NotFound."""
        path = self._place(digest)
        if not path.is_file():
            raise NotFound(
                f"no bytes of {digest} here",
                fix="upload the file again: POST /v1/artifacts?name=FILE",
            )
        return path

    def probe_write(self) -> None:
        """Write a small file and remove it. Raises OSError when the disk takes no writes."""
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile(prefix="probe-", dir=self._root) as file:
            file.write(b"writable")
            file.flush()
            os.fsync(file.fileno())

    async def ingest(
        self, stream: AsyncIterator[bytes], *, name: str, limits: UploadLimits
    ) -> Blob:
        """Store what `stream` brings. Raises PayloadTooLarge, InvalidBody (damaged gzip) or InsufficientStorage; nothing is
        left behind then."""
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, temporary = tempfile.mkstemp(prefix="upload-", dir=self._root)
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
                            f"the upload is larger than {limits.max_bytes} bytes",
                            fix="compress it with gzip, or have the operator raise TRIMTAB_MAX_UPLOAD_BYTES",
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
                    "the disk has no room for this upload; nothing was kept"
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
        handle, temporary = tempfile.mkstemp(prefix="adopt-", dir=self._root)
        digest = hashlib.sha256()
        size = 0
        try:
            with os.fdopen(handle, "wb") as file, source.open("rb") as given:
                while chunk := given.read(_COPY_BYTES):
                    digest.update(chunk)
                    file.write(chunk)
                    size += len(chunk)
                _sync(file)
            result = "sha256:" + digest.hexdigest()
            self._keep(Path(temporary), result)
        except OSError as error:
            if error.errno in _NO_SPACE:
                raise InsufficientStorage(
                    f"the disk has no room for {source.name}"
                ) from error
            raise
        finally:
            Path(temporary).unlink(missing_ok=True)
        return Blob(
            digest=result,
            size_bytes=size,
            media_type=_media_type(source.name, gzip=source.suffix == ".gz"),
        )

    def delete(self, digest: str) -> None:
        """Remove the bytes, if they are there."""
        self._place(digest).unlink(missing_ok=True)

    def free_bytes(self) -> int:
        """Room on the disk."""
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        return shutil.disk_usage(self._root).free

    def _place(self, digest: str) -> Path:
        if not DIGEST_PATTERN.match(digest):
            raise NotFound(
                f"{digest[:100]!r} is no digest; wanted sha256: and 64 hex digits"
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
    """Unpacks while the upload runs, keeps nothing, and stops at a bomb: 1 MB can become 1 GiB."""

    def __init__(self, limits: UploadLimits) -> None:
        self._limits = limits
        self._inflate = zlib.decompressobj(wbits=31)
        self._packed = 0
        self._unpacked = 0

    def feed(self, chunk: bytes) -> None:
        """Raises PayloadTooLarge or InvalidBody."""
        self._packed += len(chunk)
        data = chunk
        while data:
            try:
                out = self._inflate.decompress(data, _COPY_BYTES)
            except zlib.error as error:
                raise InvalidBody(
                    f"the file says it is gzip but cannot be unpacked: {error}",
                    fix="pack it again",
                ) from error
            self._unpacked += len(out)
            self._check()
            if self._inflate.eof:
                data = self._inflate.unused_data
                # Several members may follow one another; zero padding after the last is common.
                if not data.strip(b"\x00"):
                    return
                self._inflate = zlib.decompressobj(wbits=31)
            else:
                data = self._inflate.unconsumed_tail

    def finish(self) -> None:
        """Raises InvalidBody when the stream ended in the middle."""
        if not self._inflate.eof:
            raise InvalidBody("the gzip file is truncated", fix="upload it again, whole")

    def _check(self) -> None:
        limits = self._limits
        if self._unpacked > limits.max_unpacked_bytes:
            raise PayloadTooLarge(
                f"the gzip file unpacks to more than {limits.max_unpacked_bytes} bytes",
                fix="send a smaller file, or have the operator raise TRIMTAB_MAX_UNPACKED_BYTES",
            )
        if (
            self._unpacked > _COPY_BYTES
            and self._unpacked > limits.max_gzip_ratio * self._packed
        ):
            raise PayloadTooLarge(
                f"the gzip file unpacks to more than {limits.max_gzip_ratio:g} times its size, as only bombs do",
                fix="send it unpacked",
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
