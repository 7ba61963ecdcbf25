"""Read what a linked ELF program takes of flash and memory, from its section headers.

Pure Python, for hostile bytes, like `elf.py`: raises BadObject and nothing else. No dataclasses are
imported, because the engine's server uses it.
"""

from __future__ import annotations

import struct

from solvers.llvm.elf import BadObject, sections_of

_PADDING = ".relro_padding"  # of addresses, not of memory
_WRITE, _ALLOC, _EXEC, _TLS = 0x1, 0x2, 0x4, 0x400
_NOBITS = 8
_UNWIND = (".eh_frame", ".ARM.exidx", ".ARM.extab", ".gcc_except_table")
CLASSES = ("code", "constants", "unwind", "data", "bss")


class ImageSizes:
    """Bytes of a linked program, by what they are."""

    __slots__ = ("parts", "sections")

    def __init__(self, parts: dict[str, int], sections: dict[str, int]) -> None:
        self.parts = parts  # class of CLASSES → bytes
        self.sections = sections  # allocated sections by name, also .bss

    @property
    def flash(self) -> int:
        """Bytes that are loaded: code, constants, unwind tables and initialisers."""
        return sum(self.parts[name] for name in ("code", "constants", "unwind", "data"))

    @property
    def ram(self) -> int:
        """Bytes of writable memory: data and bss; without heap, stack and thread-local data."""
        return self.parts["data"] + self.parts["bss"]


def image_sizes(data: bytes) -> ImageSizes:
    """Read a linked program. Raises BadObject."""
    try:
        rows = sections_of(data)
    except (struct.error, IndexError, ValueError, OverflowError) as error:
        raise BadObject(f"damaged ELF image of {len(data)} bytes: {error}") from error
    parts = dict.fromkeys(CLASSES, 0)
    sections: dict[str, int] = {}
    for name, kind, flags, size in rows:
        if not flags & _ALLOC or name == _PADDING or (kind == _NOBITS and flags & _TLS):
            continue
        parts[class_of(name, kind, flags)] += size
        sections[name] = sections.get(name, 0) + size
    return ImageSizes(parts, sections)


def class_of(name: str, kind: int, flags: int) -> str:
    """Return the class of an allocated section, one of CLASSES."""
    if kind == _NOBITS:
        return "bss"
    if name.startswith(_UNWIND):
        return "unwind"
    if flags & _EXEC:
        return "code"
    return "data" if flags & _WRITE else "constants"
