"""Sections and sized symbols of an ELF file, 32 or 64 bits, either byte order."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

Read = TypeVar("Read")

_ALLOC, _WRITE, _TLS = 0x2, 0x1, 0x400
_SYMTAB, _NOBITS = 2, 8
_SECTION_SYMBOL, _FILE_SYMBOL = 3, 4
_RESERVED = 0xFF00
_PADDING = ".relro_padding"  # of addresses, not of memory
_UNWIND = (".eh_frame", ".ARM.exidx", ".ARM.extab", ".gcc_except_table")
_MOST = 1 << 22


class NotAnElf(ValueError):
    """The bytes are not an ELF file that can be read."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A section that takes memory while the program runs."""

    name: str
    address: int
    size: int
    in_flash: bool  # its contents are loaded
    in_ram: bool  # it may be written


@dataclass(frozen=True, kw_only=True)
class Symbol:
    """A symbol with a size."""

    name: str
    section: str
    address: int
    size: int


def read_elf(data: bytes) -> tuple[list[Section], list[Symbol]]:
    """Return the allocated sections of a program and its sized symbols. Raises NotAnElf."""
    return _whole(_read, data)


def section_content(data: bytes, name: str) -> bytes | None:
    """Return the bytes of the first section of that name, or None. Raises NotAnElf."""

    def content(data: bytes, *, wide: bool, order: str) -> bytes | None:
        for title, row in zip(*_rows(data, wide=wide, order=order), strict=True):
            if title == name:
                return data[row[4] : row[4] + row[5]]
        return None

    return _whole(content, data)


def _whole(read: Callable[..., Read], data: bytes) -> Read:
    """Return what `read` finds in an ELF file of its width and byte order. Raises NotAnElf."""
    if data[:4] != b"\x7fELF" or len(data) < 52:
        raise NotAnElf(
            f"expected an ELF file, got {len(data):,} bytes that begin with {data[:4]!r}"
        )
    try:
        return read(data, wide=data[4] == 2, order="<" if data[5] == 1 else ">")
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise NotAnElf(
            f"expected a whole ELF file, got a damaged one: {error}"
        ) from error


def _rows(
    data: bytes, *, wide: bool, order: str
) -> tuple[list[str], list[tuple[int, ...]]]:
    """Return the names of all sections, and their headers."""
    (at,) = struct.unpack_from(order + ("Q" if wide else "I"), data, 40 if wide else 32)
    _, count, names = struct.unpack_from(order + "3H", data, 58 if wide else 46)
    row = struct.Struct(order + ("IIQQQQIIQQ" if wide else "10I"))
    rows = [row.unpack_from(data, at + i * row.size) for i in range(count)]
    text = rows[names] if names < count else None
    return [_text(data, text, each[0]) for each in rows], rows


def _read(data: bytes, *, wide: bool, order: str) -> tuple[list[Section], list[Symbol]]:
    titles, rows = _rows(data, wide=wide, order=order)
    sections = [
        Section(
            name=title,
            address=each[3],
            size=each[5],
            in_flash=each[1] != _NOBITS,
            in_ram=each[1] == _NOBITS
            or bool(each[2] & _WRITE and not title.startswith(_UNWIND)),
        )
        for title, each in zip(titles, rows, strict=True)
        if each[2] & _ALLOC
        and title != _PADDING
        and not (each[1] == _NOBITS and each[2] & _TLS)
    ]
    allocated = {i for i, each in enumerate(rows) if each[2] & _ALLOC}
    symbols = list(_symbols(data, rows, titles, allocated, wide=wide, order=order))
    return sections, symbols


def _symbols(
    data: bytes,
    rows: list[tuple[int, ...]],
    titles: list[str],
    allocated: set[int],
    *,
    wide: bool,
    order: str,
) -> Iterator[Symbol]:
    row = struct.Struct(order + ("IBBHQQ" if wide else "IIIBBH"))
    seen: set[tuple[int, int]] = set()
    for table in rows:
        if table[1] != _SYMTAB:
            continue
        count = min(table[5] // row.size, _MOST)
        for i in range(count):
            name, *rest = row.unpack_from(data, table[4] + i * row.size)
            info, _, place, value, size = (
                rest if wide else (rest[2], rest[3], rest[4], rest[0], rest[1])
            )
            unsized = info & 15 in (_SECTION_SYMBOL, _FILE_SYMBOL) or size == 0
            if unsized or place >= _RESERVED or place not in allocated:
                continue
            if (place, value) in seen:  # an alias takes no memory of its own
                continue
            seen.add((place, value))
            yield Symbol(
                name=_text(data, rows[table[6]], name),
                section=titles[place],
                address=value,
                size=size,
            )


def _text(data: bytes, table: tuple[int, ...] | None, at: int) -> str:
    if table is None:
        return ""
    start = table[4] + at
    end = data.find(b"\0", start, table[4] + table[5])
    return data[start : end if end >= 0 else start].decode("utf-8", "replace")
