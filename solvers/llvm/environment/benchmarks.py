"""Benchmarks of the environment, by URI.

file:///path/x.bc | x.ll    module of LLVM IR
file:///path/x.c | x.cc …   source file; compiled for -Oz (minsize, optsize), not yet optimised
generator://NAME/SEED       program made by one of the caller's generators

CompilerGym's `benchmark://` sets are not supported: they are downloads of LLVM 10 bitcode.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from solvers.llvm.types import Target

if TYPE_CHECKING:
    from solvers.llvm import execute

MODULES = (".bc", ".ll")
SOURCES = (".c", ".cc", ".cpp", ".cxx", ".C")


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Files of one program, written by a generator into its folder."""

    files: tuple[Path, ...]
    include: tuple[Path, ...] = ()
    flags: tuple[str, ...] = ()  # of the closed list that solvers.llvm.frontend takes
    runs: tuple[execute.RunCase, ...] = ()  # how the program is run to compare behaviour


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Module with, for a whole program, the runs that compare its behaviour."""

    uri: str
    module: bytes  # bitcode or textual IR
    runs: tuple[execute.RunCase, ...] = ()
    link_flags: tuple[str, ...] = ()


Generator = Callable[[int, Path], Sources]  # (seed, an empty folder to write into)


def load(
    uri: str | Path,
    *,
    target: Target,
    generators: Mapping[str, Generator] | None = None,
    runs: tuple[execute.RunCase, ...] = (),
    link_flags: tuple[str, ...] = ("-lm",),
) -> Benchmark:
    """Read, compile or generate the benchmark at `uri`. A plain path means file:///….

    Raises ValueError for an unknown scheme, suffix or generator, FileNotFoundError, and SourceError
    with the compiler's message.
    """
    text = str(uri)
    parts = urlsplit(text)
    if parts.scheme == "generator":
        made = _generated(
            parts.netloc,
            parts.path.strip("/"),
            target=target,
            generators=generators or {},
        )
        return replace(made, uri=text, link_flags=link_flags, runs=runs or made.runs)
    if parts.scheme not in ("file", ""):
        raise ValueError(
            f"benchmark {text!r}: expected the scheme file:///x.bc|.ll|.c, "
            f"generator://{'|'.join(generators or ('NAME',))}/SEED, or a path, "
            f"got {parts.scheme!r}"
        )
    path = Path(unquote(parts.path) if parts.scheme else text)
    if not path.is_file():
        raise FileNotFoundError(f"benchmark {text!r}: there is no file {path}")
    if path.suffix in MODULES:
        module = path.read_bytes()
    elif path.suffix in SOURCES:
        module = _compiled(Sources(files=(path,)), target=target)
    else:
        raise ValueError(
            f"benchmark {text!r}: expected a suffix of {', '.join(MODULES + SOURCES)}, "
            f"got {path.suffix!r}"
        )
    return Benchmark(
        uri=path.resolve().as_uri(), module=module, runs=runs, link_flags=link_flags
    )


def _generated(
    name: str, seed: str, *, target: Target, generators: Mapping[str, Generator]
) -> Benchmark:
    if name not in generators:
        if not generators:
            raise ValueError(
                f"generator {name!r}: expected it in `generators`, which is empty"
            )
        names = ", ".join(sorted(generators))
        raise ValueError(f"generator: expected one of {names}, got {name!r}")
    if not seed.isdigit():
        raise ValueError(
            f"generator://{name}/SEED: expected a whole number of at least 0, got {seed!r}"
        )
    with tempfile.TemporaryDirectory(prefix="trimtab-benchmark-") as folder:
        sources = generators[name](int(seed), Path(folder))
        return Benchmark(
            uri="", module=_compiled(sources, target=target), runs=sources.runs
        )


def _compiled(sources: Sources, *, target: Target) -> bytes:
    from solvers.llvm import frontend  # modules of IR need no compiler

    with tempfile.TemporaryDirectory(prefix="trimtab-compile-") as folder:
        modules = frontend.compile_to_bitcode(
            sources.files,
            workdir=Path(folder),
            target=target,
            flags=sources.flags,
            tree=frontend.SourceTree(include=sources.include),
        )
        return modules[0] if len(modules) == 1 else frontend.link_bitcode(modules)
