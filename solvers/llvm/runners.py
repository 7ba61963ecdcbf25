"""Commands that run a program for a target here: the processor itself, or QEMU.

QEMU's user mode runs programs of Linux; its system mode runs those of a board, which read
arguments and files and print by semihosting. Both are programs like any other to the sandbox: what
semihosting lets a program do is what the sandbox lets QEMU do.
"""

from __future__ import annotations

import platform
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from solvers.llvm.boards import Board, boards_for

# Architecture of a triple → (QEMU's name, Debian's name of the C library's folder, package).
_USER = (
    (r"aarch64|arm64", "qemu-aarch64", "aarch64-linux-gnu", "arm64"),
    (r"(arm|thumb)[^-]*", "qemu-arm", "arm-linux-gnueabihf", "armhf"),
    (r"riscv64[^-]*", "qemu-riscv64", "riscv64-linux-gnu", "riscv64"),
    (r"i[3-7]86", "qemu-i386", "", ""),
    (r"x86_64", "qemu-x86_64", "x86_64-linux-gnu", "amd64"),
)
# The guest's time follows its instructions, so that runs repeat; sleep is skipped.
_REPEATABLE = ("-icount", "shift=3,align=off,sleep=off")
# Both the first UART and semihosting are the program's standard output.
_CONSOLE = (
    "-display", "none", "-monitor", "none",
    "-chardev", "stdio,id=console,signal=off,mux=on", "-serial", "chardev:console",
)  # fmt: skip
_RESERVED_BYTES = 5 << 30  # of addresses, which QEMU reserves for a guest of 32 bits


@dataclass(frozen=True, kw_only=True)
class Runner:
    """A command that runs programs of one target."""

    name: str  # for people: "this processor", "qemu-arm", "qemu-system-arm -machine virt"
    words: tuple[str, ...] = ()  # before the program; none: it is started itself
    board: Board | None = None  # system mode
    reserved_bytes: int = 0  # of address space, beside the program's own
    names_program: bool = True  # the program's name begins a semihosting command line

    @property
    def takes_stdin(self) -> bool:
        """Whether programs can read standard input: QEMU's semihosting never ends it."""
        return self.board is None

    def command(self, program: Path, arguments: Sequence[str]) -> tuple[list[str], str]:
        """Return the words to start, and the name that the program sees.

        Raises ValueError for arguments that cannot be passed.
        """
        if not self.words:
            return [str(program), *arguments], "program"
        if self.board is None:
            return [*self.words, "-0", "program", str(program), *arguments], self.words[0]
        for argument in arguments:
            if not argument or re.search(r"\s", argument):
                raise ValueError(
                    "arguments: expected words without spaces, because semihosting passes one "
                    f"line, got {argument!r}"
                )
        line = [*(["program"] if self.names_program else []), *arguments]
        parts = [f"arg={word.replace(',', ',,')}" for word in line] or ["arg="]
        semihosting = ",".join(["enable=on,target=native,chardev=console", *parts])
        words = [*self.words, "-semihosting-config", semihosting, "-kernel", str(program)]
        return words, self.words[0]


@dataclass(frozen=True, kw_only=True)
class NoRunner:
    """Why nothing here runs a target's programs, and what to do."""

    why: str


def runner_for(
    triple: str, *, board: str = "", names_program: bool = True
) -> Runner | NoRunner:
    """Return the command that runs programs for `triple`, or why there is none.

    board: name of a board, for a target without an operating system; empty: the first that runs it.
    """
    if "linux" in triple:
        return _for_linux(triple)
    boards = [row for row in boards_for(triple) if board in ("", row.name)]
    if not boards:
        return NoRunner(why=f"QEMU has no board here for {triple}")
    chosen = boards[0]
    path = shutil.which(chosen.emulator)
    if path is None:
        return NoRunner(
            why=f"{chosen.emulator} is missing (Debian: apt-get install {chosen.package})"
        )
    machine = chosen.name.partition("-rv")[0]
    return Runner(
        name=f"{chosen.emulator} -machine {machine}",
        words=(
            path,
            "-machine",
            machine,
            *chosen.words,
            *_CONSOLE,
            "-no-reboot",
            *_REPEATABLE,
        ),
        board=chosen,
        reserved_bytes=_RESERVED_BYTES,
        names_program=names_program,
    )


def _for_linux(triple: str) -> Runner | NoRunner:
    architecture = triple.partition("-")[0]
    if _is_own(architecture):
        return Runner(name="this processor")
    row = next((row for row in _USER if re.fullmatch(row[0], architecture)), None)
    if row is None:
        return NoRunner(why=f"QEMU's user mode is not set up for {architecture}")
    _, emulator, folder, debian = row
    path = shutil.which(emulator)
    if path is None:
        return NoRunner(why=f"{emulator} is missing (Debian: apt-get install qemu-user)")
    if debian == "armhf" and not triple.endswith("hf"):
        folder = "arm-linux-gnueabi"
    root = Path("/usr") / folder
    words = [path, *(["-L", str(root)] if folder and root.is_dir() else [])]
    return Runner(
        name=emulator,
        words=tuple(words),
        reserved_bytes=_RESERVED_BYTES,
    )


def _is_own(architecture: str) -> bool:
    """Tell whether this machine's processor and kernel run an architecture's code."""
    machine = platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)
    if machine == "x86_64" and re.fullmatch(r"i[3-7]86", architecture):
        return True
    return architecture in (machine, {"aarch64": "arm64"}.get(machine, machine))
