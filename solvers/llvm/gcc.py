"""GCC's drivers for other machines: the words that select a machine, and the lines they link.

As for clang (`driver.py`), the driver is asked and not imitated: `-###` names start files, folders
of the right multilib and libraries.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from solvers.llvm.confined import Limits
from solvers.llvm.frontend import SourceError, diagnostics, run_tool
from solvers.llvm.types import LlvmMissing, Target

_ASK_S = 30.0
_GCCS = (
    (r"x86_64-.*linux-gnu$", "gcc", "gcc"),
    (r"i[3-7]86-.*linux-gnu$", "gcc", "gcc"),
    (r"(arm|thumb)[^-]*-.*none-", "arm-none-eabi-gcc", "gcc-arm-none-eabi"),
    (
        r"riscv(32|64)-.*(elf|none)",
        "riscv64-unknown-elf-gcc",
        "gcc-riscv64-unknown-elf",
    ),
    (r"aarch64-.*linux-gnu$", "aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
)
# Architectures of triples → -march of GCC, where no processor is named.
_ARM_MARCH = {
    "thumbv6m": "armv6s-m",
    "thumbv7m": "armv7-m",
    "thumbv7em": "armv7e-m",
    "thumbv8m.base": "armv8-m.base",
    "thumbv8m.main": "armv8-m.main",
}
_RISCV_LETTERS = "mafdc"
_GROUP = {"--start-group": 1, "--end-group": -1}


@dataclass(frozen=True, kw_only=True)
class GccLine:
    """What GCC's driver puts around the objects of a program."""

    before: tuple[str, ...]  # start files
    after: tuple[str, ...]  # libraries, and the files that end the program
    folders: tuple[Path, ...]  # of libraries, in their order
    script: str  # name of the linker script that it chooses; "" for its linker's own


def gcc_for(triple: str) -> str | None:
    """Return the path of the gcc that makes code for a triple, or None."""
    name = next((gcc for start, gcc, _ in _GCCS if re.match(start, triple)), None)
    return shutil.which(name) if name else None


def package_for(triple: str) -> str:
    """Return the name of Debian's package with the gcc for a triple; "" when it is not known."""
    return next((package for start, _, package in _GCCS if re.match(start, triple)), "")


def machine_words(machine: Target) -> list[str]:
    """Return GCC's options for a machine with everything decided, as `driver.decide` returns it.

    RISC-V: the base extensions only, which select code and multilib; GCC 12 does not know others.
    """
    architecture = machine.triple.partition("-")[0]
    chosen = dict(word.partition("=")[::2] for word in machine.codegen)
    if re.match(r"arm|thumb", architecture):
        return _arm_words(architecture, machine, chosen.get("-float-abi", ""))
    if architecture.startswith("riscv"):
        return _riscv_words(architecture, machine, chosen.get("-target-abi", ""))
    if re.fullmatch(r"i[3-7]86", architecture):
        return ["-m32"]
    return []


def _arm_words(architecture: str, machine: Target, float_abi: str) -> list[str]:
    words = ["-mthumb"] if architecture.startswith("thumb") else ["-marm"]
    features = set(machine.features.split(","))
    hard = float_abi == "hard"
    if re.match(r"cortex-", machine.cpu):
        words.append(f"-mcpu={machine.cpu}")
    else:
        march = _ARM_MARCH.get(architecture, "")
        fpu = "+fp" if hard or features & {"+vfp2", "+vfp2sp", "+vfp4d16sp"} else ""
        words += [f"-march={march}{fpu}"] if march else []
    unit = hard or bool(features & {"+vfp4d16sp", "+fp-armv8d16sp", "+vfp2sp"})
    abi = (
        "hard" if hard else "softfp" if unit and "+soft-float" not in features else "soft"
    )
    return [*words, f"-mfloat-abi={abi}"]


def _riscv_words(architecture: str, machine: Target, abi: str) -> list[str]:
    features = set(machine.features.split(","))
    bits = architecture.removeprefix("riscv")[:2]
    base = "e" if "+e" in features else "i"
    letters = "".join(c for c in _RISCV_LETTERS if f"+{c}" in features)
    words = [f"-march=rv{bits}{base}{letters}"]
    return [*words, f"-mabi={abi}"] if abi else words


def ask_line(gcc: str, words: Sequence[str], *, workdir: Path) -> GccLine:
    """Return the line that a driver links by. Raises SourceError with its message, LlvmMissing."""
    workdir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=workdir, prefix="gcc-") as name:
        folder = Path(name).resolve()
        (folder / "inputs.o").write_bytes(b"")
        done = run_tool(
            "gcc",
            [gcc, *words, "-###", "inputs.o", "-o", "program.out"],
            cwd=folder,
            limits=Limits(wall_s=_ASK_S),
            readable=[],
            writable=[folder],
            environment={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TMPDIR": str(folder)},
            stopped=lambda: False,
        )
        text = done.stderr.decode("utf-8", "replace")
        lines = [line for line in text.splitlines() if "/collect2" in line]
        if done.exit_code != 0 or " error: " in text or not lines:
            raise SourceError(
                f"{Path(gcc).name} has no line to link by",
                diagnostics(done, (), folder, folder),
            )
    return _read_line(shlex.split(lines[-1])[1:])


def _read_line(words: Sequence[str]) -> GccLine:
    before: list[str] = []
    after: list[str] = []
    folders: list[Path] = []
    script, place, depth = "", before, 0
    following = iter(words)
    for word in following:
        if word in ("-plugin", "-o", "-dynamic-linker"):
            next(following, None)
        elif word == "inputs.o":
            place = after
        elif word.startswith("-L"):
            folders.append(Path(os.path.normpath(word[2:])))
        elif word == "-T":
            script = next(following, "")
        elif word.startswith("-T"):
            script = word[2:]
        elif word.startswith("/"):
            place.append(os.path.normpath(word))
        elif word.startswith(("-l", "--defsym")):
            place.append(word)
        elif word in _GROUP:
            # lld refuses nested groups, which GNU ld ignores.
            depth += _GROUP[word]
            if (word, depth) in (("--start-group", 1), ("--end-group", 0)):
                place.append(word)
    return GccLine(
        before=tuple(before),
        after=tuple(after),
        folders=tuple(dict.fromkeys(path for path in folders if path.is_dir())),
        script=script,
    )


def missing(triple: str) -> LlvmMissing:
    """Return the error for a triple whose gcc is not installed."""
    package = package_for(triple)
    remedy = f"apt-get install {package}" if package else "there is none for this target"
    return LlvmMissing(f"the gcc for {triple} is missing (Debian: {remedy})")
