"""Reader of GGUF files, versions 2 and 3, little endian, that trusts nothing in them.

Every count is bounded by the bytes that are left before anything of that size is made. The format
is described in ggml's GGUF specification. Reading is Python on a memory map and holds no native
code, but hostile files still belong into a process that can be killed (`workers.llm.conversion`).
"""

from __future__ import annotations

import itertools
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.text_model import ModelUnavailable
from workers.llm.dequantise import BLOCKS

_MAGIC = b"GGUF"
_MAX_KEYS, _MAX_TENSORS, _MAX_DIMENSIONS = 4096, 65536, 4
_MAX_KEY_BYTES = 1024
_MAX_STRINGS = 1_000_000
_MIN_ALIGNMENT, _MAX_ALIGNMENT = 8, 1 << 16
_STRING, _ARRAY = 8, 9
# Type numbers of metadata values.
_SCALARS = MappingProxyType(
    {
        0: struct.Struct("<B"),
        1: struct.Struct("<b"),
        2: struct.Struct("<H"),
        3: struct.Struct("<h"),
        4: struct.Struct("<I"),
        5: struct.Struct("<i"),
        6: struct.Struct("<f"),
        7: struct.Struct("<?"),
        10: struct.Struct("<Q"),
        11: struct.Struct("<q"),
        12: struct.Struct("<d"),
    }
)
_DTYPES = MappingProxyType(
    {
        0: "<u1",
        1: "<i1",
        2: "<u2",
        3: "<i2",
        4: "<u4",
        5: "<i4",
        6: "<f4",
        7: "?",
        10: "<u8",
        11: "<i8",
        12: "<f8",
    }
)
_U32, _U64 = _SCALARS[4], _SCALARS[10]


class BadModelFile(ModelUnavailable):
    """A model file is damaged, hostile, or of a kind that is not supported."""


@dataclass(frozen=True, kw_only=True)
class TensorEntry:
    """One tensor of a file, as its header describes it."""

    name: str
    shape: tuple[int, ...]  # slowest dimension first, as in torch
    ggml_type: int
    begin: int  # first byte in the file
    end: int

    @property
    def rows(self) -> int:
        """Product of all dimensions but the last."""
        return int(np.prod(self.shape[:-1], dtype=np.int64)) if self.shape else 1


class GgufFile:
    """Metadata and tensors of an open file."""

    def __init__(self, path: Path) -> None:
        """Map the file and read its header. Raises BadModelFile and OSError."""
        self.path = path
        with path.open("rb") as file:
            size = file.seek(0, 2)
            if size < 24:
                raise BadModelFile(
                    f"{path.name}: expected a GGUF file, got {size} bytes; download it again"
                )
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        cursor = _Cursor(self._map, path.name)
        tensors, keys = cursor.preamble()
        self.metadata: Mapping[str, Any] = cursor.metadata(keys)
        self.tensors: Mapping[str, TensorEntry] = cursor.tensors(
            tensors, self.metadata.get("general.alignment", 32)
        )

    def raw(self, entry: TensorEntry, first: int, rows: int) -> NDArray[np.uint8]:
        """Return the bytes of some rows of a tensor, [rows, bytes per row]."""
        row_bytes = (entry.end - entry.begin) // max(1, entry.rows)
        flat = np.frombuffer(
            self._map, np.uint8, rows * row_bytes, entry.begin + first * row_bytes
        )
        return flat.reshape(rows, row_bytes)

    def number(self, key: str, default: float | None = None) -> float:
        """Return a number of the metadata. Raises BadModelFile when it is absent or no number."""
        value = self.metadata.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            shown = "nothing" if value is None else repr(value)[:60]
            raise BadModelFile(
                f"{self.path.name}: {key}: expected a number, got {shown}; "
                "convert the model again with a current converter"
            )
        return value

    def count(self, key: str, default: int | None = None, *, most: int = 1 << 24) -> int:
        """Return a positive integer of the metadata, at most `most`. Raises BadModelFile."""
        value = self.number(key, default)
        if not isinstance(value, int) or not 1 <= value <= most:
            raise BadModelFile(
                f"{self.path.name}: {key}: expected an integer from 1 to {most}, got {value!r}; "
                "download the file again"
            )
        return value


class _Cursor:
    """Position in a file's header."""

    def __init__(self, buffer: mmap.mmap, name: str) -> None:
        self._buffer, self._name = buffer, name
        self._at = 0
        self._strings = 0

    def preamble(self) -> tuple[int, int]:
        """Return the numbers of tensors and of metadata keys."""
        if self._buffer[:4] != _MAGIC:
            raise BadModelFile(
                f"{self._name}: expected a GGUF file, got other content; name a .gguf file"
            )
        self._at = 4
        version = self._scalar(_U32)
        if version not in (2, 3):
            big_endian = version in (2 << 24, 3 << 24)
            got = "a big-endian file" if big_endian else f"version {version}"
            raise BadModelFile(
                f"{self._name}: expected GGUF version 2 or 3, little endian, got {got}; "
                "convert the model again"
            )
        tensors, keys = self._scalar(_U64), self._scalar(_U64)
        # A tensor takes at least 24 bytes of header, a key 13.
        self._bound("tensors", tensors, _MAX_TENSORS, 24)
        self._bound("metadata keys", keys, _MAX_KEYS, 13)
        return tensors, keys

    def metadata(self, keys: int) -> dict[str, Any]:
        """Read the metadata."""
        values: dict[str, Any] = {}
        for _ in range(keys):
            key = self._string(_MAX_KEY_BYTES)
            if key in values:
                raise self._bad(f"metadata key {key[:80]!r} comes twice")
            values[key] = self._value(self._scalar(_U32), key)
        return values

    def tensors(self, count: int, alignment: Any) -> dict[str, TensorEntry]:
        """Read the table of tensors, whose contents begin at the next multiple of `alignment`."""
        power_of_two = isinstance(alignment, int) and alignment & (alignment - 1) == 0
        if not power_of_two or not _MIN_ALIGNMENT <= alignment <= _MAX_ALIGNMENT:
            raise self._bad(
                f"general.alignment: expected a power of two, got {str(alignment)[:40]}"
            )
        headers = [self._tensor_header() for _ in range(count)]
        base = -(-self._at // alignment) * alignment
        entries: dict[str, TensorEntry] = {}
        for name, shape, kind, offset in headers:
            if name in entries:
                raise self._bad(f"tensor {name[:80]!r} comes twice")
            if offset % alignment:
                raise self._bad(f"tensor {name[:80]!r}: offset {offset} is not aligned")
            begin = base + offset
            end = begin + self._tensor_bytes(name, shape, kind)
            if end > len(self._buffer):
                raise self._bad(
                    f"tensor {name[:80]!r}: expected its {end - begin} bytes within the file's "
                    f"{len(self._buffer)}, got offset {begin}"
                )
            entries[name] = TensorEntry(
                name=name, shape=shape, ggml_type=kind, begin=begin, end=end
            )
        self._check_overlaps(entries)
        return entries

    def _check_overlaps(self, entries: Mapping[str, TensorEntry]) -> None:
        ordered = sorted(entries.values(), key=lambda entry: (entry.begin, entry.end))
        for before, after in itertools.pairwise(ordered):
            if after.begin < before.end:
                raise self._bad(
                    f"tensors {before.name[:80]!r} and {after.name[:80]!r} overlap"
                )

    def _tensor_header(self) -> tuple[str, tuple[int, ...], int, int]:
        name = self._string(_MAX_KEY_BYTES)
        dimensions = self._scalar(_U32)
        if not 1 <= dimensions <= _MAX_DIMENSIONS:
            raise self._bad(
                f"tensor {name[:80]!r}: expected 1 to {_MAX_DIMENSIONS} dimensions, "
                f"got {dimensions}"
            )
        shape = tuple(self._scalar(_U64) for _ in range(dimensions))[::-1]
        return name, shape, self._scalar(_U32), self._scalar(_U64)

    def _tensor_bytes(self, name: str, shape: tuple[int, ...], kind: int) -> int:
        if kind not in BLOCKS:
            types = ", ".join(block.name for block in BLOCKS.values())
            raise self._bad(
                f"tensor {name[:80]!r}: expected one of {types}, got ggml type {kind}; "
                "take a file in one of these"
            )
        block = BLOCKS[kind]
        count = 1
        for size in shape:
            if not 1 <= size <= len(self._buffer) * 8:
                raise self._bad(f"tensor {name[:80]!r}: shape {shape} is impossible here")
            count *= size
        if shape[-1] % block.weights:
            raise self._bad(
                f"tensor {name[:80]!r}: expected rows of a multiple of {block.weights} weights "
                f"for {block.name}, got {shape[-1]}"
            )
        return count // block.weights * block.size

    def _value(self, kind: int, key: str) -> Any:
        if kind in _SCALARS:
            return self._scalar(_SCALARS[kind])
        if kind == _STRING:
            return self._string(len(self._buffer))
        if kind != _ARRAY:
            raise self._bad(f"metadata key {key[:80]!r}: unknown type {kind}")
        element, length = self._scalar(_U32), self._scalar(_U64)
        if element in _SCALARS:
            width = _SCALARS[element].size
            self._bound(f"elements of {key[:80]!r}", length, len(self._buffer), width)
            array = np.frombuffer(self._buffer, _DTYPES[element], length, self._at)
            self._at += length * width
            return array
        if element != _STRING:
            raise self._bad(
                f"metadata key {key[:80]!r}: expected an array of numbers or strings, "
                f"got type {element}"
            )
        self._bound(f"strings of {key[:80]!r}", length, _MAX_STRINGS, 8)
        self._strings += length
        if self._strings > 2 * _MAX_STRINGS:
            raise self._bad(f"expected at most {2 * _MAX_STRINGS} strings in all")
        return [self._string(len(self._buffer)) for _ in range(length)]

    def _scalar(self, layout: struct.Struct) -> Any:
        try:
            (value,) = layout.unpack_from(self._buffer, self._at)
        except struct.error:
            raise self._bad("the file ends within its header") from None
        self._at += layout.size
        return value

    def _string(self, most_bytes: int) -> str:
        length = self._scalar(_U64)
        self._bound("bytes of a string", length, most_bytes, 1)
        text = self._buffer[self._at : self._at + length]
        self._at += length
        try:
            return text.decode()
        except UnicodeDecodeError:
            raise self._bad("a string of its header is not UTF-8") from None

    def _bound(self, what: str, count: int, most: int, bytes_each: int) -> None:
        left = len(self._buffer) - self._at
        if count > most or count * bytes_each > left:
            raise self._bad(
                f"expected at most {min(most, left // bytes_each)} {what}, got {count}"
            )

    def _bad(self, reason: str) -> BadModelFile:
        return BadModelFile(
            f"{self._name}: damaged or unsupported GGUF file: {reason}; download it again"
        )
