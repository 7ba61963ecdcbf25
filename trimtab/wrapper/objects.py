"""IR that objects carry."""

from __future__ import annotations

import struct
from pathlib import Path

SECTION = ".llvmbc"
_MAGIC = b"BC\xc0\xde"


def carried_ir(path: Path) -> bytes | None:
    """Return the bitcode of an ELF object, or None when it carries none, or more than one."""
    try:
        data = path.read_bytes()
        found = _section(data, SECTION)
    except (OSError, struct.error, IndexError):
        return None
    if found is None or not found.startswith(_MAGIC) or found.count(_MAGIC) != 1:
        return None
    return found


def _section(data: bytes, wanted: str) -> bytes | None:
    if data[:4] != b"\x7fELF":
        return None
    wide, order = data[4] == 2, "<" if data[5] == 1 else ">"
    (at,) = struct.unpack_from(order + ("Q" if wide else "I"), data, 40 if wide else 32)
    _, count, names = struct.unpack_from(order + "3H", data, 58 if wide else 46)
    row = struct.Struct(order + ("IIQQQQIIQQ" if wide else "10I"))
    rows = [row.unpack_from(data, at + i * row.size) for i in range(count)]
    texts = data[rows[names][4] : rows[names][4] + rows[names][5]]
    for each in rows:
        name = texts[each[0] : texts.find(b"\0", each[0])].decode("utf-8", "replace")
        if name == wanted:
            return data[each[4] : each[4] + each[5]]
    return None
