"""What the parts of a backup share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What a copy of a database holds."""

    revision: str
    jobs: int
    events: int
    digests: tuple[str, ...]  # of the files that it refers to


class Database(Protocol):
    """The database of a server."""

    member: str
    """Name of its copy in the archive."""

    comes_last: bool
    """It is restored after the files, because a folder without it is no server's. Else before them:
    its restore may fail, and then nothing is left."""

    def snapshot(self, copy: Path) -> Contents:
        """Copy it in one read transaction. Raises BackupRefused."""
        ...

    def require_empty(self) -> None:
        """Raise BackupRefused unless a backup may be restored into it."""
        ...

    def restore(self, dump: Path) -> None:
        """Fill it from a copy. Raises BackupRefused."""
        ...


class BackupRefused(Exception):
    """A backup or restore that cannot be done; the message says why and what to do."""
