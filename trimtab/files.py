"""Uploads and downloads: hashed and streamed, never whole in memory.

`LocalFile` is a complete ArtifactRef (artifacts are named by content, so the digest is known before
the upload) that also has the path of its bytes. The path is a private attribute and never
serialised. The clients upload every LocalFile of a spec on submit.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from pydantic import PrivateAttr

from trimtab.errors import DigestMismatch
from trimtab.specs.common import ArtifactRef

CHUNK_BYTES = 1 << 20
Progress = Callable[[int, int | None], None]
"""Called with (bytes done, total bytes or None)."""
Paths = str | os.PathLike[str]
Named = Paths | Sequence[Paths] | Mapping[str, Paths | ArtifactRef]
"""Files of a plan: paths, or names → path or stored file."""


class LocalFile(ArtifactRef):
    """A file on this machine, to be uploaded when a spec that refers to it is submitted."""

    _path: Path = PrivateAttr()

    @classmethod
    def of(cls, path: str | os.PathLike[str], name: str = "") -> LocalFile:
        """Hash a file; without `name` it keeps its own.

        Raises OSError now, not at submit, for a file that cannot be read.
        """
        path = Path(path)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
        made = cls(digest=f"sha256:{digest}", name=name or path.name, size_bytes=size)
        made._path = path
        return made

    @property
    def path(self) -> Path:
        """Path of the bytes."""
        return self._path


def chunks(path: Path, total: int, progress: Progress | None = None) -> Iterator[bytes]:
    """Yield the file's bytes in blocks and report progress."""
    done = 0
    with path.open("rb") as file:
        while block := file.read(CHUNK_BYTES):
            yield block
            done += len(block)
            if progress is not None:
                progress(done, total)


async def achunks(
    path: Path, total: int, progress: Progress | None = None
) -> AsyncIterator[bytes]:
    """Yield blocks like `chunks`, read in a thread so that a slow disk does not block the loop."""
    blocks = chunks(path, total, progress)
    while (block := await asyncio.to_thread(next, blocks, None)) is not None:
        yield block


class Download:
    """Writes a temporary file beside the target; renames it once complete and verified."""

    def __init__(
        self, target: Path, *, digest: str | None, progress: Progress | None = None
    ) -> None:
        self._target, self._digest, self._progress = target, digest, progress
        self._temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
        self._hash = hashlib.sha256()
        self._done = 0
        self.total: int | None = None
        self._file: BinaryIO

    def __enter__(self) -> Download:
        self._file = self._temporary.open("xb")
        return self

    def restart(self) -> None:
        """Discard the bytes so far: after a broken connection the download starts again."""
        self._file.seek(0)
        self._file.truncate()
        self._hash, self._done = hashlib.sha256(), 0

    def write(self, block: bytes) -> None:
        """Append the next bytes."""
        self._file.write(block)
        self._hash.update(block)
        self._done += len(block)
        if self._progress is not None:
            self._progress(self._done, self.total)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        try:
            if error is None:
                digest = f"sha256:{self._hash.hexdigest()}"
                if self._digest is not None and digest != self._digest:
                    raise DigestMismatch(
                        self._target.name, expected=self._digest, got=digest
                    )
                self._temporary.replace(self._target)
        finally:
            self._temporary.unlink(missing_ok=True)


def target_path(to: str | os.PathLike[str] | None, name: str) -> Path:
    """Return the path to write; in a folder, the artifact's own name without any directories."""
    safe = Path(name.replace("\\", "/")).name or "artifact"
    if to is None:
        return Path(safe)
    path = Path(to)
    return path / safe if path.is_dir() else path
