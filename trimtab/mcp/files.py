"""Files that an assistant names: only plain files under the allowed folders, read once.

A path comes from a model, which may repeat what a hostile document told it. So it is resolved, it
must lie under a root, it is opened without following a link, and it is read from that descriptor.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

MAX_BYTES = 256 << 20
_MAX_NAME = 100


class FileRefused(ValueError):
    """A path that may not be read; the message says why and names no content."""


def open_under(roots: Sequence[Path], path: str) -> tuple[int, str]:
    """Return (descriptor, name) of a plain file under one of `roots`. Raises FileRefused.

    The caller closes the descriptor.
    """
    shown = repr(path[:200])
    if not roots:
        raise FileRefused(
            f"path: expected text instead, got {shown}: this server may read no folder; pass the "
            "content as `text`, or start it with --root FOLDER"
        )
    allowed = ", ".join(str(root) for root in roots)
    refused = FileRefused(
        f"path: expected a plain file under {allowed}, got {shown}; name a file there"
    )
    try:
        candidates = [(root.resolve(strict=True), root / path) for root in roots]
        found = next(
            (real, root)
            for root, joined in candidates
            if (real := _real(joined)) is not None and real.is_relative_to(root)
        )
        # O_NONBLOCK: opening a FIFO would wait for its writer.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        descriptor = os.open(found[0], flags)
    except (StopIteration, OSError, ValueError):
        raise refused from None
    try:
        status = os.fstat(descriptor)
        # The file that is open, wherever its folders have been moved meanwhile.
        opened = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if not stat.S_ISREG(status.st_mode) or not opened.is_relative_to(found[1]):
            raise refused
        if not 0 < status.st_size <= MAX_BYTES:
            raise FileRefused(
                f"path: expected 1 to {MAX_BYTES} bytes, got {status.st_size} in {shown}"
            )
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, found[0].name[:_MAX_NAME]


def _real(path: Path) -> Path | None:
    try:
        return path.resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        return None


def plain_name(name: str) -> str:
    """Return the last part of a name of an upload, without what a file name cannot have."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(letter for letter in last if letter.isprintable())[:_MAX_NAME]
    if kept in ("", ".", ".."):
        raise FileRefused(
            f"name: expected a file name such as model.lp, got {name[:60]!r}"
        )
    return kept
