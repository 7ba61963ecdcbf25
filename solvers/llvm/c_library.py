"""C libraries for targets without an operating system: headers, start files, libraries.

Two are ready where Debian's packages are installed, picolibc and newlib: GCC's driver names the
multilib for the machine. A third form is the caller's own folder with `include` and `lib`. What
comes from a library is linked as it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from solvers.llvm import gcc
from solvers.llvm.boards import Board
from solvers.llvm.frontend import SourceError
from solvers.llvm.types import LlvmMissing, Target

_HEADERS_OF_PICOLIBC = "/usr/lib/picolibc/{prefix}/include"
_HEADERS_OF_NEWLIB = (
    "/usr/include/newlib/nano",
    "/usr/lib/{prefix}/include",
    "/usr/include/newlib",
)
_MEMORY = re.compile(r"\bMEMORY\s*\{[^}]*\}")
# Words of picolibc 1.8's script that lld takes otherwise than GNU ld: it keeps addresses in memory
# and in flash equally aligned by itself, and may have made room for .tbss already.
_FOR_LLD = (
    ("ALIGN_WITH_INPUT", ""),
    (". = ADDR(.tbss);", ". = MAX(., ADDR(.tbss));"),
    (". = . + SIZEOF(.tbss);", ". = MAX(., ADDR(.tbss) + SIZEOF(.tbss));"),
)
# Macros that picolibc's specs file reads at the link.
_VARIANT = re.compile(r"PICOLIBC_(DOUBLE|FLOAT|INTEGER)_PRINTF_SCANF")
_WEAK = ("gettimeofday", "__semihost_creat_time", "__semihost_write_time")
_PACKAGES = {
    ("picolibc", "arm-none-eabi"): "picolibc-arm-none-eabi",
    ("picolibc", "riscv64-unknown-elf"): "picolibc-riscv64-unknown-elf",
    ("newlib", "arm-none-eabi"): "libnewlib-arm-none-eabi",
}


class Ready(StrEnum):
    """C libraries that a server may have ready."""

    PICOLIBC = "picolibc"
    NEWLIB = "newlib"


@dataclass(frozen=True, kw_only=True)
class CLibrary:
    """A C library for one machine, in the form that compiler and linker need."""

    name: str  # for people
    include: tuple[Path, ...] = ()  # folders of headers
    before: tuple[str, ...] = ()  # start files, before the program's objects
    after: tuple[str, ...] = ()  # libraries, after them
    folders: tuple[Path, ...] = ()  # of libraries
    script: Path | None = None  # its own linker script, for a program without one
    # The first word of a semihosting command line is the program's name, and not its argument.
    names_program: bool = True
    contains: frozenset[str] = frozenset()  # names of libraries that are parts of it

    @property
    def words_after(self) -> tuple[str, ...]:
        """Folders and libraries as the linker takes them."""
        return (*(f"-L{folder}" for folder in self.folders), *self.after)


def ready_library(
    choice: Ready,
    machine: Target,
    *,
    semihosting: bool,
    start_files: bool,
    board: Board | None,
    workdir: Path,
    defines: Sequence[str] = (),
) -> CLibrary:
    """Return a library of this server for a machine with everything decided.

    semihosting: link the functions that read and write through a debugger or an emulator.
    defines: macros of the program; some choose variants of picolibc's printf and scanf.
    start_files: link the library's own start-up code.
    board: place a program without a linker script there.

    Raises SourceError, LlvmMissing.
    """
    driver = gcc.gcc_for(machine.triple)
    if driver is None:
        raise gcc.missing(machine.triple)
    prefix = Path(driver).name.removesuffix("-gcc")
    include = _headers(choice, prefix)
    if not include:
        package = _PACKAGES.get((choice.value, prefix), "")
        remedy = f"Debian: apt-get install {package}" if package else "none is packaged"
        raise LlvmMissing(f"{choice.value} for {machine.triple} is missing ({remedy})")
    words = [*gcc.machine_words(machine), *_specs(choice, semihosting)]
    words += [] if start_files else ["-nostartfiles"]
    words += [f"-D{name}" for name in defines if _VARIANT.fullmatch(name)]
    line = gcc.ask_line(driver, words, workdir=workdir)
    script = None
    if line.script and start_files and board is not None:
        found = _script(line.script, line.folders)
        script = workdir / "library.ld"
        script.write_text(_placed(found.read_text(encoding="utf-8"), board))
    multilib = next((str(path) for path in line.folders), "")
    return CLibrary(
        name=f"{choice.value} ({prefix}, {multilib.partition('/lib/')[2][-60:] or '.'})",
        include=include,
        before=line.before,
        after=(*_demanded(choice, machine, semihosting), *line.after),
        folders=line.folders,
        script=script,
        names_program=choice is not Ready.PICOLIBC,
        # Debian's libm.a of picolibc is empty, and for RISC-V its member is of the wrong class.
        contains=frozenset({"m"} if choice is Ready.PICOLIBC else ()),
    )


def folder_library(root: Path, *, start_files: bool) -> CLibrary:
    """Return the library of a folder with `include` and `lib`, at its top or in `usr`.

    All archives of `lib` are linked as one group, and its `crt*.o` where `start_files` says so.
    Raises SourceError.
    """
    tops = [root, root / "usr"]
    include = tuple(top / "include" for top in tops if (top / "include").is_dir())
    folders = tuple(top / "lib" for top in tops if (top / "lib").is_dir())
    if not include and not folders:
        some = ", ".join(sorted(path.name for path in root.iterdir())[:5]) or "nothing"
        raise SourceError(
            "sysroot.archive: expected folders `include` and `lib` at its top or in `usr`, got "
            f"{some}",
            "",
        )
    archives = [str(path) for top in folders for path in sorted(top.glob("*.a"))]
    starts = [str(path) for top in folders for path in sorted(top.glob("crt*.o"))]
    if start_files and not starts:
        raise SourceError(
            "sysroot.start_files: expected a file crt*.o in `lib` of the archive, got none",
            "",
        )
    return CLibrary(
        name="the uploaded sysroot",
        include=include,
        before=tuple(starts) if start_files else (),
        after=("--start-group", *archives, "--end-group") if archives else (),
        folders=folders,
    )


def _headers(choice: Ready, prefix: str) -> tuple[Path, ...]:
    if choice is Ready.PICOLIBC:
        places = [Path(_HEADERS_OF_PICOLIBC.format(prefix=prefix))]
        return tuple(place for place in places if (place / "stdio.h").is_file())
    if prefix != "arm-none-eabi":  # Debian's newlib is for Arm alone
        return ()
    places = [Path(text.format(prefix=prefix)) for text in _HEADERS_OF_NEWLIB]
    found = [place for place in places if (place / "newlib.h").is_file()]
    return tuple(found) if any((place / "stdio.h").is_file() for place in found) else ()


def _specs(choice: Ready, semihosting: bool) -> list[str]:
    if choice is Ready.NEWLIB:
        host = "rdimon" if semihosting else "nosys"
        return ["-specs=nano.specs", f"-specs={host}.specs"]
    words = ["-specs=picolibc.specs"]
    return [*words, "--crt0=semihost", "--oslib=semihost"] if semihosting else words


def _demanded(choice: Ready, machine: Target, semihosting: bool) -> list[str]:
    """Return options that make weak references of picolibc strong, for RISC-V of 64 bits.

    Programs lie beyond 2 GiB there, from where code cannot address the 0 of a symbol that is not
    defined. GNU ld rewrites the instructions, lld refuses them.
    """
    if choice is not Ready.PICOLIBC or not machine.triple.startswith("riscv64"):
        return []
    return [f"--undefined={name}" for name in _WEAK] if semihosting else []


def _script(name: str, folders: tuple[Path, ...]) -> Path:
    found = next((folder / name for folder in folders if (folder / name).is_file()), None)
    if found is None:
        raise SourceError(f"the library's linker script {name} is missing", "")
    return found


def _placed(script: str, board: Board) -> str:
    """Return picolibc's linker script for the memory of a board."""
    memory = (
        "MEMORY\n{\n"
        f"\tflash (rx!w) : ORIGIN = {board.flash:#x}, LENGTH = {board.flash_bytes:#x}\n"
        f"\tram (w!rx) : ORIGIN = {board.ram:#x}, LENGTH = {board.ram_bytes:#x}\n"
        "}"
    )
    for theirs, ours in _FOR_LLD:
        script = script.replace(theirs, ours)
    placed, count = _MEMORY.subn(memory, script)
    if count != 1:
        raise SourceError("the library's linker script has no MEMORY to be placed in", "")
    return placed
