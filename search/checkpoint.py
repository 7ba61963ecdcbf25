"""Checkpoints: the best solution so far as bytes, which outlive the process that found it.

A checkpoint is written by a process that reads hostile input, so its readers trust nothing in it:
it is JSON and the bytes of `Domain.keep`, without pickle and bounded in size, and a solution taken
from one is verified like any other.
"""

from __future__ import annotations

import os
import stat
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

FILE_NAME = "best.checkpoint"  # in the run folder
MAX_BYTES = 32 * 2**20  # compressed; a larger one is not written
_MAX_PLAIN_BYTES = 1 << 30
_MAGIC = b"trimtab-checkpoint/1\n"
_LENGTH = struct.Struct(">I")

Point = tuple[float, float | None, float | None, str]  # seconds, objective, bound, source


class BadCheckpoint(Exception):
    """Not a checkpoint of this kind of job, damaged, or too large."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A reported solution, and the state of the run at that moment."""

    kind: str
    solution: bytes  # from Domain.keep
    bound: float | None = None
    trace: Sequence[Point] = ()
    timings_s: Mapping[str, float] = field(default_factory=dict)  # of the finished phases
    view: bytes = (
        b""  # the solution as its owner downloads it; empty for kinds without one
    )


def pack(checkpoint: Checkpoint) -> bytes:
    """Serialise a checkpoint. Raises BadCheckpoint when the result exceeds MAX_BYTES.

    A view that makes it too large is left out.
    """
    data = _packed(checkpoint, checkpoint.view)
    if len(data) > MAX_BYTES and checkpoint.view:
        data = _packed(checkpoint, b"")
    if len(data) > MAX_BYTES:
        raise BadCheckpoint(
            f"checkpoint: expected at most {MAX_BYTES} bytes, got {len(data)}"
        )
    return data


def _packed(checkpoint: Checkpoint, view: bytes) -> bytes:
    header = orjson.dumps(
        {
            "kind": checkpoint.kind,
            "bound": checkpoint.bound,
            "trace": checkpoint.trace,
            "timings_s": dict(checkpoint.timings_s),
            "solution_bytes": len(checkpoint.solution),
        }
    )
    plain = _LENGTH.pack(len(header)) + header + checkpoint.solution + view
    return _MAGIC + zlib.compress(plain, 1)


def unpack(data: bytes, *, kind: str) -> Checkpoint:
    """Parse a checkpoint of a run of `kind`. Raises BadCheckpoint."""
    if not data.startswith(_MAGIC) or len(data) > MAX_BYTES:
        raise BadCheckpoint(
            "checkpoint: expected version 1 within the size limit, got other data; start without it"
        )
    try:
        plain = _inflated(data[len(_MAGIC) :])
        (length,) = _LENGTH.unpack_from(plain)
        header = orjson.loads(plain[_LENGTH.size : _LENGTH.size + length])
        trace = [_point(row) for row in header["trace"]]
        timings = {
            str(name): float(seconds) for name, seconds in header["timings_s"].items()
        }
        rest = plain[_LENGTH.size + length :]
        # Checkpoints of before `view` have no size of the solution.
        size = min(len(rest), max(0, int(header.get("solution_bytes", len(rest)))))
        checkpoint = Checkpoint(
            kind=str(header["kind"]),
            solution=rest[:size],
            view=rest[size:],
            bound=_optional(header["bound"]),
            trace=trace,
            timings_s=timings,
        )
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        struct.error,
        zlib.error,
    ) as error:
        raise BadCheckpoint(
            f"checkpoint: damaged ({type(error).__name__}: {error}); start without it"
        ) from error
    if checkpoint.kind != kind:
        raise BadCheckpoint(
            f"checkpoint.kind: expected {kind!r}, got {checkpoint.kind!r}"
        )
    return checkpoint


def write(path: Path, data: bytes) -> None:
    """Replace `path` atomically, against readers and kills in between. Raises OSError."""
    beside = path.with_name(path.name + ".new")
    beside.write_bytes(data)
    os.replace(beside, path)


def read(path: Path) -> bytes | None:
    """Read a file left by an untrusted process, without following links.

    None unless it is a plain file of at most MAX_BYTES.
    """
    try:
        descriptor = os.open(
            path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        )
    except OSError:
        return None
    try:
        status = os.fstat(descriptor)
        # A second name would mean a hard link to a file of somebody else.
        plain = stat.S_ISREG(status.st_mode) and status.st_nlink == 1
        if not plain or status.st_size > MAX_BYTES:
            return None
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(MAX_BYTES + 1)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return data if 0 < len(data) <= MAX_BYTES else None


def _inflated(packed: bytes) -> bytes:
    inflater = zlib.decompressobj()
    plain = inflater.decompress(packed, _MAX_PLAIN_BYTES)
    if not inflater.eof:
        raise ValueError("truncated, or larger than a checkpoint may be")
    return plain


def _point(row: Any) -> Point:
    seconds, objective, bound, source = row
    return max(0.0, float(seconds)), _optional(objective), _optional(bound), str(source)


def _optional(value: Any) -> float | None:
    return None if value is None else float(value)
