"""Cache of optimised objects by content, shared by all builds of a user."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

_MOST_BYTES = 512 * 2**20


def cache_folder() -> Path:
    """Return the folder of optimised objects: TRIMTAB_CC_CACHE, or one of the user's cache."""
    named = os.environ.get("TRIMTAB_CC_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = Path(named) if named else Path(base) / "trimtab" / "cc"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of the cache: one job at a time, whatever `make -j` starts."""
    with (folder / "lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def get(path: Path) -> bytes | None:
    """Return a file of the cache, and remember that it was of use."""
    try:
        content = path.read_bytes()
        os.utime(path)
    except OSError:
        return None
    return content


def put(path: Path, content: bytes) -> None:
    """Write a file at once, so that another process never reads half of it; drop old ones."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content)
    os.replace(file.name, path)
    _prune(path.parent)


def _prune(folder: Path) -> None:
    found = []
    for path in (*folder.glob("*.o"), *folder.glob("*.why")):
        with contextlib.suppress(OSError):
            found.append((path.stat().st_mtime, path.stat().st_size, path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= _MOST_BYTES:
            break
        with contextlib.suppress(OSError):
            path.unlink()
        total -= size
