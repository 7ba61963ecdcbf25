"""Files of models: limits, decompression and format."""

from __future__ import annotations

import gzip
import os
import re
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from solvers.errors import ModelError
from solvers.types import MilpModel

Format = Literal["auto", "mps", "lp"]

_CHUNK = 1 << 20
_SNIFFED = 64 * 1024
_MPS_START = re.compile(
    rb"^(NAME|ROWS|OBJSENSE|OBJSENSE_?\w*|OBJNAME|REFROW|FREE)\b", re.IGNORECASE
)
_LP_START = re.compile(rb"^\s*(max|min)(imi[sz]e|imum)?\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class ReadLimits:
    """Limits on the size of a file and its model."""

    max_bytes: int = 1 << 30  # after decompression
    max_columns: int = 50_000_000
    max_rows: int = 50_000_000
    max_nonzeros: int = 200_000_000
    # Up to this size (plain) the exact reader reads too, in at most about 0.6 s.
    compared_bytes: int = 4 << 20

    def check(self, model: MilpModel, shown: str) -> MilpModel:
        """Return the model. Raises ModelError when it is too large."""
        for what, count, most in (
            ("columns", model.n, self.max_columns),
            ("rows", model.m, self.max_rows),
            ("coefficients", model.nnz, self.max_nonzeros),
        ):
            if count > most:
                raise ModelError(
                    f"{shown}: expected at most {most:,} {what}, got {count:,}"
                )
        return model


def decompressed(source: Path, target: Path, shown: str, limits: ReadLimits) -> Path:
    """Return the file itself, or its unpacked content when it is gzipped.

    Raises ModelError for empty, damaged or too large files.
    """
    try:
        size = source.stat().st_size
        with source.open("rb") as file:
            magic = file.read(2)
    except OSError as error:
        raise ModelError(f"cannot open {shown}: {error.strerror or error}") from error
    if size == 0:
        raise ModelError(f"{shown}: expected an .mps or .lp model, got an empty file")
    if magic != b"\x1f\x8b":
        if size > limits.max_bytes:
            raise ModelError(
                f"{shown}: expected at most {limits.max_bytes:,} bytes, got {size:,}"
            )
        return source
    written = 0
    try:
        with gzip.open(source, "rb") as packed, target.open("wb") as out:
            while chunk := packed.read(_CHUNK):
                written += len(chunk)
                if written > limits.max_bytes:
                    raise ModelError(
                        f"{shown}: expected at most {limits.max_bytes:,} bytes after unpacking, "
                        "got more"
                    )
                out.write(chunk)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ModelError(
            f"{shown} is a damaged gzip file ({error}); pack it again or send it plain"
        ) from error
    if written == 0:
        raise ModelError(
            f"{shown}: expected an .mps or .lp model, got a gzip file without content"
        )
    return target


def format_of(
    path: str | os.PathLike[str],
    *,
    name: str | None = None,
    limits: ReadLimits | None = None,
) -> Literal["mps", "lp"]:
    """Tell the format of a file by its name, then by its content. Raises ModelError."""
    shown = name or Path(path).name
    by_name = _format_by_name(shown)
    if by_name is not None:
        return by_name
    with tempfile.TemporaryDirectory(prefix="read-") as scratch:
        plain = decompressed(
            Path(path), Path(scratch) / "content", shown, limits or ReadLimits()
        )
        return tell_format(plain, shown)


def _format_by_name(shown: str) -> Literal["mps", "lp"] | None:
    stem = shown.lower().removesuffix(".gz")
    return "mps" if stem.endswith(".mps") else "lp" if stem.endswith(".lp") else None


def tell_format(plain: Path, shown: str) -> Literal["mps", "lp"]:
    """Tell the format of an unpacked file by its name, then by its first words."""
    by_name = _format_by_name(shown)
    if by_name is not None:
        return by_name
    with plain.open("rb") as file:
        head = file.read(_SNIFFED)
    for line in head.splitlines():
        stripped = line.strip()
        if not stripped or stripped.startswith((b"*", b"\\")):
            continue
        if _LP_START.match(line):
            return "lp"
        if _MPS_START.match(line):
            return "mps"
        break
    raise ModelError(
        f"cannot tell the format of {shown}: expected a name ending in .mps or .lp (or .gz of "
        "these), or content that begins with NAME, ROWS or OBJSENSE (MPS) or with Minimize or "
        "Maximize (LP); name the format in the job"
    )
