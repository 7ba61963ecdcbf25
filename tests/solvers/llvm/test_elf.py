"""Sizes of ELF objects, against llvm-size and against damage."""

import random
import struct
import subprocess

import pytest

from solvers.llvm.elf import BadObject, sizes_of
from solvers.llvm.engine import Engine
from solvers.llvm.install import find_llvm
from solvers.llvm.types import Recipe, Target
from tests.solvers.llvm.modules import CONSTRUCTOR, PLAIN, PROGRAM, UNWOUND

CASES = {
    "program": (PROGRAM, Target()),
    "unwound": (UNWOUND, Target()),
    "constructor": (CONSTRUCTOR, Target()),
    "32-bit": (PLAIN, Target(triple="armv7-none-eabi", cpu="cortex-m4")),
    "big-endian": (PLAIN, Target(triple="aarch64_be-none-linux-gnu", cpu="generic")),
}


@pytest.fixture(scope="module")
def objects() -> dict[str, bytes]:
    made = {}
    for name, (module, target) in CASES.items():
        with Engine(module, target=target) as engine:
            made[name] = engine.build(Recipe(pipeline="default<Oz>")).object
    return made


@pytest.mark.parametrize("name", CASES)
def test_sizes_equal_llvm_size(objects: dict[str, bytes], name: str, tmp_path) -> None:
    path = tmp_path / "a.o"
    path.write_bytes(objects[name])
    table = subprocess.run(
        [find_llvm().tool("llvm-size"), path], capture_output=True, text=True, check=True
    ).stdout
    text, data, bss = map(int, table.splitlines()[1].split()[:3])
    sizes = sizes_of(objects[name])
    assert sizes.loadable == text + data
    assert sum(sizes.sections.values()) == text + data + bss
    assert 0 < sizes.code <= text
    assert sizes.functions


def test_functions_equal_llvm_nm(objects: dict[str, bytes], tmp_path) -> None:
    path = tmp_path / "a.o"
    path.write_bytes(objects["program"])
    nm = [find_llvm().tool("llvm-nm"), "--print-size", "--format=posix", path]
    rows = [
        line.split()
        for line in subprocess.run(
            nm, capture_output=True, text=True, check=True
        ).stdout.splitlines()
    ]
    expected = {row[0]: int(row[3], 16) for row in rows if row[1] in "tT"}
    assert sizes_of(objects["program"]).functions == expected


def test_unwind_entries_equal_llvm_dwarfdump(tmp_path) -> None:
    with Engine(UNWOUND) as engine:
        data = engine.build(Recipe(pipeline="verify")).object
    path = tmp_path / "a.o"
    path.write_bytes(data)
    dump = [find_llvm().tool("llvm-dwarfdump"), "--eh-frame", path]
    text = subprocess.run(dump, capture_output=True, text=True, check=True).stdout
    # offset length CIE FDE cie=… pc=…
    entries = [line.split() for line in text.splitlines() if " FDE " in line]
    expected = sorted(int(length, 16) + 4 for _, length, *_ in entries)
    sizes = sizes_of(data)
    assert sorted(sizes.unwind.values()) == expected
    assert set(sizes.unwind) == {"small", "calls"}
    assert sizes.unwind["calls"] > sizes.unwind["small"], (
        "six constants pushed and popped are described"
    )
    common = sizes.sections[".eh_frame"] - sum(sizes.unwind.values())
    assert 0 < common <= 32


def test_damaged_objects_raise_bad_object_only(objects: dict[str, bytes]) -> None:
    rng, refused = random.Random(7), 0
    for data in objects.values():
        for length in range(0, len(data), 13):
            try:
                sizes_of(data[:length])
            except BadObject:
                refused += 1
        for _ in range(1500):
            damaged = bytearray(data)
            for _ in range(rng.choice([1, 2, 16])):
                damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
            try:
                sizes_of(bytes(damaged))
            except BadObject:
                refused += 1
        for _ in range(500):  # the header, which holds all offsets
            damaged = bytearray(data)
            struct.pack_into(
                "<Q",
                damaged,
                rng.randrange(4, 56),
                rng.choice([0, 1, 2**31, 2**63, 2**64 - 1]),
            )
            try:
                sizes_of(bytes(damaged))
            except BadObject:
                refused += 1
    assert refused > 1000


@pytest.mark.parametrize(
    "data", [b"", b"\x7fELF", b"MZ" + bytes(100), b"\x7fELF\x07\x01" + bytes(60)]
)
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(BadObject):
        sizes_of(data)


def test_many_sections() -> None:
    """With more than 65,279 sections, section 0 holds the count."""
    header = bytearray(64)
    header[:6] = b"\x7fELF\x02\x01"
    struct.pack_into("<Q", header, 40, 64)
    struct.pack_into("<3H", header, 58, 64, 0, 0xFFFF)
    count = 65_300
    first = struct.pack("<IIQQQQIIQQ", 0, 0, 0, 0, 0, count, 1, 0, 0, 0)
    names = struct.pack("<IIQQQQIIQQ", 0, 3, 0, 0, 64 + 64 * count, 7, 0, 0, 0, 0)
    one = struct.pack("<IIQQQQIIQQ", 1, 1, 0x6, 0, 64, 2, 0, 0, 0, 0)
    sizes = sizes_of(bytes(header) + first + names + one * (count - 2) + b"\0.text\0")
    assert sizes.code == sizes.loadable == sizes.sections[".text"] == 2 * (count - 2)
