"""Read a file within limits: decompress, decode, tell the format and call its reader."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

from solvers.errors import ModelError
from solvers.exact.model import Deadline, ExactLimits, ExactModel
from solvers.exact.reader_lp import read_lp
from solvers.exact.reader_mps import read_mps

_CHUNK = 1 << 18


def read_exact(
    path: str | os.PathLike[str],
    *,
    format: str = "auto",
    name: str | None = None,
    deadline_s: float | None = None,
    max_bytes: int | None = None,
    limits: ExactLimits | None = None,
) -> ExactModel:
    """Read an .mps or .lp file, plain or gzipped. Raises ModelError and nothing else.

    deadline_s: from now; takes precedence over `limits.time_s`.
    max_bytes: of text, after decompression; takes precedence over `limits.max_bytes`.
    """
    limits = limits or ExactLimits()
    if deadline_s is not None:
        limits = replace(limits, time_s=deadline_s)
    if max_bytes is not None:
        limits = replace(limits, max_bytes=max_bytes)
    deadline = Deadline(limits)
    shown = name or os.path.basename(os.fspath(path))
    try:
        kind = format if format in ("mps", "lp") else _kind(path, shown, limits, deadline)
        if kind == "lp":
            return read_lp(_batches(path, limits, deadline), limits)
        return _read_mps(path, limits, deadline)
    except ModelError:
        raise
    except OSError as error:
        raise ModelError(f"cannot read {shown}: {error.strerror or error}") from error
    except (EOFError, zlib.error) as error:
        raise ModelError(f"{shown} is a damaged gzip file: {error}") from error
    except MemoryError as error:
        raise ModelError(f"{shown} is too large for the exact reader's memory") from error


def _read_mps(
    path: str | os.PathLike[str], limits: ExactLimits, deadline: Deadline
) -> ExactModel:
    # Names with spaces are legal in fixed columns only; almost every file is free, so that is
    # first.
    try:
        return read_mps(_batches(path, limits, deadline), limits, fixed=False)
    except ModelError as error_of_free:
        try:
            model = read_mps(_batches(path, limits, deadline), limits, fixed=True)
            return replace(
                model,
                rules=(
                    "the file is read in fixed columns, as its names hold spaces",
                    *model.rules,
                ),
            )
        except ModelError:
            raise error_of_free from None


def _kind(
    path: str | os.PathLike[str], shown: str, limits: ExactLimits, deadline: Deadline
) -> str:
    bare = shown.lower()
    bare = bare[:-3] if bare.endswith(".gz") else bare
    if bare.endswith((".mps", ".lp")):
        return bare.rpartition(".")[2]
    for lines in _batches(path, limits, deadline):
        for line in lines:
            words = line.split()
            if not words or words[0][0] in "*\\":
                continue
            word = words[0].lower().rstrip(":")
            if word in (
                "max",
                "min",
                "maximize",
                "minimize",
                "maximise",
                "minimise",
                "maximum",
                "minimum",
            ):
                return "lp"
            if word in ("name", "rows", "objsense", "objname"):
                return "mps"
            raise ModelError(
                f"cannot tell the format of {shown}: its first word is {words[0][:60]!r}"
            )
    raise ModelError(f"{shown} is empty; expected an .mps or .lp model")


def _batches(
    path: str | os.PathLike[str], limits: ExactLimits, deadline: Deadline
) -> Iterator[list[str]]:
    """Yield the lines in batches of a quarter of a megabyte, checking the deadline between."""
    with open(path, "rb") as raw:
        magic = raw.read(2)
        raw.seek(0)
        file: BinaryIO = (
            io.BufferedReader(gzip.GzipFile(fileobj=raw)) if magic == b"\x1f\x8b" else raw
        )
        taken, first_line, rest = 0, 1, b""
        while chunk := file.read(_CHUNK):
            deadline.check()
            taken += len(chunk)
            if taken > limits.max_bytes:
                raise ModelError(
                    f"expected a file of at most {limits.max_bytes:,} bytes, got a larger one"
                )
            *complete, rest = (rest + chunk).split(b"\n")
            if len(rest) > limits.max_line_chars:
                raise ModelError(
                    f"a line is longer than {limits.max_line_chars:,} characters",
                    line=first_line + len(complete),
                )
            if complete:
                yield _decoded(complete, first_line)
            first_line += len(complete)
        if rest:
            yield _decoded([rest], first_line)


def _decoded(lines: list[bytes], first_line: int) -> list[str]:
    text = b"\n".join(lines)
    if b"\0" in text:
        raise ModelError("the file holds NUL bytes; expected text", line=first_line)
    try:
        # A byte order mark does not belong to the text; all other bytes do, so names are unchanged.
        decoded = text.decode("utf-8-sig" if first_line == 1 else "utf-8")
    except UnicodeDecodeError as error:
        bad = first_line + text.count(b"\n", 0, error.start)
        raise ModelError("the text is not UTF-8", line=bad) from None
    if "\r" in decoded:  # line ends of Windows or, alone, of old Macintoshes
        decoded = decoded.replace("\r\n", "\n").removesuffix("\r").replace("\r", "\n")
    return decoded.split("\n")
