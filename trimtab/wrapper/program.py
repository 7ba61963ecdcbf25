"""Parts of a linked program: units with IR, files that stay as they are, shared libraries."""

from __future__ import annotations

import fnmatch
import re
import struct
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trimtab.wrapper.archives import is_archive, members
from trimtab.wrapper.command import Command, linker_words
from trimtab.wrapper.sections import Elf, carried_ir
from trimtab.wrapper.trace import Loaded

_BITCODE = b"BC\xc0\xde"
_SCRIPTS = (".ld", ".lds", ".x", ".ldscript", ".lcf")
# What the C library and the compiler bring; a job for a hosted target links them itself.
_OF_SYSTEM_WORDS = """
*crt?.o *crt1.o *crti.o *crtn.o crtbegin*.o crtend*.o libgcc.a libgcc_eh.a libgcc_s.so* libc.a
libc_nonshared.a libpthread_nonshared.a libc.so* libm.so* libm.a libm-*.a libmvec* libpthread.*
libdl.* librt.* ld-linux* ld-2* libstdc++.so* libstdc++.a libclang_rt.builtins*
"""
_OF_SYSTEM = tuple(_OF_SYSTEM_WORDS.split())


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A static archive of which members were linked."""

    path: Path
    units: tuple[int, ...]  # places of members that become part of the optimised object
    files: tuple[tuple[str, bytes], ...]

    @property
    def rest(self) -> list[tuple[str, bytes]]:
        """Return the members that stay."""
        return [each for i, each in enumerate(self.files) if i not in self.units]


@dataclass(kw_only=True)
class Program:
    """What a link put together, in the order of the link."""

    units: dict[str, bytes] = field(default_factory=dict)  # label → bitcode
    objects: set[str] = field(default_factory=set)  # words whose objects are units
    archives: dict[Path, Archive] = field(default_factory=dict)  # those with units
    given: list[Path] = field(default_factory=list)  # objects and archives without units
    shared: list[Path] = field(default_factory=list)  # beyond the C library's
    loaded_bytes: int = 0  # of the units' own objects
    defined: set[bytes] = field(default_factory=set)  # by the units
    wanted: set[bytes] = field(default_factory=set)  # that something else must define
    bitcode: bool = False  # some units are objects of -flto
    cxx: bool = False


def read_program(
    command: Command, loaded: Sequence[Loaded], *, apart: Iterable[str], hosted: bool
) -> Program:
    """Sort the files of a link. `apart`: patterns of files that a linker script places."""
    program = Program()
    patterns = list(apart)
    named = {file.name for file in command.files}
    taken: dict[Path, Counter[str]] = {}
    for entry in loaded:
        if entry.member:
            taken.setdefault(entry.path, Counter())[entry.member] += 1
    for path in dict.fromkeys(entry.path for entry in loaded):
        if path.suffix in _SCRIPTS:
            continue
        with path.open("rb") as file:
            head = file.read(20)
        if is_archive(head):
            _add_archive(
                program, path, taken.get(path, Counter()), patterns, hosted=hosted
            )
        elif head.startswith(_BITCODE):
            _add_bitcode(program, path, named)
        elif head.startswith(b"\x7fELF"):
            _add_elf(program, path, named, patterns, hosted=hosted)
        # Others are linker scripts, such as libc.so: what they name is in the list itself.
    program.cxx = any("libstdc++" in path.path.name for path in loaded)
    return program


def _add_elf(
    program: Program, path: Path, named: set[str], apart: Sequence[str], *, hosted: bool
) -> None:
    data = path.read_bytes()
    elf = Elf(data)
    if elf.kind != 1:
        if not (hosted and _of_system(path)):
            program.shared.append(path)
        return
    code = None if _is_apart(str(path), apart) else carried_ir(data)
    if code is not None and str(path) in named:
        program.objects.add(str(path))
        _add_unit(program, str(path), code, elf)
    elif not (hosted and _of_system(path)):
        program.given.append(path)
        program.wanted |= elf.undefined()


def _add_bitcode(program: Program, path: Path, named: set[str]) -> None:
    program.bitcode = True
    if str(path) in named:
        program.objects.add(str(path))
        program.units[str(path)] = path.read_bytes()
        program.loaded_bytes += path.stat().st_size
    else:
        program.given.append(path)


def _add_archive(
    program: Program,
    path: Path,
    taken: Counter[str],
    apart: Sequence[str],
    *,
    hosted: bool,
) -> None:
    if hosted and _of_system(path):
        return
    files = members(path)
    same = Counter(name for name, _ in files)
    chosen: list[int] = []
    for i, (name, content) in enumerate(files):
        short = Path(name).name
        # Members of one name cannot be told apart in the linker's list unless all were taken.
        if not taken[name] and not taken[short]:
            continue
        if max(taken[name], taken[short]) < same[name]:
            continue
        code = None if _is_apart(f"{path}:{short}", apart) else carried_ir(content)
        if code is not None:
            chosen.append(i)
            _add_unit(program, f"{path}({short}){i}", code, Elf(content))
        else:
            program.wanted |= _undefined(content)
    if chosen:
        program.archives[path] = Archive(
            path=path, units=tuple(chosen), files=tuple(files)
        )
    else:
        program.given.append(path)


def _add_unit(program: Program, label: str, code: bytes, elf: Elf) -> None:
    program.units[label] = code
    program.loaded_bytes += elf.loaded_bytes
    program.defined |= elf.defined()
    program.wanted |= elf.undefined()


def _undefined(content: bytes) -> set[bytes]:
    try:
        return Elf(content).undefined()
    except (ValueError, IndexError, struct.error):
        return set()


def _of_system(path: Path) -> bool:
    return any(fnmatch.fnmatch(path.name, pattern) for pattern in _OF_SYSTEM)


def _is_apart(name: str, patterns: Sequence[str]) -> bool:
    from trimtab.wrapper.scripts import placed_apart

    return placed_apart(name, patterns)


def stubs(program: Program) -> str:
    """Return assembly that defines what the program takes from shared libraries."""
    lines: list[str] = []
    done: set[bytes] = set()
    for path in program.shared:
        for name, _, kind, place, size in Elf(path.read_bytes()).symbols(dynamic=True):
            if place == 0 or name not in program.wanted or name in done | program.defined:
                continue
            done.add(name)
            text = name.decode("ascii", "replace")
            if not re.fullmatch(r"[A-Za-z_.$][\w.$]*", text):
                continue
            is_data = kind == 1
            section = (
                f'.bss.{text},"aw",%nobits' if is_data else f'.text.{text},"ax",%progbits'
            )
            lines += [
                f".section {section}", f".globl {text}",
                f".type {text},%{'object' if is_data else 'function'}",
                f"{text}: .zero {max(1, size) if is_data else 4}",
                f".size {text}, .-{text}",
            ]  # fmt: skip
    return (
        "\n".join([*lines, '.section .note.GNU-stack,"",%progbits', ""]) if lines else ""
    )


def exported(program: bytes) -> set[bytes]:
    """Return the symbols that a linked program exports to shared objects."""
    try:
        return Elf(program).defined(dynamic=True)
    except (ValueError, IndexError, struct.error):
        return set()


# Options whose effect on symbols is lost when units become one object, or that the job lacks.
_UNFIT = (
    "--wrap", "--allow-multiple-definition", "muldefs", "--just-symbols", "-R", "--format", "-b",
    "--defsym", "--section-start", "--oformat", "--retain-symbols-file",
)  # fmt: skip


def unfit(words: Sequence[str], *, scripted: bool) -> str:
    """Return the option for which the user's program has to stay, or ""."""
    flat = linker_words(words)
    for i, word in enumerate(flat):
        name = word.partition("=")[0]
        if name in _UNFIT:
            if name in ("--defsym", "--section-start") and scripted:
                continue
            if name in ("-R", "-b") and not _for_linker(words, word):
                continue
            if name == "muldefs" and flat[i - 1] != "-z":
                continue
            return name
    return ""


def _for_linker(words: Sequence[str], word: str) -> bool:
    return any(w.startswith("-Wl,") and word in w.split(",") for w in words)
