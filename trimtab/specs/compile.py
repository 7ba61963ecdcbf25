"""Kind `compile`: make a C, C++ or LLVM IR program smaller than `clang -Oz` does, and check it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, model_validator

from trimtab.specs.common import (
    ArtifactRef,
    FileInput,
    ShortText,
    Spec,
    Text,
    WireModel,
    _storable,
)

MAX_SOURCE_CHARS = 2_000_000
MAX_STREAM_CHARS = 1_000_000
MAX_RUNS = 32
MAX_RUN_FILES = 32
_EXAMPLE_PROGRAM = """#include <stdio.h>
#include <stdlib.h>

static unsigned mix(unsigned h, unsigned v) {
    h ^= v * 2654435761u;
    return (h << 13 | h >> 19) * 5 + 0xe6546b64u;
}

int main(int argc, char **argv) {
    unsigned h = 17, n = argc > 1 ? strtoul(argv[1], 0, 10) : 1000;
    for (unsigned i = 0; i < n; i++)
        switch (i % 7) {
        case 0: h = mix(h, i); break;
        case 3: h += mix(i, h) >> 3; break;
        default: h ^= i << (i & 15);
        }
    printf("%08x\\n", h);
    return 0;
}
"""

_IDENTIFIER = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")


def _inside(path: str) -> str:
    # A path outside the archive's folder is refused here, and again when the files are opened.
    if not path or path.startswith(("/", "~")) or "\\" in path or ".." in path.split("/"):
        raise ValueError(
            f"expected a path inside the archive, relative, with / and without .., got {path!r}"
        )
    return path


def _define(text: str) -> str:
    name, _, _ = text.partition("=")
    if not _IDENTIFIER.match(name):
        raise ValueError(
            f"expected NAME or NAME=VALUE, where NAME is a C identifier, got {text!r}"
        )
    return text


InsidePath = Annotated[
    str, Field(max_length=400), AfterValidator(_storable), AfterValidator(_inside)
]
Define = Annotated[
    str, Field(max_length=1000), AfterValidator(_storable), AfterValidator(_define)
]


class Language(StrEnum):
    """Language of `source_text`."""

    C = "c"
    CXX = "c++"
    IR = "llvm-ir"


class Objective(StrEnum):
    """Quantity to minimise. All three sizes are reported, whichever is chosen."""

    LOADABLE_BYTES = "loadable_bytes"
    """Bytes that occupy memory or flash: code, constants, unwind tables, initial data."""
    CODE_BYTES = "code_bytes"
    """Bytes of executable sections alone; constants and unwind tables may grow."""
    IR_INSTRUCTIONS = "ir_instructions"
    """Number of LLVM instructions, as in the literature; a poor proxy for bytes."""
    RUN_TIME = "run_time"
    """CPU seconds of `runs`, compared with -O2; the program may be larger than with -Oz.
    Give runs that take a while."""


class Tier(StrEnum):
    """Set of passes that may be used."""

    DEFAULT = "default"
    """Only passes that occur in LLVM's own default pipelines."""
    EXPERIMENTAL = "experimental"
    """Also passes that LLVM ships disabled, some with known miscompiles. Give `runs`."""


class Mode(StrEnum):
    """Method of the search."""

    PRODUCT = "product"
    """Variants of the installed LLVM's -Oz pipeline: a mined coreset, then local search around
    the best."""
    PAPER = "paper"
    """Flat pass sequences, learned as in Liang et al. (ICML 2023): 45 passes, IR instructions."""


class Library(StrEnum):
    """Libraries a program may be linked with."""

    M = "m"
    PTHREAD = "pthread"
    DL = "dl"
    RT = "rt"


class Board(StrEnum):
    """Boards of QEMU's system mode that run programs without an operating system."""

    MPS2_AN385 = "mps2-an385"
    """Arm MPS2 with a Cortex-M3: flash at 0, RAM at 0x20000000, 4 MiB each."""
    MPS2_AN386 = "mps2-an386"
    """The same with a Cortex-M4 and its floating-point unit."""
    MPS2_AN500 = "mps2-an500"
    """The same with a Cortex-M7."""
    MICROBIT = "microbit"
    """nRF51822, Cortex-M0: 256 KiB of flash at 0, 16 KiB of RAM."""
    NETDUINOPLUS2 = "netduinoplus2"
    """STM32F405, Cortex-M4: 1 MiB of flash at 0x08000000, 128 KiB of RAM."""
    STM32VLDISCOVERY = "stm32vldiscovery"
    """STM32F100, Cortex-M3: 128 KiB of flash at 0x08000000, 8 KiB of RAM."""
    VIRT_RV32 = "virt-rv32"
    """RISC-V of 32 bits, memory at 0x80000000."""
    VIRT_RV64 = "virt-rv64"
    """RISC-V of 64 bits, memory at 0x80000000."""


class CompileTarget(WireModel):
    """Machine that the code is generated for."""

    triple: Annotated[
        str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_.\-]+$")
    ] = "x86_64-unknown-linux-gnu"
    """LLVM's name of architecture, vendor, system and ABI, e.g. `aarch64-unknown-linux-gnu` or
    `thumbv7em-none-eabi`."""
    cpu: Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z0-9_.\-+]*$")] = ""
    """LLVM's name of the processor, as for `-mcpu` (`-march` on x86). Empty: clang's default for
    the triple."""
    features: Annotated[
        str,
        Field(
            max_length=2000,
            pattern=r"^([+\-][A-Za-z0-9_.\-]+(,[+\-][A-Za-z0-9_.\-]+)*)?$",
        ),
    ] = ""
    """Added and removed features in LLVM's notation, e.g. `+avx2,-sse4.2`."""
    pic: bool | None = None
    """Position-independent code. None: clang's default for the triple (yes under an operating
    system, else no)."""
    board: Board | None = None
    """Board that runs programs without an operating system. None: one that suits the triple."""


class CLibrary(StrEnum):
    """C libraries for targets without an operating system, from Debian's packages."""

    PICOLIBC = "picolibc"
    """picolibc for Cortex-M and RISC-V, with a linker script and start-up code of its own."""
    NEWLIB = "newlib"
    """newlib-nano for Cortex-M; needs a linker script."""


class Host(StrEnum):
    """Services that a C library without an operating system finds."""

    SEMIHOSTING = "semihosting"
    """Standard output, files, arguments and exit code go to a debugger or emulator."""
    NONE = "none"
    """The program brings its own `_write`, `_exit` and the like."""


class Sysroot(WireModel):
    """C headers and libraries of a target without an operating system. They are linked as they
    are, and their bytes are reported apart."""

    library: CLibrary | None = None
    """A library that the server has ready."""
    archive: ArtifactRef | None = None
    """Or your own: a .tar.gz, .tar or .zip with folders `include` and `lib`. Every archive in `lib`
    is linked."""
    host: Host = Host.SEMIHOSTING
    """Services of a ready library."""
    start_files: bool | None = None
    """Link the library's start-up code (`crt0`). None: when the program has no linker script of its
    own."""

    @model_validator(mode="after")
    def _one_source(self) -> Sysroot:
        if (self.library is None) == (self.archive is None):
            got = "both" if self.library is not None else "neither"
            raise ValueError(
                f"expected exactly one of `library` and `archive`, got {got}"
            )
        return self


class Build(WireModel):
    """Build of the sources. An archive needs `files` only when not all its sources belong to the
    program."""

    files: Annotated[tuple[InsidePath, ...], Field(max_length=2000, strict=False)] = ()
    """Sources, as paths or patterns inside the archive, e.g. `src/*.c` or `**/*.cpp`. Empty: every
    .c, .cc, .cpp, .cxx."""
    exclude: Annotated[tuple[InsidePath, ...], Field(max_length=2000, strict=False)] = ()
    """Paths or patterns of sources to leave out, e.g. `tests/*`."""
    include: Annotated[tuple[InsidePath, ...], Field(max_length=200, strict=False)] = ()
    """Header folders inside the archive, searched in this order; `.` is the archive's top."""
    defines: Annotated[tuple[Define, ...], Field(max_length=500, strict=False)] = ()
    """Macros, `NAME` or `NAME=VALUE`."""
    flags: Annotated[tuple[ShortText, ...], Field(max_length=200, strict=False)] = ()
    """Further compiler flags from a closed list: `-std=`, `-W…`, and the `-f…` and `-m…` flags that
    change language or code."""
    compile_commands: InsidePath | None = None
    """Compilation database inside the archive, such as `build/compile_commands.json` of CMake: its
    files are the sources, each with its own flags and header folders beside those given here."""


class Run(WireModel):
    """A run of the program. It must end by itself and print the same each time."""

    arguments: Annotated[
        tuple[Annotated[Text, Field(max_length=4000)], ...],
        Field(max_length=200, strict=False),
    ] = ()
    """Command-line arguments, without the program's name."""
    stdin: Annotated[
        str, Field(max_length=MAX_STREAM_CHARS), AfterValidator(_storable)
    ] = ""
    """Text on standard input."""
    stdin_file: ArtifactRef | None = None
    """Standard input as an uploaded file, for bytes that are not text."""
    files: Annotated[
        tuple[ArtifactRef, ...], Field(max_length=MAX_RUN_FILES, strict=False)
    ] = ()
    """Uploaded files that lie in the program's folder when it starts, by their names."""
    expected_stdout: (
        Annotated[str, Field(max_length=MAX_STREAM_CHARS), AfterValidator(_storable)]
        | None
    ) = None
    """Output that the run must print. None: the unoptimised program's output."""
    expected_exit: Annotated[int, Field(ge=0, le=255)] | None = None
    """Exit code that the run must have. None: the unoptimised program's exit code."""
    timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 10.0
    """A longer run is killed; if that happens to the unoptimised program, the job is refused."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Run:
        if self.stdin and self.stdin_file is not None:
            raise ValueError("expected at most one of `stdin` and `stdin_file`, got both")
        names = [reference.name for reference in self.files]
        for name in names:
            if name in ("", ".", "..") or "/" in name or "\0" in name:
                raise ValueError(
                    f"files: expected files with names, without folders, got {name!r}"
                )
            if names.count(name) > 1:
                raise ValueError(f"files: expected different names, got {name!r} twice")
        return self


class Link(WireModel):
    """Libraries and objects to link for runs. The result itself is an object file, and a linked
    program with `image`."""

    libraries: Annotated[tuple[Library, ...], Field(max_length=8, strict=False)] = ()
    """m, pthread, dl, rt; the C and C++ libraries are always linked."""
    objects: Annotated[tuple[ArtifactRef, ...], Field(max_length=16, strict=False)] = ()
    """Uploaded object files, bitcode or sources that complete the program and are not optimised,
    e.g. a test's `main`."""


class Icf(StrEnum):
    """Folding of identical code by the linker."""

    NONE = "none"
    """No folding."""
    SAFE = "safe"
    """Only functions whose address nothing compares."""
    ALL = "all"
    """Also functions whose addresses are compared: pointers to them may become equal."""


class Image(WireModel):
    """A linked program as the result: all modules searched as one, symbols internal except for
    those in use from outside, linked by lld without unused sections."""

    entry: Annotated[
        str, Field(max_length=400, pattern=r"^([A-Za-z_$.][A-Za-z0-9_$.]*)?$")
    ] = ""
    """Entry symbol. Empty: ENTRY of the linker script, or the target's own."""
    keep: Annotated[
        tuple[Annotated[ShortText, Field(min_length=1)], ...],
        Field(max_length=1000, strict=False),
    ] = ()
    """Symbols to keep, as names or patterns (`isr_*`), beside those that are found: entry point,
    `used` and `retain` attributes, the linker script, assembly, prebuilt objects."""
    shared: bool = False
    """Link a shared object and keep what it exports."""
    script: InsidePath | None = None
    """Linker script inside the archive. Its memory regions are limits."""
    icf: Icf = Icf.NONE
    """Folding of identical functions by the linker."""
    lazy_binding: bool = False
    """Bind all library functions at their first call. Otherwise those with few calls are bound
    when the program starts, as by `-fno-plt`, which takes fewer bytes on x86-64 Linux."""
    gcc: bool = True
    """Build with the target's gcc as well, where it is installed: its program is the answer where
    it is smallest."""
    flash_weight: Annotated[float, Field(ge=0, le=1000)] = 1.0
    """Weight of bytes in flash: code, constants, unwind tables, initialisers."""
    ram_weight: Annotated[float, Field(ge=0, le=1000)] = 0.0
    """Weight of bytes in writable memory: data and bss."""
    debug: bool = False
    """Keep debug information (-g); its sections do not count."""
    plain_flags: bool = True
    """Also look for plain flags of clang that save most, to paste into a Makefile."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Image:
        if self.flash_weight == 0 and self.ram_weight == 0:
            raise ValueError(
                "flash_weight, ram_weight: expected at least one above 0, got 0 and 0"
            )
        if self.shared and (self.entry or self.script):
            raise ValueError(
                "shared: expected neither `entry` nor `script` with a shared object; leave them out"
            )
        return self


class CompileSpec(Spec):
    """A program to compile with a pass pipeline searched for it: smaller than `clang -Oz`, same
    symbols, checked by running it."""

    KIND: ClassVar[str] = "compile"
    BASIC: ClassVar[tuple[str, ...]] = (
        "source",
        "source_text",
        "language",
        "objective",
        "runs",
    )
    MODELS: ClassVar[bool] = True
    OUTPUTS: ClassVar[tuple[str, ...]] = (
        "optimised.bc",
        "optimised.ll",
        "optimised.o",
        "original.bc",
        "recipe.json",
        "validation.json",
        "pipeline.txt",
        "sizes.json",
        "sizes.csv",
        "sizes.svg",
        "report.md",
        "image.elf",
        "image.json",
        "image.map",
        "image.svg",
        "flags.txt",
    )
    FILES: ClassVar[FileInput | None] = FileInput(
        field="source",
        suffixes=(
            ".c",
            ".cc",
            ".cpp",
            ".cxx",
            ".ll",
            ".bc",
            ".tar.gz",
            ".tgz",
            ".tar",
            ".zip",
        ),
    )
    # A size has no bound, and so no gap.
    LIMITS: ClassVar[tuple[str, ...]] = ("evaluations",)
    SUMMARY: ClassVar[str] = (
        "Searches LLVM pass pipelines that make C, C++ or LLVM IR smaller than clang -Oz; "
        "runs and compares the result."
    )

    EXAMPLE: ClassVar[Mapping[str, Any] | None] = {
        "kind": "compile",
        "name": "Example: smaller checksum program",
        "spec": {
            "source_text": _EXAMPLE_PROGRAM,
            "language": "c",
            "runs": [
                {"arguments": ["10"]},
                {"arguments": ["5000"], "timeout_seconds": 5.0},
            ],
        },
        "budget": {"seconds": 20.0, "evaluations": 40},
        "labels": {"example": "checksum"},
    }

    source: ArtifactRef | None = None
    """Uploaded .c, .cc, .cpp, .cxx, .ll or .bc file, or a .tar.gz, .tar or .zip with sources and
    headers."""
    source_text: (
        Annotated[str, Field(max_length=MAX_SOURCE_CHARS), AfterValidator(_storable)]
        | None
    ) = None
    """The source itself, for one small file: at most 2,000,000 characters."""
    language: Language | None = None
    """Language of `source_text`. None: detected from its content (LLVM IR or C)."""
    build: Build = Field(default_factory=Build)
    """Build of the sources."""
    target: CompileTarget = Field(default_factory=CompileTarget)
    """Processor and ABI to generate code for."""
    sysroot: Sysroot | None = None
    """C library of a target without an operating system."""
    objective: Objective = Objective.LOADABLE_BYTES
    """Quantity to minimise."""
    tier: Tier = Tier.DEFAULT
    """Passes that the search may use."""
    mode: Mode = Mode.PRODUCT
    """Product search, or the method of the paper."""
    runs: Annotated[tuple[Run, ...], Field(max_length=MAX_RUNS, strict=False)] = ()
    """Runs to compare with the unoptimised program, e.g. `[{"arguments": ["-d"], "stdin": "abc"}]`.

    Empty: a program whose `main` takes no arguments is run once; any other result is labelled
    unvalidated.
    """
    run_by_itself: bool = True
    """Without `runs`: run a program that has a `main` once, without arguments or input."""
    link: Link = Field(default_factory=Link)
    """Libraries and objects to link for runs."""
    image: Image | None = None
    """Optimise the linked program instead of the object, e.g. `{}` for a program with `main`."""
    whole_program: bool = True
    """Without `image`: take an archive that is a whole program as `image: {}`. It has a `main`, and
    its libraries define all that it needs. False: the object is the result."""
    per_function: bool = True
    """Also choose between pipelines function by function, which costs no more compilations."""
    llvm_options: bool = True
    """Also set options of LLVM and its code generator. False: passes only, for compilers without
    `-mllvm`."""

    @model_validator(mode="after")
    def _makes_sense(self) -> CompileSpec:
        if (self.source is None) == (self.source_text is None):
            got = "both" if self.source is not None else "neither"
            raise ValueError(
                f"expected exactly one of `source` and `source_text`, got {got}"
            )
        if self.source is not None and self.language is not None:
            raise ValueError(
                "`language`: expected with `source_text` only, got it with `source`; remove it: a "
                "file's name decides its language"
            )
        if self.mode is Mode.PAPER and self.objective is not Objective.IR_INSTRUCTIONS:
            raise ValueError(
                "objective: expected ir_instructions with mode paper, got "
                f"{self.objective.value}; change the objective, or leave mode out"
            )
        if self.objective is Objective.RUN_TIME and not (self.runs or self.run_by_itself):
            raise ValueError(
                "runs: expected at least one with objective run_time, got none, and run_by_itself "
                "is off; add a run"
            )
        if self.image is not None and self.objective not in (
            Objective.LOADABLE_BYTES,
            Objective.CODE_BYTES,
        ):
            raise ValueError(
                "objective: expected loadable_bytes or code_bytes with `image`, got "
                f"{self.objective.value}; change the objective, or leave image out"
            )
        return self

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        *,
        link_objects: Sequence[str] = (),
        **options: Any,
    ) -> CompileSpec:
        """Return a spec of a source file or archive here; the client uploads it on submit."""
        from trimtab.files import LocalFile  # the server's side does not need it

        if link_objects:
            link = options.get("link", Link())
            files = tuple(LocalFile.of(name) for name in link_objects)
            options["link"] = link.model_copy(update={"objects": (*link.objects, *files)})
        return cls(source=LocalFile.of(path), **options)

    @classmethod
    def unit_of(cls, spec: Mapping[str, Any]) -> str:
        """Return bytes, IR instructions or CPU seconds, by the objective."""
        units = {
            Objective.IR_INSTRUCTIONS.value: "IR instructions",
            Objective.RUN_TIME.value: "CPU seconds",
        }
        return units.get(str(spec.get("objective")), "bytes")

    def artifacts(self) -> dict[str, ArtifactRef]:
        """Return every uploaded file: `source`, `stdin_0`, `file_0_0`, `object_0`, ..."""
        files: dict[str, ArtifactRef] = (
            {} if self.source is None else {"source": self.source}
        )
        files |= {
            f"stdin_{i}": run.stdin_file
            for i, run in enumerate(self.runs)
            if run.stdin_file is not None
        }
        files |= {
            f"file_{i}_{j}": reference
            for i, run in enumerate(self.runs)
            for j, reference in enumerate(run.files)
        }
        if self.sysroot is not None and self.sysroot.archive is not None:
            files["sysroot"] = self.sysroot.archive
        return files | {
            f"object_{i}": reference for i, reference in enumerate(self.link.objects)
        }
