"""Sizes of linked programs from their section headers."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from solvers.llvm.elf import BadObject
from solvers.llvm.elf_image import image_sizes
from solvers.llvm.install import find_llvm
from solvers.llvm.programs import LlvmPrograms
from solvers.llvm.types import Target

_ALLOC, _WRITE, _EXEC, _TLS = 2, 1, 4, 0x400
_PROGBITS, _NOBITS = 1, 8


def elf(rows: list[tuple[str, int, int, int]]) -> bytes:
    """An ELF file with sections (name, type, flags, size) and no contents but names."""
    names, offsets = b"\0", []
    for name, *_ in rows:
        offsets.append(len(names))
        names += name.encode() + b"\0"
    own = len(names)
    names += b".shstrtab\0"
    table = struct.pack("<IIQQQQIIQQ", *(0,) * 10)
    for (_, kind, flags, size), offset in zip(rows, offsets, strict=True):
        table += struct.pack("<IIQQQQIIQQ", offset, kind, flags, 0, 64, size, 0, 0, 1, 0)
    table += struct.pack(
        "<IIQQQQIIQQ", own, 3, 0, 0, 64 + len(rows) * 0, len(names), 0, 0, 1, 0
    )
    head = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 0, 64 + len(names), 0, 64, 0, 0, 64,
                        len(rows) + 2, len(rows) + 1)  # fmt: skip
    return head + names + table


def test_each_byte_is_counted_where_it_lies() -> None:
    sizes = image_sizes(
        elf(
            [
                (".text", _PROGBITS, _ALLOC | _EXEC, 100),
                (".rodata", _PROGBITS, _ALLOC, 20),
                (".eh_frame", _PROGBITS, _ALLOC, 30),
                (".data", _PROGBITS, _ALLOC | _WRITE, 7),
                (".bss", _NOBITS, _ALLOC | _WRITE, 50),
                (".tbss", _NOBITS, _ALLOC | _WRITE | _TLS, 8),
                (".relro_padding", _NOBITS, _ALLOC | _WRITE, 4000),
                (".debug_info", _PROGBITS, 0, 5000),
            ]
        )
    )
    assert sizes.parts == {
        "code": 100, "constants": 20, "unwind": 30, "data": 7, "bss": 50
    }  # fmt: skip
    assert sizes.flash == 157
    assert sizes.ram == 57


def test_a_program_of_the_system_measures_as_llvms_own_tool_says() -> None:
    program = Path("/bin/true").resolve()
    ours = image_sizes(program.read_bytes())
    theirs = LlvmPrograms(installed=find_llvm(), target=Target()).object_sizes(program)
    assert (ours.flash, ours.parts["code"], ours.ram) == (
        theirs.loadable_bytes, theirs.code_bytes, theirs.ram_bytes,
    )  # fmt: skip


@pytest.mark.parametrize("length", [0, 3, 60, 200, 300])
def test_damaged_files_are_refused(length: int) -> None:
    whole = elf([(".text", _PROGBITS, _ALLOC | _EXEC, 100)])
    with pytest.raises(BadObject):
        image_sizes(whole[: min(length, len(whole) - 80)])
