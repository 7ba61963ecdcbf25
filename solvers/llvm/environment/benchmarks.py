"""What an environment optimises, by URI.

file:///path/x.bc | x.ll          a module of LLVM IR
file:///path/x.c | x.cc …         a source file, compiled as `-Oz` with its functions not yet optimised (minsize, optsize)
generator://NAME/SEED             a program made by one of the generators that the caller passes in

CompilerGym's `benchmark://` sets are not here: they are downloads of LLVM 10 bitcode.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from solvers.llvm.types import BadModule, Target

if TYPE_CHECKING:
    from solvers.llvm import execute

MODULES = (".bc", ".ll")
SOURCES = (".c", ".cc", ".cpp", ".cxx", ".C")


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Files of one program as a generator leaves them in the folder it was given."""

    files: tuple[Path, ...]
    include: tuple[Path, ...] = ()
    flags: tuple[str, ...] = ()  # of the closed list that solvers.llvm.frontend takes
    runs: tuple[execute.RunCase, ...] = ()  # how the program is run to compare behaviour


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """A module and, where it is a program, how to run it."""

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
    """Read, compile or generate what `uri` names. A plain path is taken as file:///….

    Raises ValueError for a URI that names nothing we know, FileNotFoundError, BadModule, SourceError (the compiler's text).
    """
    text = str(uri)
    parts = urlsplit(text)
    if parts.scheme == "generator":
        found = _generated(
            parts.netloc, parts.path.strip("/"), target=target, generators=generators or {}
        )
        return replace(found, uri=text, link_flags=link_flags, runs=runs or found.runs)
    if parts.scheme not in ("file", ""):
        raise ValueError(
            f"benchmark {text!r} has the scheme {parts.scheme!r}; wanted: file:///x.bc|.ll|.c, "
            f"generator://{'|'.join(generators or ('NAME',))}/SEED, or a path"
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
            f"benchmark {text!r} ends in {path.suffix!r}; wanted one of {', '.join(MODULES + SOURCES)}"
        )
    return Benchmark(
        uri=path.resolve().as_uri(), module=module, runs=runs, link_flags=link_flags
    )


def _generated(
    name: str, seed: str, *, target: Target, generators: Mapping[str, Generator]
) -> Benchmark:
    if name not in generators:
        known = (
            ", ".join(sorted(generators)) or "none were passed in (argument `generators`)"
        )
        raise ValueError(f"generator {name!r} is unknown; known: {known}")
    if not seed.isdigit():
        raise ValueError(
            f"generator://{name}/{seed}: the seed has to be a whole number of 0 or more, came {seed!r}"
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
        if not modules:
            raise BadModule("the compiler made no module: no source file was given")
        return modules[0] if len(modules) == 1 else frontend.link_bitcode(modules)
