"""Run compile jobs in this process, and clang directly, for the tests of this folder."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search import pipeline
from search.domains.compile.domain import build
from search.stop import from_budget
from solvers.llvm.driver import decide
from solvers.llvm.engine import Engine
from solvers.llvm.frontend import compile_to_bitcode
from solvers.llvm.toolchain import compiler
from solvers.llvm.types import Recipe, Target
from trimtab.results import RunResult
from trimtab.specs.compile import CompileSpec

CASES = Path(__file__).parent
M4_SOFT = Target(triple="thumbv7em-none-eabi", cpu="cortex-m4", pic=None)
M4_HARD = Target(triple="thumbv7em-none-eabihf", cpu="cortex-m4", pic=None)
X86 = Target(triple="x86_64-unknown-linux-gnu", pic=None)
AARCH64 = Target(triple="aarch64-unknown-linux-gnu", pic=None)
ARM = Target(triple="armv7-unknown-linux-gnueabihf", pic=None)


@dataclass(frozen=True, kw_only=True)
class Done:
    """A finished job."""

    result: RunResult
    files: dict[str, bytes]

    @property
    def rows(self) -> dict[str, int]:
        """Level → loadable bytes, from the result's own table."""
        return {
            row["level"]: row["loadable_bytes"] for row in self.result.summary["sizes"]
        }


def text(name: str) -> str:
    """Read a source of this folder."""
    return (CASES / name).read_text()


def job(
    source: str,
    workdir: Path,
    *,
    evaluations: int = 2,
    seconds: float = 120.0,
    **spec: Any,
) -> Done:
    """Run a job on `source`, a C program unless `spec` says otherwise."""
    fields = {"source_text": source, "language": "c", **spec}
    folder = workdir / f"job-{len(list(workdir.iterdir()))}"
    folder.mkdir()
    finished = pipeline.run(
        build(),
        CompileSpec.model_validate_json(json.dumps(fields)),
        inputs={},
        workdir=folder,
        stop=from_budget(
            {"seconds": seconds, "evaluations": evaluations}, threading.Event()
        ),
        seed=0,
    )
    return Done(
        result=finished.result,
        files={item.name: item.path.read_bytes() for item in finished.produced},
    )


def by_clang(
    source: Path,
    target: Target,
    out: Path,
    *,
    flags: Sequence[str] = (),
    level: str = "Oz",
    quiet: bool = True,
) -> bytes | None:
    """Compile by the front-end as its user does; None when it refuses the source."""
    command = compiler(
        target,
        cxx=source.suffix == ".cpp",
        freestanding="-nostdinc" in flags,
        flags=flags,
    )
    words = [
        *command.words,
        *flags,
        f"-{level}",
        *(["-w"] if quiet else []),
        "-c",
        source.name,
        "-o",
        str(out),
    ]
    done = subprocess.run(words, cwd=source.parent, capture_output=True, check=False)
    return out.read_bytes() if done.returncode == 0 else None


def by_engine(
    source: Path,
    target: Target,
    workdir: Path,
    *,
    flags: Sequence[str] = (),
    level: str = "Oz",
) -> bytes:
    """Compile by the engine at `level`, as for a job's table."""
    cxx = source.suffix == ".cpp"
    driver = decide(target, flags=flags, cxx=cxx, levels=(level,), workdir=workdir)
    flavour = "O2" if level == "O2" else "Oz"
    module = compile_to_bitcode(
        [source], workdir=workdir, target=target, flags=flags, flavour=flavour
    )[0]
    with Engine(module, target=driver.target, workdir=workdir) as engine:
        return engine.build(Recipe(pipeline=engine.readable(driver.levels[level]))).object
