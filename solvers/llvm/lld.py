"""Link programs with lld by the line that clang's driver decides, confined.

`clang -###` names start files, libraries and the emulation for a target, as it would for a user.
The line is then given to lld itself, once for each candidate, without the driver's start-up time.
"""

from __future__ import annotations

import re
import shlex
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from solvers.llvm import install
from solvers.llvm.c_library import CLibrary
from solvers.llvm.confined import Limits
from solvers.llvm.flags import FlagRefused, checked_linker_flags
from solvers.llvm.frontend import SourceError, diagnostics, run_held, run_tool
from solvers.llvm.link_order import INPUTS, OUT, OVERFLOW
from solvers.llvm.toolchain import BadTarget, Command, compiler, is_hosted, wheel_zig
from solvers.llvm.types import LlvmMissing, Target

LINK_S = 120.0
_MEMORY_BYTES = 8 * 2**30
# A region's length in MEMORY of a linker script.
_LENGTH = re.compile(r"(?i)\b(LENGTH|len|l)(\s*=\s*)([^,\n}]+)")
_MEMORY = re.compile(r"\bMEMORY\s*\{(?P<body>[^}]*)\}")
_RELAXED_BY = 0x10000000
# A row of --print-memory-usage: name, bytes used, length, share.
_REGION = re.compile(
    r"^ *(?P<name>[\w.$-]+): +(?P<used>\d+) (?P<unit>[KMG]?B) +(?P<length>\d+) (?P<of>[KMG]?B)"
    r" +[\d.]+%$",
    re.MULTILINE,
)
_NO_ENVIRONMENT: Mapping[str, str] = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}


# Architectures of triples → class and machine of their ELF files (e_machine, below 256).
_FORMS = (
    (r"x86_64", (2, 62)),
    (r"i[3-7]86", (1, 3)),
    (r"aarch64|arm64", (2, 183)),
    (r"(arm|thumb)[^-]*", (1, 40)),
    (r"riscv64[^-]*", (2, 243)),
    (r"riscv32[^-]*", (1, 243)),
)
# Architectures of triples → Debian's packages with their C library, for linking.
_CROSS_PACKAGES = (
    (r"x86_64", "gcc libc6-dev"),
    (r"i[3-7]86", "libc6-dev-i386 lib32gcc-12-dev"),
    (r"aarch64|arm64", "libc6-dev-arm64-cross libgcc-12-dev-arm64-cross"),
    (r"(arm|thumb)[^-]*", "libc6-dev-armhf-cross libgcc-12-dev-armhf-cross"),
    (r"riscv64[^-]*", "libc6-dev-riscv64-cross libgcc-12-dev-riscv64-cross"),
)


class Overflow(SourceError):
    """The program does not fit into a region of its linker script."""


@dataclass(frozen=True, kw_only=True)
class LinkOptions:
    """Choices of a link beside its objects."""

    cxx: bool = False
    shared: bool = False  # a shared object, not a program
    script: Path | None = None
    script_folders: tuple[
        Path, ...
    ] = ()  # where INCLUDE and INPUT of the script may read
    libraries: tuple[str, ...] = ()  # -lm
    entry: str = ""  # symbol; empty: the linker's choice
    lto: bool = False  # inputs are bitcode of `clang -flto`
    icf: str = ""  # "safe" or "all": fold identical code
    library: CLibrary | None = None  # of a target without an operating system


@dataclass(frozen=True, kw_only=True)
class LinkLine:
    """Arguments of lld, with INPUTS and OUT in the place of objects and program."""

    words: tuple[str, ...]
    readable: tuple[Path, ...] = ()  # folders and files beyond the system's
    script: Path | None = None

    def words_for(self, inputs: Sequence[str], out: str) -> list[str]:
        """Return the arguments for these objects."""
        words: list[str] = []
        for word in self.words:
            words += inputs if word == INPUTS else [out if word == OUT else word]
        return words

    def with_words(self, *more: str) -> LinkLine:
        """Return the line with further arguments at its end."""
        return replace(self, words=(*self.words, *more))

    def with_objects(self, objects: Sequence[Path]) -> LinkLine:
        """Return the line with further objects and archives after the inputs."""
        place = self.words.index(INPUTS) + 1
        names = [str(path.resolve()) for path in objects]
        return replace(
            self,
            words=(*self.words[:place], *names, *self.words[place:]),
            readable=(*self.readable, *(path.resolve() for path in objects)),
        )

    def with_script(self, script: Path) -> LinkLine:
        """Return the line with another linker script in the place of its own."""
        words = (str(script) if word == str(self.script) else word for word in self.words)
        return replace(self, words=tuple(words), script=script)

    def order(self, relaxed_script: Path | None = None) -> dict[str, Any]:
        """Return the order for the engine's server (`server_link.link_and_measure`)."""
        program = lld()
        larger = None if relaxed_script is None else self.with_script(relaxed_script)
        return {
            "words": [*program.words, *self.words],
            "readable": [str(path) for path in (*program.folders, *self.readable)],
            "relaxed": [] if larger is None else [*program.words, *larger.words],
        }


def lld() -> Command:
    """Return lld: of the LLVM in use, of Debian, or of the wheel `ziglang`. Raises LlvmMissing."""
    installed = install.find_llvm()
    own = installed.tools / "ld.lld" if installed.tools else None
    major = installed.version.split(".")[0]
    path = str(own) if own and own.is_file() else shutil.which(f"ld.lld-{major}")
    if path:
        return Command(
            words=(path, "--threads=1"), folders=(Path(path).resolve().parents[1],)
        )
    zig = wheel_zig()
    if zig is None:
        raise LlvmMissing(
            "no lld: pip install ziglang, or apt-get install lld-22 (Debian)"
        )
    return Command(words=(str(zig), "ld.lld", "--threads=1"), folders=(zig.parent,))


def decide_link(
    target: Target,
    options: LinkOptions,
    *,
    workdir: Path,
) -> LinkLine:
    """Return the line that clang's driver gives the linker for a target.

    A target without an operating system has the start files and libraries of `options.library`.
    Raises SourceError, LlvmMissing.
    """
    hosted = is_hosted(target.triple)
    try:
        command = compiler(target, cxx=options.cxx, freestanding=not hosted)
        libraries = checked_linker_flags(options.libraries)
    except (BadTarget, FlagRefused) as error:
        raise SourceError(str(error), "") from error
    words = [*command.words, "-Oz", "-w", *_form(target, options, hosted=hosted)]
    workdir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=workdir, prefix="line-") as name:
        folder = Path(name).resolve()
        (folder / "inputs.o").write_bytes(b"")
        done = run_held(
            [*words, "-###", "inputs.o", "-o", "program.out", *libraries],
            command=command,
            root=folder,
            timeout_s=LINK_S,
            stopped=lambda: False,
        )
        text = done.stderr.decode("utf-8", "replace")
        lines = [line for line in text.splitlines() if line.startswith(' "')]
        if done.exit_code != 0 or " error: " in text or not lines:
            raise SourceError(
                f"no line to link for {target.triple}",
                diagnostics(done, command.folders, folder, folder),
            )
    words = shlex.split(lines[-1])[1:]
    if hosted and not options.shared and not _has_start_files(words, target.triple):
        raise SourceError(
            f"no C library to link programs for {target.triple} with{_packages(target.triple)}",
            "",
        )
    return _line(words, options)


def _has_start_files(words: Sequence[str], triple: str) -> bool:
    """Tell whether the driver found a crt1.o of the target's machine.

    Where it found none, it names the file without a folder; and it takes one of another machine for
    a triple that it has no rule for.
    """
    architecture = triple.partition("-")[0]
    expected = next(
        (form for pattern, form in _FORMS if re.fullmatch(pattern, architecture)), None
    )
    found = [Path(word) for word in words if re.search(r"^/.*crt1\.o$", word)]
    return any(expected in (None, _form_of(path)) for path in found)


def _form_of(path: Path) -> tuple[int, int] | None:
    """Return class and machine of an ELF file; None where it is none."""
    try:
        with path.open("rb") as file:
            head = file.read(20)
    except OSError:
        return None
    return (head[4], head[18]) if head[:4] == b"\x7fELF" and len(head) == 20 else None


def _packages(triple: str) -> str:
    """Return the remedy: Debian's packages with a C library for a triple of Linux."""
    architecture = triple.partition("-")[0]
    for pattern, packages in _CROSS_PACKAGES:
        if re.fullmatch(pattern, architecture) and "musl" not in triple:
            return f" (Debian: apt-get install {packages})"
    return ""


def _form(target: Target, options: LinkOptions, *, hosted: bool) -> list[str]:
    """Return arguments of the driver for the kind of program."""
    words = ["-flto"] if options.lto else []
    if options.shared:
        words.append("-shared")
    elif hosted:
        words.append("-no-pie" if target.pic is False else "-pie")
    return words if hosted else [*words, "-nostdlib"]


def _line(words: Sequence[str], options: LinkOptions) -> LinkLine:
    """Return the line of a driver's words and the options that concern the linker alone."""
    names = {"inputs.o": INPUTS, "program.out": OUT}
    if options.library is not None:
        words = _with_library(words, options.library)
    folders = [Path(word[2:]) for word in words if word.startswith("-L/")]
    files = [Path(word) for word in words if word.startswith("/")]
    own = ["--gc-sections"]
    own += [f"--entry={options.entry}"] if options.entry else []
    own += [f"--icf={options.icf}"] if options.icf else []
    scripts = [] if options.script is None else [options.script]
    if options.script is not None:
        own += [f"-L{options.script.parent}", "-T", str(options.script)]
    return LinkLine(
        words=(*(names.get(word, word) for word in words if _exists(word)), *own),
        readable=tuple(
            path.resolve()
            for path in (*folders, *files, *options.script_folders, *scripts)
            if path.exists()
        ),
        script=options.script,
    )


def _with_library(words: Sequence[str], library: CLibrary) -> list[str]:
    """Return a driver's words with the start files and libraries of a C library."""
    place = words.index("inputs.o")
    return [*words[:place], *library.before, *words[place:], *library.words_after]


def _exists(word: str) -> bool:
    return not word.startswith("-L/") or Path(word[2:]).is_dir()


def link_image(
    line: LinkLine,
    inputs: Sequence[Path],
    out: Path,
    *,
    extra: Sequence[str] = (),
    stopped: Callable[[], bool] = lambda: False,
) -> str:
    """Link objects into `out`, whose folder lld may write, and return what lld prints.

    Raises Overflow, SourceError with the linker's own message, LlvmMissing, Stopped.
    """
    program = lld()
    out.parent.mkdir(parents=True, exist_ok=True)
    names = [str(path.resolve()) for path in inputs]
    done = run_tool(
        "the linker",
        [*program.words, *line.words_for(names, str(out.resolve())), *extra],
        cwd=out.parent,
        limits=Limits(
            wall_s=LINK_S, cpu_s=4 * LINK_S, memory_bytes=_MEMORY_BYTES, open_files=1024
        ),
        readable=[*program.folders, *line.readable, *(path.resolve() for path in inputs)],
        writable=[out.parent.resolve()],
        environment={**_NO_ENVIRONMENT, "TMPDIR": str(out.parent.resolve())},
        stopped=stopped,
    )
    if done.exit_code != 0 or not out.exists():
        message = diagnostics(done, program.folders, out.parent.resolve(), out.parent)
        kind = Overflow if OVERFLOW.search(message) else SourceError
        raise kind("the program does not link", message)
    out.chmod(0o755)
    return done.stdout.decode("utf-8", "replace")


def regions_of(printed: str) -> dict[str, tuple[int, int]]:
    """Return bytes used and length of each region, from lld's --print-memory-usage."""
    return {
        row["name"]: (_bytes(row["used"], row["unit"]), _bytes(row["length"], row["of"]))
        for row in _REGION.finditer(printed)
    }


def _bytes(number: str, unit: str) -> int:
    return int(number) << {"B": 0, "KB": 10, "MB": 20, "GB": 30}[unit]


def relaxed(script: Path, out: Path) -> Path | None:
    """Write a linker script with larger regions, to measure programs that do not fit.

    None for a script whose regions cannot be found.
    """
    text = script.read_text(encoding="utf-8", errors="replace")
    larger = _MEMORY.sub(
        lambda match: _LENGTH.sub(rf"\1\2(\3) + {_RELAXED_BY:#x}", match[0]), text
    )
    if larger == text:
        return None
    out.write_text(larger, encoding="utf-8")
    return out
