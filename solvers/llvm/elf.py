"""Sizes of sections and functions in an ELF object. Pure Python; bytes may be hostile: it raises BadObject and nothing else.

Source: System V ABI, gABI chapters 4 and 5 (ELF header, sections, symbol table).
"""

from __future__ import annotations

import struct

_ALLOC, _EXEC = 0x2, 0x4
_SYMTAB, _NOBITS, _XINDEX_TABLE = 2, 8, 18
_FUNCTION, _IFUNC = 2, 10
_UNDEFINED, _RESERVED, _XINDEX = 0, 0xFF00, 0xFFFF
_MOST_SECTIONS = 1 << 20
_MOST_SYMBOLS = 1 << 22


class BadObject(Exception):
    """The bytes are not an ELF object that can be read."""


class ObjectSizes:
    """What an object takes. All numbers are bytes."""

    __slots__ = ("code", "functions", "loadable", "sections")

    def __init__(self, *, code: int, loadable: int, sections: dict[str, int], functions: dict[str, int]) -> None:
        self.code = code  # sections with SHF_EXECINSTR
        self.loadable = loadable  # sections with SHF_ALLOC that are in the file: what Berkeley `size` calls text + data
        self.sections = sections  # every section with SHF_ALLOC by name (.bss too); equal names are added up
        self.functions = functions  # st_size of every defined function symbol


class _Section:
    __slots__ = ("entry", "flags", "kind", "link", "name", "offset", "size")

    def __init__(self, row: tuple[int, ...]) -> None:
        self.name, self.kind, self.flags, _, self.offset, self.size, self.link, _, _, self.entry = row


def sizes_of(data: bytes) -> ObjectSizes:
    """Reads section headers and the symbol table. Raises BadObject."""
    try:
        return _read(data)
    except (struct.error, IndexError, ValueError, OverflowError) as error:
        raise BadObject(f"damaged ELF object of {len(data)} bytes: {error}") from error


def _read(data: bytes) -> ObjectSizes:
    if data[:4] != b"\x7fELF" or len(data) < 52:
        raise BadObject(f"not an ELF object: {len(data)} bytes that start with {data[:4]!r}")
    wide, order = data[4] == 2, "<" if data[5] == 1 else ">"
    if data[4] not in (1, 2) or data[5] not in (1, 2):
        raise BadObject(f"ELF class {data[4]} and byte order {data[5]} are unknown; wanted 1 or 2 for each")
    sections = _sections(data, wide=wide, order=order)
    code = loadable = 0
    allocated: dict[str, int] = {}
    for section, name in sections:
        if not section.flags & _ALLOC:
            continue
        allocated[name] = allocated.get(name, 0) + section.size
        if section.kind != _NOBITS:
            if section.offset + section.size > len(data):
                raise BadObject(f"section {name!r} ends at byte {section.offset + section.size} of {len(data)}")
            loadable += section.size
            code += section.size if section.flags & _EXEC else 0
    functions = _functions(data, [section for section, _ in sections], wide=wide, order=order)
    return ObjectSizes(code=code, loadable=loadable, sections=allocated, functions=functions)


def _sections(data: bytes, *, wide: bool, order: str) -> list[tuple[_Section, str]]:
    header = struct.Struct(order + ("IIQQQQIIQQ" if wide else "10I"))
    if wide:
        (at,), (entry, count, names) = (
            struct.unpack_from(order + "Q", data, 40),
            struct.unpack_from(order + "3H", data, 58),
        )
    else:
        (at,), (entry, count, names) = (
            struct.unpack_from(order + "I", data, 32),
            struct.unpack_from(order + "3H", data, 46),
        )
    if at == 0:
        return []
    if entry != header.size:
        raise BadObject(f"section headers of {entry} bytes; wanted {header.size}")
    first = _Section(header.unpack_from(data, at))
    count = count or first.size  # more than 65,279 sections: the number stands in section 0
    names = first.link if names == _XINDEX else names
    if count > _MOST_SECTIONS or at + count * entry > len(data):
        raise BadObject(f"{count} section headers at byte {at} do not fit in {len(data)} bytes")
    found = [_Section(header.unpack_from(data, at + entry * index)) for index in range(count)]
    texts = found[names] if names < len(found) else None
    return [(section, _text(data, texts, section.name)) for section in found]


def _functions(data: bytes, sections: list[_Section], *, wide: bool, order: str) -> dict[str, int]:
    table = next((section for section in sections if section.kind == _SYMTAB), None)
    if table is None:
        return {}
    symbol = struct.Struct(order + ("IBBHQQ" if wide else "IIIBBH"))
    count = table.size // symbol.size
    if count > _MOST_SYMBOLS or table.offset + table.size > len(data):
        raise BadObject(f"{count} symbols at byte {table.offset} do not fit in {len(data)} bytes")
    if table.link >= len(sections):
        raise BadObject(f"symbol names are in section {table.link} of {len(sections)}")
    found: dict[str, int] = {}
    for name, *rest in symbol.iter_unpack(data[table.offset : table.offset + count * symbol.size]):
        info, _, place, _, size = rest if wide else (rest[2], rest[3], rest[4], rest[0], rest[1])
        defined = place != _UNDEFINED and (place < _RESERVED or place == _XINDEX)
        if info & 0xF in (_FUNCTION, _IFUNC) and defined:
            text = _text(data, sections[table.link], name)
            found[text] = max(found.get(text, 0), size)
    return found


def _text(data: bytes, table: _Section | None, at: int) -> str:
    """The NUL-ended text at offset `at` of a string table; empty when there is no table."""
    if table is None:
        return ""
    end_of_table = min(table.offset + table.size, len(data))
    start = table.offset + at
    if start >= end_of_table:
        raise BadObject(f"name at byte {at} of a string table of {table.size}")
    end = data.find(b"\0", start, min(end_of_table, start + (1 << 16)))
    if end < 0:
        raise BadObject(f"name at byte {at} of a string table has no end")
    return data[start:end].decode("utf-8", "backslashreplace")
