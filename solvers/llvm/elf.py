"""Read the sizes of sections and functions from an ELF object.

Pure Python, for hostile bytes: it raises BadObject and nothing else. Sources: System V ABI, gABI
chapters 4 and 5 (ELF header, sections, symbol table, relocation); Linux Standard Base, core
specification 5.0, section 10.6 (.eh_frame).
"""

from __future__ import annotations

import struct

_ALLOC, _EXEC = 0x2, 0x4
_SYMTAB, _RELA, _NOBITS, _REL = 2, 4, 8, 9
_FUNCTION, _IFUNC = 2, 10
_UNDEFINED, _RESERVED, _XINDEX = 0, 0xFF00, 0xFFFF
_MOST_SECTIONS = 1 << 20
_MOST_SYMBOLS = 1 << 22
_LONG = 0xFFFFFFFF  # marks an entry of .eh_frame whose length follows in eight bytes


class BadObject(Exception):
    """The bytes are not an ELF object that can be read."""


class ObjectSizes:
    """Sizes of an object, in bytes."""

    __slots__ = ("code", "functions", "loadable", "sections", "unwind")

    def __init__(
        self,
        *,
        code: int,
        loadable: int,
        sections: dict[str, int],
        functions: dict[str, int],
        unwind: dict[str, int],
    ) -> None:
        self.code = code  # sections with SHF_EXECINSTR
        # Sections with SHF_ALLOC that are in the file: text + data of Berkeley `size`.
        self.loadable = loadable
        # Sections with SHF_ALLOC, also .bss, by name; equal names are summed.
        self.sections = sections
        self.functions = functions  # st_size of every defined function symbol
        self.unwind = unwind  # entry in .eh_frame of each function that has one


class _Section:
    __slots__ = ("entry", "flags", "info", "kind", "link", "name", "offset", "size")

    def __init__(self, row: tuple[int, ...]) -> None:
        (
            self.name,
            self.kind,
            self.flags,
            _,
            self.offset,
            self.size,
            self.link,
            self.info,
            _,
            self.entry,
        ) = row


class _Symbol:
    __slots__ = ("function", "name", "place", "size", "value")

    def __init__(
        self, *, name: int, info: int, place: int, value: int, size: int
    ) -> None:
        self.name, self.place, self.value, self.size = name, place, value, size
        defined = place != _UNDEFINED and (place < _RESERVED or place == _XINDEX)
        self.function = info & 0xF in (_FUNCTION, _IFUNC) and defined


def sizes_of(data: bytes) -> ObjectSizes:
    """Read section headers and the symbol table. Raises BadObject."""
    try:
        return _read(data)
    except (struct.error, IndexError, ValueError, OverflowError) as error:
        raise BadObject(f"damaged ELF object of {len(data)} bytes: {error}") from error


def sections_of(data: bytes) -> list[tuple[str, int, int, int]]:
    """Return (name, type, flags, size) of each section of an ELF file.

    Raises BadObject, struct.error or IndexError.
    """
    wide, order = _form(data)
    rows = _sections(data, wide=wide, order=order)
    return [(name, row.kind, row.flags, row.size) for row, name in rows]


def _form(data: bytes) -> tuple[bool, str]:
    """Return whether an ELF file has 64 bits, and its byte order for `struct`."""
    if data[:4] != b"\x7fELF" or len(data) < 52:
        raise BadObject(
            f"not an ELF object: {len(data)} bytes that start with {data[:4]!r}"
        )
    wide, order = data[4] == 2, "<" if data[5] == 1 else ">"
    if data[4] not in (1, 2) or data[5] not in (1, 2):
        raise BadObject(
            f"expected ELF class and byte order 1 or 2, got {data[4]} and {data[5]}"
        )
    return wide, order


def _read(data: bytes) -> ObjectSizes:
    wide, order = _form(data)
    sections = _sections(data, wide=wide, order=order)
    code = loadable = 0
    allocated: dict[str, int] = {}
    for section, name in sections:
        if not section.flags & _ALLOC:
            continue
        allocated[name] = allocated.get(name, 0) + section.size
        if section.kind != _NOBITS:
            if section.offset + section.size > len(data):
                raise BadObject(
                    f"section {name!r} ends at byte {section.offset + section.size} of {len(data)}"
                )
            loadable += section.size
            code += section.size if section.flags & _EXEC else 0
    symbols, names = _symbols(
        data, [section for section, _ in sections], wide=wide, order=order
    )
    functions: dict[str, int] = {}
    starts: dict[tuple[int, int], str] = {}  # (section, offset in it) → function
    for symbol in symbols:
        if symbol.function:
            name = _text(data, names, symbol.name)
            functions[name] = max(functions.get(name, 0), symbol.size)
            starts[symbol.place, symbol.value] = name
    unwind = _unwind(data, sections, symbols, starts, wide=wide, order=order)
    return ObjectSizes(
        code=code,
        loadable=loadable,
        sections=allocated,
        functions=functions,
        unwind=unwind,
    )


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
        raise BadObject(f"expected section headers of {header.size} bytes, got {entry}")
    first = _Section(header.unpack_from(data, at))
    count = count or first.size  # more than 65,279 sections: section 0 holds the number
    names = first.link if names == _XINDEX else names
    if count > _MOST_SECTIONS or at + count * entry > len(data):
        raise BadObject(
            f"{count} section headers at byte {at} do not fit in {len(data)} bytes"
        )
    sections = [
        _Section(header.unpack_from(data, at + entry * index)) for index in range(count)
    ]
    texts = sections[names] if names < len(sections) else None
    return [(section, _text(data, texts, section.name)) for section in sections]


def _symbols(
    data: bytes, sections: list[_Section], *, wide: bool, order: str
) -> tuple[list[_Symbol], _Section | None]:
    """Return all symbols in their order, and the section that holds their names."""
    table = next((section for section in sections if section.kind == _SYMTAB), None)
    if table is None:
        return [], None
    row = struct.Struct(order + ("IBBHQQ" if wide else "IIIBBH"))
    count = table.size // row.size
    if count > _MOST_SYMBOLS or table.offset + table.size > len(data):
        raise BadObject(
            f"{count} symbols at byte {table.offset} do not fit in {len(data)} bytes"
        )
    if table.link >= len(sections):
        raise BadObject(f"symbol names are in section {table.link} of {len(sections)}")
    symbols = []
    for name, *rest in row.iter_unpack(
        data[table.offset : table.offset + count * row.size]
    ):
        info, _, place, value, size = (
            rest if wide else (rest[2], rest[3], rest[4], rest[0], rest[1])
        )
        symbols.append(_Symbol(name=name, info=info, place=place, value=value, size=size))
    return symbols, sections[table.link]


def _unwind(
    data: bytes,
    sections: list[tuple[_Section, str]],
    symbols: list[_Symbol],
    starts: dict[tuple[int, int], str],
    *,
    wide: bool,
    order: str,
) -> dict[str, int]:
    """Return the bytes of each function's frame description entry, without common entries."""
    unwind: dict[str, int] = {}
    for index, (frames, name) in enumerate(sections):
        if name != ".eh_frame" or frames.kind == _NOBITS:
            continue
        places = _relocated(
            data,
            [section for section, _ in sections],
            index,
            symbols,
            wide=wide,
            order=order,
        )
        at, end = frames.offset, frames.offset + frames.size
        while at + 8 <= end:
            (length,), head = struct.unpack_from(order + "I", data, at), 4
            if length == _LONG:
                (length,), head = struct.unpack_from(order + "Q", data, at + 4), 12
            if length == 0:
                break
            if at + head + length > end:
                raise BadObject(
                    f"an entry of .eh_frame ends at byte {at + head + length}, the section at {end}"
                )
            # Size of the pointer to the common entry, which itself has 0 there.
            pointer = 8 if head == 12 else 4
            function = starts.get(places.get(at + head + pointer - frames.offset, (0, 0)))
            if function is not None:
                unwind[function] = unwind.get(function, 0) + head + length
            at += head + length
    return unwind


def _relocated(
    data: bytes,
    sections: list[_Section],
    target: int,
    symbols: list[_Symbol],
    *,
    wide: bool,
    order: str,
) -> dict[int, tuple[int, int]]:
    """Return the (section, offset) that relocations put at each offset of section `target`."""
    places: dict[int, tuple[int, int]] = {}
    for section in sections:
        if section.kind not in (_RELA, _REL) or section.info != target:
            continue
        row = struct.Struct(
            order
            + ("QQ" if wide else "II")
            + (("q" if wide else "i") if section.kind == _RELA else "")
        )
        if section.offset + section.size > len(data):
            raise BadObject(
                f"relocations end at byte {section.offset + section.size} of {len(data)}"
            )
        whole = section.size // row.size * row.size
        for at, info, *addend in row.iter_unpack(
            data[section.offset : section.offset + whole]
        ):
            number = info >> 32 if wide else info >> 8
            if number < len(symbols):
                symbol = symbols[number]
                places[at] = (symbol.place, symbol.value + (addend[0] if addend else 0))
    return places


def _text(data: bytes, table: _Section | None, at: int) -> str:
    """Return the NUL-terminated text at offset `at` of a string table; empty without a table."""
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
