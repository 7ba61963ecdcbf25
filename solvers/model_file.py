"""Files of models: limits, decompression and format."""

from __future__ import annotations

import codecs
import gzip
import os
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from solvers.errors import ModelError
from solvers.types import MilpModel

Format = Literal["auto", "mps", "lp"]

_CHUNK = 1 << 20
_SNIFFED = 64 * 1024
_MAGIC_BYTES = 6
_NO_MODEL = (
    (b"BZh", "a bzip2 file; unpack it, or pack it with gzip"),
    (b"\xfd7zXZ\x00", "an xz file; unpack it, or pack it with gzip"),
    (b"\x28\xb5\x2f\xfd", "a zstd file; unpack it, or pack it with gzip"),
    (b"PK\x03\x04", "a zip archive; unpack it and send one model"),
    (b"\xff\xfe", "text in UTF-16; save it as UTF-8"),
    (b"\xfe\xff", "text in UTF-16; save it as UTF-8"),
)
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
    if not _magic(source, shown).startswith(b"\x1f\x8b"):
        size = source.stat().st_size
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
    path: str | os.PathLike[str], *, name: str | None = None
) -> Literal["mps", "lp"]:
    """Tell the format of a plain or gzipped file by its name and first words.

    Raises ModelError.
    """
    source = Path(path)
    shown = name or source.name
    _magic(source, shown)
    return tell_format(source, shown)


def _magic(source: Path, shown: str) -> bytes:
    """Return the first bytes. Raises ModelError for an empty file and another packing."""
    try:
        with source.open("rb") as file:
            magic = file.read(_MAGIC_BYTES)
    except OSError as error:
        raise ModelError(f"cannot open {shown}: {error.strerror or error}") from error
    if not magic:
        raise ModelError(f"{shown}: expected an .mps or .lp model, got an empty file")
    for start, got in _NO_MODEL:
        if magic.startswith(start):
            raise ModelError(f"{shown}: expected a plain or gzipped model, got {got}")
    return magic


def _format_by_name(shown: str) -> Literal["mps", "lp"] | None:
    stem = shown.lower().removesuffix(".gz")
    return "mps" if stem.endswith(".mps") else "lp" if stem.endswith(".lp") else None


def _format_by_content(source: Path) -> Literal["mps", "lp"] | None:
    for line in _head(source).removeprefix(codecs.BOM_UTF8).splitlines():
        stripped = line.strip()
        if not stripped or stripped.startswith((b"*", b"\\")):
            continue
        if _LP_START.match(line):
            return "lp"
        return "mps" if _MPS_START.match(line) else None
    return None


def _head(source: Path) -> bytes:
    """Return the first bytes of the text; those that can be had of a damaged gzip file."""
    with source.open("rb") as file:
        head = file.read(_SNIFFED)
    if not head.startswith(b"\x1f\x8b"):
        return head
    try:
        return zlib.decompressobj(wbits=31).decompress(head, _SNIFFED)
    except zlib.error:
        return b""


def tell_format(source: Path, shown: str) -> Literal["mps", "lp"]:
    """Tell the format of a file by its name, then by its first words. Raises ModelError."""
    by_name, by_content = _format_by_name(shown), _format_by_content(source)
    if by_name is not None:
        if by_content not in (None, by_name):
            raise ModelError(
                f"{shown}: expected {by_name.upper()} format, as the name says, got text that "
                f"begins like {by_content.upper()}; correct the name, or name the format in the "
                "job"
            )
        return by_name
    if by_content is not None:
        return by_content
    raise ModelError(
        f"cannot tell the format of {shown}: expected a name ending in .mps or .lp (or .gz of "
        "these), or content that begins with NAME, ROWS or OBJSENSE (MPS) or with Minimize or "
        "Maximize (LP); name the format in the job"
    )
