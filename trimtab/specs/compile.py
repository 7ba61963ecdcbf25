"""Kind `compile`: a C, C++ or LLVM IR program made smaller than `clang -Oz` makes it, run and compared."""

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
    # The archive's folder is the program's world: what leaves it is refused here, and again when files are looked up.
    if not path or path.startswith(("/", "~")) or "\\" in path or ".." in path.split("/"):
        raise ValueError(
            f"{path!r} came; wanted a path inside the archive, relative, with /, without .."
        )
    return path


def _define(text: str) -> str:
    name, _, _ = text.partition("=")
    if not _IDENTIFIER.match(name):
        raise ValueError(
            f"{text!r} came; wanted NAME or NAME=VALUE, where NAME is a C identifier"
        )
    return text


InsidePath = Annotated[
    str, Field(max_length=400), AfterValidator(_storable), AfterValidator(_inside)
]
Define = Annotated[
    str, Field(max_length=1000), AfterValidator(_storable), AfterValidator(_define)
]


class Language(StrEnum):
    """What `source_text` is written in."""

    C = "c"
    CXX = "c++"
    IR = "llvm-ir"


class Objective(StrEnum):
    """What is made small. All three sizes are reported, whichever is chosen."""

    LOADABLE_BYTES = "loadable_bytes"
    """What takes room in memory or flash: code, constants, unwind tables, initial data. The honest one."""
    CODE_BYTES = "code_bytes"
    """Executable sections alone; constants and unwind tables may grow meanwhile."""
    IR_INSTRUCTIONS = "ir_instructions"
    """LLVM instructions, as in the literature; says little about bytes."""
    RUN_TIME = "run_time"
    """CPU seconds of the given runs, against -O2; the program may be larger than -Oz. Give `runs` that take a while."""


class Tier(StrEnum):
    """Which passes may be used."""

    DEFAULT = "default"
    """Only passes that occur in LLVM's own default pipelines."""
    EXPERIMENTAL = "experimental"
    """Also passes that LLVM ships and does not enable, some with known miscompiles. Give `runs`."""


class Mode(StrEnum):
    """How pipelines are searched."""

    PRODUCT = "product"
    """Whole pipelines that change the installed LLVM's own -Oz, from a mined coreset, then a local search around the best."""
    PAPER = "paper"
    """Flat passes from nothing, sequences and order learned as in Liang et al. (ICML 2023): 45 passes, for IR instructions."""


class Library(StrEnum):
    """Libraries a program may be linked with."""

    M = "m"
    PTHREAD = "pthread"
    DL = "dl"
    RT = "rt"


class CompileTarget(WireModel):
    """What code is made for."""

    triple: Annotated[
        str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_.\-]+$")
    ] = "x86_64-unknown-linux-gnu"
    """LLVM's name of architecture, vendor, system and ABI, e.g. `aarch64-unknown-linux-gnu` or `thumbv7em-none-eabi`."""
    cpu: Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z0-9_.\-+]*$")] = ""
    """LLVM's name of the processor, as `-mcpu` takes it (`-march` on x86). Empty: what clang's driver takes for the triple."""
    features: Annotated[
        str,
        Field(
            max_length=2000, pattern=r"^([+\-][A-Za-z0-9_.\-]+(,[+\-][A-Za-z0-9_.\-]+)*)?$"
        ),
    ] = ""
    """Added and removed features in LLVM's notation, e.g. `+avx2,-sse4.2`."""
    pic: bool | None = None
    """Position-independent code. None: what clang's driver does for the triple (yes under an operating system, else no)."""


class Build(WireModel):
    """How sources become a program. Archives need `files` only when not every source in them belongs to it."""

    files: Annotated[tuple[InsidePath, ...], Field(max_length=2000, strict=False)] = ()
    """Sources, as paths or patterns inside the archive, e.g. `src/*.c` or `**/*.cpp`. Empty: every .c, .cc, .cpp, .cxx."""
    exclude: Annotated[tuple[InsidePath, ...], Field(max_length=2000, strict=False)] = ()
    """Paths or patterns of sources to leave out, e.g. `tests/*`."""
    include: Annotated[tuple[InsidePath, ...], Field(max_length=200, strict=False)] = ()
    """Folders of headers inside the archive, searched in this order; `.` is the archive's own folder."""
    defines: Annotated[tuple[Define, ...], Field(max_length=500, strict=False)] = ()
    """Macros, `NAME` or `NAME=VALUE`."""
    flags: Annotated[tuple[ShortText, ...], Field(max_length=200, strict=False)] = ()
    """Further compiler flags from a closed list: `-std=`, `-W…`, and the `-f…` and `-m…` that change language or code."""


class Run(WireModel):
    """One run of the program. It must end by itself and answer the same each time."""

    arguments: Annotated[
        tuple[Annotated[Text, Field(max_length=4000)], ...],
        Field(max_length=200, strict=False),
    ] = ()
    """Command line, without the program's name."""
    stdin: Annotated[str, Field(max_length=MAX_STREAM_CHARS), AfterValidator(_storable)] = (
        ""
    )
    """What it reads from its standard input."""
    stdin_file: ArtifactRef | None = None
    """The same as an uploaded file, for bytes that are no text."""
    expected_stdout: (
        Annotated[str, Field(max_length=MAX_STREAM_CHARS), AfterValidator(_storable)] | None
    ) = None
    """What it must print. None: what the unoptimised program prints."""
    expected_exit: Annotated[int, Field(ge=0, le=255)] | None = None
    """Exit code it must end with. None: that of the unoptimised program."""
    timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 10.0
    """A run that takes longer is killed; when the unoptimised program does, the job is refused."""

    @model_validator(mode="after")
    def _one_stdin(self) -> Run:
        if self.stdin and self.stdin_file is not None:
            raise ValueError("wants at most one of `stdin` and `stdin_file`; both came")
        return self


class Link(WireModel):
    """What the program is linked with to be run. The answer itself is an object file and is not linked."""

    libraries: Annotated[tuple[Library, ...], Field(max_length=8, strict=False)] = ()
    """m, pthread, dl, rt; the C library, and for C++ its own, come by themselves."""
    objects: Annotated[tuple[ArtifactRef, ...], Field(max_length=16, strict=False)] = ()
    """Uploaded object files, bitcode or sources that complete the program and are not optimised: a test's `main`, say."""


class CompileSpec(Spec):
    """Compile a program by the pass pipeline found for it: smaller than by `clang -Oz`, same symbols, run and compared."""

    KIND: ClassVar[str] = "compile"
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
    LIMITS: ClassVar[tuple[str, ...]] = (
        "evaluations",
    )  # a size has no bound, and so no gap
    SUMMARY: ClassVar[str] = (
        "C, C++ or LLVM IR, smaller than clang -Oz: pass pipelines searched, the result run and compared."
    )

    EXAMPLE: ClassVar[Mapping[str, Any] | None] = {
        "kind": "compile",
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
    """Uploaded .c, .cc, .cpp, .cxx, .ll or .bc file, or a .tar.gz, .tar or .zip with sources and headers."""
    source_text: (
        Annotated[str, Field(max_length=MAX_SOURCE_CHARS), AfterValidator(_storable)] | None
    ) = None
    """The source itself, for one small file: at most 2,000,000 characters."""
    language: Language | None = None
    """Language of `source_text`. None: told from its content (LLVM IR or C)."""
    build: Build = Field(default_factory=Build)
    target: CompileTarget = Field(default_factory=CompileTarget)
    objective: Objective = Objective.LOADABLE_BYTES
    tier: Tier = Tier.DEFAULT
    mode: Mode = Mode.PRODUCT
    runs: Annotated[tuple[Run, ...], Field(max_length=MAX_RUNS, strict=False)] = ()
    """Runs to compare with the unoptimised program, e.g. `[{"arguments": ["-d"], "stdin": "abc"}]`.

    Empty: a program whose `main` takes no arguments is run once as it is; anything else is labelled unvalidated.
    """
    run_by_itself: bool = True
    """Without `runs`: run a program that has a `main` once, without arguments and input."""
    link: Link = Field(default_factory=Link)
    per_function: bool = True
    """Also decide function by function: costs no more compilations."""
    llvm_options: bool = True
    """Also set options of LLVM, of its code generator too; off: passes alone, for a compiler that takes no `-mllvm`."""

    @model_validator(mode="after")
    def _makes_sense(self) -> CompileSpec:
        if (self.source is None) == (self.source_text is None):
            came = "both" if self.source is not None else "neither"
            raise ValueError(
                f"wants exactly one of `source` and `source_text`; {came} came"
            )
        if self.source is not None and self.language is not None:
            raise ValueError(
                "`language` goes with `source_text`; a file says it by its name"
            )
        if self.mode is Mode.PAPER and self.objective is not Objective.IR_INSTRUCTIONS:
            raise ValueError(
                f"mode paper counts IR instructions; objective {self.objective.value} came: set objective to ir_instructions, "
                "or leave mode out"
            )
        if self.objective is Objective.RUN_TIME and not (self.runs or self.run_by_itself):
            raise ValueError(
                "objective run_time wants `runs` to measure; none came, and run_by_itself is off"
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
        """A spec of a source file or archive on this machine; the client uploads it on submit."""
        from trimtab.files import (
            LocalFile,
        )  # the server's side of this model has no use for it

        if link_objects:
            link = options.get("link", Link())
            files = tuple(LocalFile.of(name) for name in link_objects)
            options["link"] = link.model_copy(update={"objects": (*link.objects, *files)})
        return cls(source=LocalFile.of(path), **options)

    @classmethod
    def unit_of(cls, spec: Mapping[str, Any]) -> str:
        """Bytes, instructions or seconds, as the objective says."""
        units = {
            Objective.IR_INSTRUCTIONS.value: "IR instructions",
            Objective.RUN_TIME.value: "CPU seconds",
        }
        return units.get(str(spec.get("objective")), "bytes")

    def artifacts(self) -> dict[str, ArtifactRef]:
        """Every uploaded file: `source`, `stdin_0`, `object_0`, ..."""
        files: dict[str, ArtifactRef] = (
            {} if self.source is None else {"source": self.source}
        )
        files |= {
            f"stdin_{i}": run.stdin_file
            for i, run in enumerate(self.runs)
            if run.stdin_file is not None
        }
        return files | {
            f"object_{i}": reference for i, reference in enumerate(self.link.objects)
        }
