"""Fuzzer `compile`: generated programs for each served target against clang.

Three comparisons: the `-Oz` of the job is clang's own `-Oz`, to the byte, sections and
relocations; the answer is an object no larger than that; answer and unoptimised object, each
linked with the same driver, print the same, on this machine or under QEMU's user mode where that
is installed (C only: zig would build its C++ library for each target first). Every case must end
with a verified object.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from search import pipeline
from search.domains.compile.domain import CompileDomain
from search.domains.compile.encode import Prepared
from search.domains.compile.parse.problem import CompileProblem
from search.stop import from_budget
from search.types import InvalidInput
from solvers.llvm.elf import sizes_of
from solvers.llvm.install import find_llvm
from solvers.llvm.types import Recipe
from trimtab.results import VerificationStatus
from trimtab.specs.compile import CompileSpec
from workers.bench.fuzz.types import Fault, Finding, Outcome
from workers.corpus.generator.small import SmallProgram, small_program

_BUDGET_S, _EVALUATIONS, _TOOL_S = 120.0, 3, 300.0
_CSMITH = (
    "--no-packed-struct",
    "--max-funcs",
    "3",
    "--max-block-depth",
    "2",
    "--no-argc",
    "--no-volatiles",
)
_CSMITH_HEADERS = "/usr/include/csmith"


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A target as a user names it to clang, and what can run its code."""

    triple: str
    cpu: str = ""
    words: tuple[str, ...] = ()
    """Arguments that give zig's clang the defaults of Debian's."""
    runs_as: str = ""
    """Zig's name of the target that programs are linked for; empty for this machine."""
    qemu: str = ""
    cxx: bool = True
    """Whether there is a C++ run-time library with exceptions."""

    @property
    def driver_words(self) -> list[str]:
        """Return the arguments of clang."""
        option = "-march" if self.triple.startswith(("x86", "i")) else "-mcpu"
        return [
            "-target",
            self.triple,
            *([f"{option}={self.cpu}"] if self.cpu else []),
            *self.words,
        ]


_SOFT = ("-mfloat-abi=soft",)
MACHINES = (
    Machine(triple="x86_64-unknown-linux-gnu"),
    Machine(triple="x86_64-unknown-linux-gnu", cpu="x86-64-v3", runs_as="none"),
    Machine(
        triple="aarch64-unknown-linux-gnu",
        runs_as="aarch64-linux-musl",
        qemu="qemu-aarch64",
    ),
    Machine(
        triple="aarch64-none-elf",
        cpu="cortex-a53",
        runs_as="aarch64-linux-musl",
        qemu="qemu-aarch64",
        cxx=False,
    ),
    Machine(
        triple="thumbv7em-none-eabi",
        cpu="cortex-m4",
        words=_SOFT,
        runs_as="arm-linux-musleabi",
        qemu="qemu-arm",
        cxx=False,
    ),
    Machine(
        triple="thumbv7em-none-eabihf",
        cpu="cortex-m4",
        runs_as="arm-linux-musleabihf",
        qemu="qemu-arm",
        cxx=False,
    ),
    Machine(triple="thumbv6m-none-eabi", words=_SOFT, runs_as="none", cxx=False),
    Machine(
        triple="armv7-unknown-linux-gnueabihf",
        words=("-mfpu=vfpv3-d16",),
        runs_as="arm-linux-musleabihf",
        qemu="qemu-arm",
    ),
    Machine(
        triple="armv7-unknown-linux-gnueabi",
        words=_SOFT,
        runs_as="arm-linux-musleabi",
        qemu="qemu-arm",
    ),
    Machine(triple="i686-unknown-linux-gnu", runs_as="none"),
)
_FLAGS = (
    "-ffunction-sections",
    "-fdata-sections",
    "-fno-zero-initialized-in-bss",
    "-fno-inline",
    "-fwrapv",
    "-fno-jump-tables",
    "-fno-common",
    "-fno-optimize-sibling-calls",
    "-fmerge-all-constants",
    "-fno-omit-frame-pointer",
    "-fno-builtin",
    "-fstack-protector-strong",
    "-ffp-contract=off",
    "-fvisibility=hidden",
    "-fno-unroll-loops",
    "-fno-math-errno",
)


def check(index: int, rng: np.random.Generator) -> Outcome:
    """Draw a program, a target and flags; run the job and clang; compare objects and behaviour."""
    machine = MACHINES[index % len(MACHINES)]
    cxx = bool(rng.random() < 0.4)
    flags = tuple(
        sorted(
            str(flag)
            for flag in rng.choice(_FLAGS, size=int(rng.integers(0, 4)), replace=False)
        )
    )
    program = _drawn(rng, machine, cxx)
    case = {
        "triple": machine.triple,
        "cpu": machine.cpu,
        "flags": list(flags),
        "library": program.library,
        "driver": program.driver,
    }
    label = f"{machine.triple} {machine.cpu} {'c++' if program.cxx else 'c'}".replace(
        "  ", " "
    )

    def fault(kind: Fault, detail: str) -> Outcome:
        return Outcome(
            label=label, finding=Finding(fault=kind, detail=detail[:2000], case=case)
        )

    with tempfile.TemporaryDirectory(prefix="fuzz-compile-") as name:
        folder = Path(name)
        try:
            direct = _by_clang(machine, program, flags, folder, "-Oz")
        except _Failed as error:
            return Outcome(
                label=f"not compiled by clang: {str(error).splitlines()[0][:80]}"
            )
        try:
            own, finished = _job(machine, program, flags, folder)
        except InvalidInput as error:
            return fault(Fault.REFUSED, str(error))
        except Exception as error:  # any other exception is a finding
            return fault(Fault.CRASHED, f"{type(error).__name__}: {error}")
        answer = next(
            (
                item.path.read_bytes()
                for item in finished.produced
                if item.name == "optimised.o"
            ),
            None,
        )
        if (
            answer is None
            or finished.result.verification.status is not VerificationStatus.VALID
        ):
            return fault(
                Fault.LOST,
                finished.result.verification.detail or finished.result.termination.detail,
            )
        if _without_comment(own, folder) != _without_comment(direct, folder):
            ours, theirs = sizes_of(own), sizes_of(direct)
            return fault(
                Fault.WRONG,
                f"-Oz differs from clang's: {ours.sections} here, {theirs.sections} there",
            )
        mine, theirs_size = sizes_of(answer).loadable, sizes_of(direct).loadable
        if mine > theirs_size:
            return fault(
                Fault.WRONG,
                f"the answer has {mine} loadable bytes, clang -Oz {theirs_size}",
            )
        try:
            differs = _differs(machine, program, answer, flags, folder)
        except subprocess.TimeoutExpired:
            return Outcome(label=f"{label}, not run in time")
        except _Failed as error:
            return fault(Fault.WRONG, f"the answer cannot be linked or run: {error}")
        if differs:
            return fault(Fault.WRONG, differs)
    return Outcome(label=label)


class _Failed(Exception):
    """A tool failed."""


class _Watched(CompileDomain):
    """Observer that keeps the object which the engine makes at -Oz."""

    own = b""

    def encode(self, problem: CompileProblem) -> Prepared:
        prepared = super().encode(problem)
        self.own = prepared.engine.build(Recipe(pipeline=prepared.pipelines["Oz"])).object
        return prepared


def _drawn(rng: np.random.Generator, machine: Machine, cxx: bool) -> SmallProgram:
    hosted = "linux" in machine.triple
    if (
        not cxx
        and hosted
        and not machine.qemu
        and not machine.cpu
        and shutil.which("csmith")
        and rng.random() < 0.25
    ):
        done = subprocess.run(
            ["csmith", "--seed", str(int(rng.integers(1 << 31))), *_CSMITH],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0 and done.stdout.count("\n") < 1500:
            return SmallProgram(library=done.stdout, driver="", cxx=False)
    return small_program(rng, cxx=cxx, hosted=hosted and machine.cxx)


def _by_clang(
    machine: Machine,
    program: SmallProgram,
    flags: Sequence[str],
    folder: Path,
    level: str,
) -> bytes:
    """Return the object of the library that clang makes when called directly."""
    source = folder / f"program.{'cpp' if program.cxx else 'c'}"
    source.write_text(program.library)
    out = folder / f"direct{level}.o"
    driver = ["--driver-mode=g++"] if program.cxx else []
    headers = (
        ["-isystem", _CSMITH_HEADERS, *_headers()]
        if "csmith.h" in program.library
        else []
    )
    command = [*clang(), *driver, *machine.driver_words, *flags, *headers, level, "-w"]
    _tool([*command, "-c", source.name, "-o", out.name], folder)
    return out.read_bytes()


def _job(
    machine: Machine, program: SmallProgram, flags: Sequence[str], folder: Path
) -> tuple[bytes, pipeline.Finished]:
    """Run the job; return the engine's -Oz object and the finished job."""
    spec: dict[str, Any] = {
        "source_text": _preprocessed(machine, program, folder),
        "language": "c++" if program.cxx else "c",
        "target": {"triple": machine.triple, "cpu": machine.cpu},
        "build": {"flags": list(flags)},
        "llvm_options": True,
    }
    domain = _Watched()
    work = folder / "work"
    work.mkdir()
    finished = pipeline.run(
        domain,
        CompileSpec.model_validate(spec, strict=False),
        inputs={},
        workdir=work,
        stop=from_budget(
            {"seconds": _BUDGET_S, "evaluations": _EVALUATIONS}, threading.Event()
        ),
        seed=0,
    )
    return domain.own, finished


def _preprocessed(machine: Machine, program: SmallProgram, folder: Path) -> str:
    """Return the library, preprocessed where it has headers, which the job cannot read."""
    if "csmith.h" not in program.library:
        return program.library
    words = [
        *clang(),
        *machine.driver_words,
        "-isystem",
        _CSMITH_HEADERS,
        *_headers(),
        "-E",
        "-P",
        "program.c",
        "-o",
    ]
    _tool([*words, "pre.c"], folder)
    return (folder / "pre.c").read_text()


def _differs(
    machine: Machine,
    program: SmallProgram,
    answer: bytes,
    flags: Sequence[str],
    folder: Path,
) -> str:
    """Describe the difference in output between answer and unoptimised program.

    Empty when there is none, or when the program cannot be run here.
    """
    if machine.runs_as == "none" or (
        machine.qemu and (program.cxx or shutil.which(machine.qemu) is None)
    ):
        return ""
    (folder / "answer.o").write_bytes(answer)
    (folder / "plain.o").write_bytes(_by_clang(machine, program, flags, folder, "-O0"))
    ends = []
    for name in ("plain", "answer"):
        linked = _linked(machine, program, name, folder)
        command = [*([machine.qemu, "-cpu", "max"] if machine.qemu else []), str(linked)]
        done = subprocess.run(command, capture_output=True, timeout=_TOOL_S, check=False)
        ends.append((done.returncode, done.stdout))
    if ends[0] != ends[1]:
        return (
            f"the unoptimised program ends with {ends[0]!r}, the answer with {ends[1]!r}"[
                :1500
            ]
        )
    return (
        ""
        if ends[0][0] == 0
        else f"both end with {ends[0][0]}: the generated program is at fault"
    )


def _linked(machine: Machine, program: SmallProgram, name: str, folder: Path) -> Path:
    driver = folder / f"driver.{'cpp' if program.cxx else 'c'}"
    driver.write_text(program.driver)
    files = [f"{name}.o", *([driver.name] if program.driver else [])]
    if machine.runs_as:
        zig = (*clang()[:1], "c++" if program.cxx else "cc")
        _tool(
            [
                *zig,
                "-target",
                machine.runs_as,
                "-static",
                "-fno-sanitize=all",
                "-w",
                *files,
                "-o",
                name,
            ],
            folder,
        )
    else:
        _tool(["c++" if program.cxx else "cc", "-w", *files, "-o", name], folder)
    return folder / name


@functools.cache
def clang() -> tuple[str, ...]:
    """Return the clang of a user: TRIMTAB_FUZZ_CLANG, else the one of the wheel."""
    if named := os.environ.get("TRIMTAB_FUZZ_CLANG"):
        return (named,)
    command = find_llvm().clang
    if "ziglang" in command:
        wheel = importlib.util.find_spec("ziglang")
        assert wheel is not None
        assert wheel.origin is not None
        return (str(Path(wheel.origin).with_name("zig")), "clang")
    return command


def _headers() -> list[str]:
    """Return the folder of the system's C headers, which csmith's programs include."""
    zig = Path(clang()[0]).parent / "lib" / "include"
    return ["-isystem", str(zig)] if zig.is_dir() else []


def _without_comment(code: bytes, folder: Path) -> bytes:
    """Return the object without the section that names the compiler's vendor."""
    (folder / "with.o").write_bytes(code)
    objcopy = find_llvm().tool("llvm-objcopy")
    _tool([str(objcopy), "--remove-section=.comment", "with.o", "without.o"], folder)
    return (folder / "without.o").read_bytes()


def _tool(words: Sequence[str], folder: Path) -> None:
    environment = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "ZIG_GLOBAL_CACHE_DIR": os.environ.get(
            "ZIG_GLOBAL_CACHE_DIR", str(Path(tempfile.gettempdir()) / "fuzz-zig-cache")
        ),
        "ZIG_LOCAL_CACHE_DIR": str(folder / "zig"),
        "HOME": str(folder),
    }
    if library := os.environ.get("LD_LIBRARY_PATH"):
        environment["LD_LIBRARY_PATH"] = library
    done = subprocess.run(
        words,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=_TOOL_S,
        check=False,
        env=environment,
    )
    if done.returncode:
        raise _Failed(
            f"{Path(words[0]).name} ended with {done.returncode}: {done.stderr.strip()[:1000]}"
        )


if __name__ == "__main__":
    sys.exit("run it by: python -m workers.bench fuzz compile")
