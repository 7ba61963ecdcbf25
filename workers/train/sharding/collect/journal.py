"""Journal of samples as JSON lines that survives a kill.

One header, then one line per sample; a half-written last line is cut off.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from workers.train.sharding.collect.errors import CollectError

Line = dict[str, Any]

MAX_BYTES = 2 * 2**30  # a million samples take about 0.5 GB


@dataclass(kw_only=True)
class Journal:
    """An open file of measurements, locked against other writers."""

    file: BinaryIO
    lines: list[Line] = field(default_factory=list)
    """All samples in the file, without the header."""

    def append(self, line: Line) -> None:
        """Append a line and sync it to disk before the next sample begins."""
        self.file.write(_encoded(line))
        self.file.flush()
        os.fsync(self.file.fileno())
        self.lines.append(line)


@contextmanager
def opened(path: Path, header: Line) -> Iterator[Journal]:
    """Start `path`, or continue it when its header is equal.

    A file must not mix the costs of two machines. `started` in the header is not compared.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CollectError(
                f"{path}: locked by another collector; wait for it or give another --out"
            ) from None
        _truncate_half_line(file)
        rows = list(_parsed(file, path))
        journal = Journal(file=file, lines=rows[1:])
        if rows:
            _check_same(path, rows[0], header)
        else:
            journal.append(header)
            journal.lines.clear()
        yield journal


def read(path: Path) -> tuple[Line, list[Line]]:
    """Return header and samples of a file, without a half-written last line."""
    try:
        with path.open("rb") as file:
            rows = list(_parsed(file, path, whole=False))
    except OSError as error:
        raise CollectError(
            f"{path}: cannot be read ({error.strerror}); give a file of the collector"
        ) from None
    if not rows:
        raise CollectError(f"{path}: empty; give a file of the collector")
    return rows[0], rows[1:]


def _encoded(line: Line) -> bytes:
    return json.dumps(line, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def _truncate_half_line(file: BinaryIO) -> None:
    """Truncate the file after its last newline."""
    end = file.seek(0, os.SEEK_END)
    cut = end
    while cut:
        start = max(0, cut - 65_536)
        file.seek(start)
        if (newline := file.read(cut - start).rfind(b"\n")) >= 0:
            cut = start + newline + 1
            break
        cut = start
    if cut < end:
        file.truncate(cut)
    file.seek(0)


def _parsed(file: BinaryIO, path: Path, *, whole: bool = True) -> Iterator[Line]:
    if (size := os.fstat(file.fileno()).st_size) > MAX_BYTES:
        raise CollectError(
            f"{path}: expected at most {MAX_BYTES} bytes, got {size}; split it"
        )
    for number, text in enumerate(file, 1):
        if not whole and not text.endswith(b"\n"):
            return
        try:
            line = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise CollectError(
                f"{path}: line {number}: expected JSON, got an error ({error}); "
                "remove that line or start a new file"
            ) from None
        if not isinstance(line, dict) or not isinstance(line.get("kind"), str):
            raise CollectError(
                f"{path}: line {number}: expected an object with a `kind`; "
                "remove it or start a new file"
            )
        if (number == 1) != (line["kind"] == "run"):
            raise CollectError(
                f"{path}: line {number}: got {line['kind']!r}; "
                "expected 'run' in the first line only"
            )
        yield line


def _check_same(path: Path, stored: Line, header: Line) -> None:
    """Raise CollectError that names the first difference between two headers."""
    header = json.loads(_encoded(header))  # tuples become lists, as they are in the file
    for part in sorted((stored.keys() | header.keys()) - {"started"}):
        old, new = stored.get(part), header.get(part)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            key = next(
                k for k in sorted(old.keys() | new.keys()) if old.get(k) != new.get(k)
            )
            part, old, new = f"{part}.{key}", old.get(key), new.get(key)
        raise CollectError(
            f"{path}: {part}: expected {_short(old)} as in the file, got {_short(new)}; "
            "give the same options on the same machine, or another --out"
        )


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."
