"""JSON lines that survive a kill: one header, one line a sample, a half-written last line taken off."""

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
    """An open file of measurements; nobody else writes it meanwhile."""

    file: BinaryIO
    lines: list[Line] = field(default_factory=list)
    """Samples measured before and now, without the header."""

    def append(self, line: Line) -> None:
        """Write a line and have it on the disk before the next sample begins."""
        self.file.write(_encoded(line))
        self.file.flush()
        os.fsync(self.file.fileno())
        self.lines.append(line)


@contextmanager
def opened(path: Path, header: Line) -> Iterator[Journal]:
    """Start `path`, or continue it when its header is the same: costs of two machines in one file would be of neither.

    `started` in the header is not compared.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CollectError(
                f"{path}: another collector writes it now; wait for it or give another --out"
            ) from None
        _take_off_half_line(file)
        rows = list(_parsed(file, path))
        journal = Journal(file=file, lines=rows[1:])
        if rows:
            _check_same(path, rows[0], header)
        else:
            journal.append(header)
            journal.lines.clear()
        yield journal


def read(path: Path) -> tuple[Line, list[Line]]:
    """(header, samples) of a file; a half-written last line is left out, not repaired."""
    try:
        with path.open("rb") as file:
            rows = list(_parsed(file, path, whole=False))
    except OSError as error:
        raise CollectError(
            f"{path}: cannot be read ({error.strerror}); give a file that the collector wrote"
        ) from None
    if not rows:
        raise CollectError(f"{path}: is empty; give a file that the collector wrote")
    return rows[0], rows[1:]


def _encoded(line: Line) -> bytes:
    return json.dumps(line, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def _take_off_half_line(file: BinaryIO) -> None:
    """Cut what follows the last newline."""
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
            f"{path}: has {size} bytes; at most {MAX_BYTES} are read; split it"
        )
    for number, text in enumerate(file, 1):
        if not whole and not text.endswith(b"\n"):
            return
        try:
            line = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise CollectError(
                f"{path}: line {number} is no JSON ({error}); remove that line or start anew"
            ) from None
        if not isinstance(line, dict) or not isinstance(line.get("kind"), str):
            raise CollectError(
                f"{path}: line {number} wants to be an object with a `kind`; remove it or start anew"
            )
        if (number == 1) != (line["kind"] == "run"):
            raise CollectError(
                f"{path}: line {number} is a {line['kind']!r}; the first line, and no other, is the run's"
            )
        yield line


def _check_same(path: Path, found: Line, wanted: Line) -> None:
    wanted = json.loads(_encoded(wanted))  # tuples become lists, as they are in the file
    for part in sorted((found.keys() | wanted.keys()) - {"started"}):
        old, new = found.get(part), wanted.get(part)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            key = next(
                k for k in sorted(old.keys() | new.keys()) if old.get(k) != new.get(k)
            )
            part, old, new = f"{part}.{key}", old.get(key), new.get(key)
        raise CollectError(
            f"{path}: was measured with {part} = {_short(old)}, now it is {_short(new)}; "
            "give the same options on the same machine, or another --out"
        )


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."
