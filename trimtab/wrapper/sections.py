"""Objects that carry their IR: a mark when they are made, and the IR when they are linked.

Clang's section of IR is renamed: LLVM's plugin of GNU ar, nm and ld takes `.llvmbc` for an object
of -flto. A second section gets a checksum of the object, so that an object which `objcopy` changed
is linked as it is. Both get the flag by which linkers leave them out. A build marks each object,
so nothing slow is imported here.
"""

from __future__ import annotations

import struct
from zlib import crc32

_NAMES = {b".llvmbc": b".trimir", b".llvmcmd": b".trimsum"}  # clang's → ours, as long
_BITCODE, _MARK = _NAMES.values()
# Sections that compilers and linkers make; code and data may leave them.
_USUAL = tuple(
    b".text .rodata .data .bss .eh_frame .gcc_except .ARM. .init .fini .dyn .gnu .note .got "
    b".plt .rel .hash .interp .tdata .tbss .sdata .sbss .ctors .dtors .jcr .relro".split()
)
_MAGIC, _OURS = b"BC\xc0\xde", b"trimtab1"
_ALLOC, _EXCLUDE = 0x2, 0x80000000
_SYMTAB, _NOBITS, _DYNSYM = 2, 8, 11
_RELOCATABLE = 1
_UNDEFINED, _LOCAL, _RESERVED = 0, 0, 0xFF00


class Elf:
    """Sections of an ELF file. Raises ValueError, struct.error or IndexError for other bytes."""

    __slots__ = (
        "data",
        "kind",
        "machine",
        "names",
        "order",
        "rows",
        "strings",
        "table",
        "wide",
    )

    def __init__(self, data: bytes) -> None:
        if data[:4] != b"\x7fELF" or len(data) < 52:
            raise ValueError("expected an ELF file")
        self.data = data
        self.wide, self.order = data[4] == 2, "<" if data[5] == 1 else ">"
        self.kind, self.machine = struct.unpack_from(self.order + "HH", data, 16)
        where = (self.order + "Q", 40) if self.wide else (self.order + "I", 32)
        (self.table,) = struct.unpack_from(*where[:1], data, where[1])
        _, count, names = struct.unpack_from(
            self.order + "3H", data, 58 if self.wide else 46
        )
        row = self.row
        self.rows = [
            row.unpack_from(data, self.table + i * row.size) for i in range(count)
        ]
        self.strings = self.rows[names]
        self.names = [self.text(self.strings, each[0]) for each in self.rows]

    @property
    def row(self) -> struct.Struct:
        """Return the form of a section's header."""
        return struct.Struct(self.order + ("IIQQQQIIQQ" if self.wide else "10I"))

    def text(self, table: tuple[int, ...], at: int) -> bytes:
        """Return a name of a string table."""
        start = table[4] + at
        return self.data[start : self.data.index(b"\0", start)]

    def content(self, row: tuple[int, ...]) -> bytes:
        """Return a section's bytes."""
        return b"" if row[1] == _NOBITS else self.data[row[4] : row[4] + row[5]]

    def symbols(self, *, dynamic: bool = False) -> list[tuple[bytes, int, int, int, int]]:
        """Return (name, binding, type, section, size) of each symbol that is not local."""
        form = struct.Struct(self.order + ("IBBHQQ" if self.wide else "IIIBBH"))
        found = []
        for row in self.rows:
            if row[1] != (_DYNSYM if dynamic else _SYMTAB):
                continue
            strings = self.rows[row[6]]
            for at in range(row[4], row[4] + row[5], form.size):
                name, *rest = form.unpack_from(self.data, at)
                if self.wide:
                    info, _, place, _, size = rest
                else:
                    _, size, info, _, place = rest
                if info >> 4 != _LOCAL and name:
                    found.append(
                        (self.text(strings, name), info >> 4, info & 15, place, size)
                    )
        return found

    def defined(self, *, dynamic: bool = False) -> set[bytes]:
        """Return the names that other files can refer to."""
        return {s[0] for s in self.symbols(dynamic=dynamic) if s[3] != _UNDEFINED}

    def undefined(self) -> set[bytes]:
        """Return the names that other files must define."""
        return {s[0] for s in self.symbols() if s[3] == _UNDEFINED}

    @property
    def loaded_bytes(self) -> int:
        """Return the bytes of sections that are loaded."""
        return sum(row[5] for row in self.rows if row[2] & _ALLOC and row[1] != _NOBITS)

    def own_sections(self) -> dict[bytes, int]:
        """Return the sizes of loaded sections that the program itself named."""
        return {
            name: row[5]
            for name, row in zip(self.names, self.rows, strict=True)
            if row[2] & _ALLOC and row[1] != _NOBITS and not name.startswith(_USUAL)
        }

    def checksum(self) -> bytes:
        """Return 8 characters that change with what is linked: contents and symbols."""
        total = 0
        for name, row in zip(self.names, self.rows, strict=True):
            if row[2] & _ALLOC:
                total = crc32(self.content(row), crc32(b"%s %d" % (name, row[5]), total))
        for symbol in sorted(self.symbols()):
            place = symbol[3]
            section = self.names[place] if 0 < place < len(self.names) else b"%d" % place
            total = crc32(b"%s %d %s" % (symbol[0], symbol[1], section), total)
        return b"%08x" % total


def mark(path: str) -> bool:
    """Mark an object of `-fembed-bitcode=all` as ours; tell whether it carries IR."""
    with open(path, "r+b") as file:
        try:
            elf = Elf(file.read())
        except (ValueError, IndexError, struct.error):
            return False
        if elf.kind != _RELOCATABLE or not set(_NAMES) <= set(elf.names):
            return False
        width = "Q" if elf.wide else "I"
        for i, (name, row) in enumerate(zip(elf.names, elf.rows, strict=True)):
            if name not in _NAMES:
                continue
            file.seek(elf.strings[4] + row[0])
            file.write(_NAMES[name])
            file.seek(elf.table + i * elf.row.size + 8)
            file.write(struct.pack(elf.order + width, row[2] | _EXCLUDE))
            if _NAMES[name] == _MARK:
                file.seek(row[4])
                file.write((_OURS + elf.checksum()).ljust(row[5], b"\0")[: row[5]])
    return True


def carried_ir(data: bytes) -> bytes | None:
    """Return the bitcode of a marked object, or None where there is none or it is outdated."""
    try:
        elf = Elf(data)
        if elf.kind != _RELOCATABLE or elf.names.count(_BITCODE) != 1:
            return None
        marked = elf.content(elf.rows[elf.names.index(_MARK)])
        if marked.rstrip(b"\0") != _OURS + elf.checksum():
            return None
        code = elf.content(elf.rows[elf.names.index(_BITCODE)])
    except (ValueError, IndexError, struct.error):
        return None
    return code if code.startswith(_MAGIC) else None
