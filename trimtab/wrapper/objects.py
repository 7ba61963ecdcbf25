"""IR that objects carry."""

from __future__ import annotations

from pathlib import Path

from trimtab.flash.elf import NotAnElf, section_content

SECTION = ".llvmbc"
_MAGIC = b"BC\xc0\xde"


def carried_ir(path: Path) -> bytes | None:
    """Return the bitcode of an ELF object, or None when it carries none, or more than one."""
    try:
        found = section_content(path.read_bytes(), SECTION)
    except (OSError, NotAnElf):
        return None
    if found is None or not found.startswith(_MAGIC) or found.count(_MAGIC) != 1:
        return None
    return found
