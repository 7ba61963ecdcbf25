"""Whole programs that run: our generator's and csmith's (Yang et al., PLDI 2011).

Seeds below 500 are for training, from 1000 on they are held out.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from solvers.llvm.frontend import Control, SourceError, SourceTree, compile_to_bitcode
from solvers.llvm.types import Target
from trimtab.specs.common import ArtifactRef
from trimtab.specs.compile import CompileSpec, Run
from workers.corpus import generator
from workers.corpus.sources import CorpusMissing

LAST_OF_TRAINING, FIRST_HELD_OUT = 499, 1000
_CSMITH_S, _COMPILE_S = 20.0, 60.0
_CSMITH = ("--max-funcs", "6", "--no-packed-struct", "--no-bitfields")
_HEADERS = (Path("/usr/include/csmith"), Path("/usr/include/csmith-2.3.0"))


@dataclass(frozen=True, kw_only=True)
class Program:
    """One whole program; it prints a checksum."""

    set: str  # generated, csmith
    seed: int
    source: Path
    headers: tuple[Path, ...] = ()

    @property
    def runs(self) -> tuple[tuple[str, ...], ...]:
        """Return arguments of telling runs.

        Generated programs draw their inputs from the first; csmith's then print every checksum on
        the way.
        """
        return ((), ("first",), ("second",)) if self.set == "generated" else ((), ("1",))

    def spec(self) -> CompileSpec:
        """Return the spec of the job; the bitcode is its input `source`."""
        reference = ArtifactRef(
            digest="sha256:" + "0" * 64, name=f"{self.source.stem}.bc"
        )
        return CompileSpec(
            source=reference,
            runs=tuple(Run(arguments=arguments) for arguments in self.runs),
        )

    @property
    def split(self) -> str:
        """Return the side of the split: train or heldout."""
        return "heldout" if self.seed >= FIRST_HELD_OUT else "train"

    def bitcode(self, workdir: Path) -> bytes:
        """Return the bitcode that `clang -Oz` gives its passes. Raises SourceError."""
        (module,) = compile_to_bitcode(
            [self.source],
            workdir=workdir,
            target=Target(),
            tree=SourceTree(include_last=self.headers),
            control=Control(timeout_s=_COMPILE_S),
        )
        return module

    def write_bitcode(self, workdir: Path) -> Path:
        """Write the bitcode to a file; return its path.

        csmith's sources include headers that are not beside them.
        """
        path = self.source.with_suffix(".bc")
        path.write_bytes(self.bitcode(workdir))
        return path


def generated(seeds: range, folder: Path) -> Iterator[Program]:
    """Yield programs of our generator."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        path = folder / f"generated-{seed}.c"
        path.write_text(generator.program(seed))
        yield Program(set="generated", seed=seed, source=path)


def csmith(seeds: range, folder: Path) -> Iterator[Program]:
    """Yield programs of csmith; skip seeds for which it fails or takes too long.

    Raises CorpusMissing when it is not installed.
    """
    headers = tuple(path for path in _HEADERS if (path / "csmith.h").is_file())[:1]
    if shutil.which("csmith") is None or not headers:
        raise CorpusMissing(
            "csmith: not found; on Debian: apt-get install csmith libcsmith-dev"
        )
    folder = folder.resolve()  # csmith runs in it
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        path = folder / f"csmith-{seed}.c"
        command = ["csmith", *_CSMITH, "--seed", str(seed), "--output", str(path)]
        try:
            subprocess.run(
                command, check=True, capture_output=True, timeout=_CSMITH_S, cwd=folder
            )
        except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
            continue
        yield Program(set="csmith", seed=seed, source=path, headers=headers)


def modules(name: str, seeds: range, folder: Path) -> Iterator[tuple[Program, bytes]]:
    """Yield the programs of a set ("generated", "csmith") that compile, with their bitcode."""
    make = {"generated": generated, "csmith": csmith}[name]
    for program in make(seeds, folder / "programs"):
        try:
            yield program, program.bitcode(folder / "compile")
        except SourceError:
            continue
