"""Module of a compile job: sources compiled and linked into one unoptimised bitcode file."""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from search.domains.compile.parse.sources import (
    BITCODE_MAGIC,
    SOURCE_SUFFIXES,
    BuildOptions,
    Sources,
    language_of_name,
)
from search.domains.compile.parse.target import FRONTEND_S, flavour_of
from search.types import InvalidInput
from solvers.llvm.frontend import Control, SourceTree, compile_to_bitcode, link_bitcode
from solvers.llvm.install import find_llvm
from solvers.llvm.programs import LlvmProgramFailed, LlvmPrograms
from solvers.llvm.toolchain import is_hosted
from solvers.llvm.types import EngineLimits, Target
from trimtab.specs.compile import CompileSpec, Language

_MISSING_HEADER = re.compile(r"error: '(?P<name>[^'\n]+)' file not found")


def build_module(
    sources: Sources,
    spec: CompileSpec,
    target: Target,
    module: Path,
    on_warnings: Callable[[str], object],
) -> None:
    """Write one unoptimised `module` of all sources. Raises InvalidInput, SourceError."""
    parts = build_units(sources, spec, target, module.parent, on_warnings)
    if len(parts) == 1:
        module.write_bytes(parts[0])
    else:
        module.write_bytes(link_bitcode(parts, workdir=made(module.parent / "link")))


def build_units(
    sources: Sources,
    spec: CompileSpec,
    target: Target,
    workdir: Path,
    on_warnings: Callable[[str], object],
) -> list[bytes]:
    """Return an unoptimised module of each source. Raises InvalidInput, SourceError."""
    paths = [path for _, path in sources.files]
    ir = [path for path in paths if language_of_name(path.name) is Language.IR]
    compiled = [path for path in paths if path not in ir]
    debug = spec.image is not None and spec.image.debug
    parts: list[bytes] = []
    for flags, group in _by_flags(sources, compiled):
        parts += compile_to_bitcode(
            group,
            workdir=made(workdir / "front-end"),
            target=target,
            flavour=flavour_of(spec),
            flags=(*sources.build.flags, *flags),
            tree=SourceTree(
                # The paths of a compilation database are relative to the archive's top.
                root=sources.root if sources.file_flags else None,
                include=sources.build.include,
                include_last=sources.build.system_include,
                readable=sources.root,
            ),
            control=Control(timeout_s=FRONTEND_S, on_warnings=on_warnings, debug=debug),
        )
    for i, path in enumerate(ir):
        parts.append(_assemble(path, target, workdir / f"ir-{i}.bc").read_bytes())
    return parts


def _by_flags(
    sources: Sources, files: Sequence[Path]
) -> Iterator[tuple[tuple[str, ...], list[Path]]]:
    """Yield neighbouring files with the flags of their own that they share, in order."""
    own = {path: sources.file_flags.get(name, ()) for name, path in sources.files}
    for flags, group in itertools.groupby(files, key=own.__getitem__):
        yield flags, list(group)


def build_objects(
    spec: CompileSpec,
    inputs: Mapping[str, Path],
    target: Target,
    workdir: Path,
    *,
    system_include: Sequence[Path] = (),
) -> tuple[Path, ...]:
    """Return the files of link.objects: sources compiled, objects and IR unchanged.

    The linker takes both objects and IR. Raises InvalidInput, SourceError.
    """
    files: list[Path] = []
    for i, reference in enumerate(spec.link.objects):
        path, name = inputs[f"object_{i}"], reference.name
        language = language_of_name(name)
        if language in (Language.C, Language.CXX):
            copy = made(workdir / "objects") / f"{i}{Path(name).suffix.lower()}"
            shutil.copyfile(path, copy)
            path = _compile_object(spec, copy, target, workdir, system_include)
        elif language is None and not name.lower().endswith((".o", ".a")):
            raise InvalidInput(
                f"link.objects: expected .o, .a, or one of {SOURCE_SUFFIXES}, got {name!r}"
            )
        files.append(path)
    return tuple(files)


def engine_limits(module: Path) -> EngineLimits:
    """Return the engine's limits. Raises InvalidInput when the module exceeds them.

    The engine checks too, but only after megabytes have gone to its process.
    """
    limits = EngineLimits()
    if (size := module.stat().st_size) > limits.module_bytes:
        raise InvalidInput(
            f"the module has {size:,} bytes; at most {limits.module_bytes:,} are accepted: "
            "optimise it in parts"
        )
    return limits


def hint_for(error: str, spec: CompileSpec) -> str:
    """Say what to do about a missing header; "" for other errors of the compiler."""
    missing = _MISSING_HEADER.search(error)
    if missing is None:
        return ""
    where = (
        ""
        if is_hosted(spec.target.triple)
        else f"For {spec.target.triple} there are only the compiler's own headers, and no C "
        "library's; sysroot.library picolibc adds one. "
    )
    return (
        f"\n{where}Pack {missing['name']!r} and what it includes into an archive (.tar.gz or "
        ".zip) with the sources, and name the folder of the headers in build.include"
    )


def made(folder: Path) -> Path:
    """Create a folder if it is missing, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _compile_object(
    spec: CompileSpec,
    source: Path,
    target: Target,
    workdir: Path,
    system_include: Sequence[Path],
) -> Path:
    build = BuildOptions.of(spec.build.model_copy(update={"include": ()}), workdir)
    (code,) = compile_to_bitcode(
        [source],
        workdir=made(workdir / "front-end"),
        target=target,
        flavour=flavour_of(spec),
        flags=build.flags,
        tree=SourceTree(include_last=system_include),
        control=Control(timeout_s=FRONTEND_S),
    )
    bitcode = source.with_suffix(".bc")
    bitcode.write_bytes(code)
    return bitcode


def _assemble(path: Path, target: Target, out: Path) -> Path:
    """Write IR as bitcode: the engine discards value names, and can do so only for bitcode."""
    engine_limits(path)
    with path.open("rb") as file:
        if file.read(4) in BITCODE_MAGIC:
            shutil.copyfile(path, out)
            return out
    try:
        LlvmPrograms(installed=find_llvm(target.triple), target=target).assemble(
            path, out
        )
    except LlvmProgramFailed as error:
        raise InvalidInput(
            f"{path.name}: this LLVM cannot read the module: {error}"
        ) from error
    return out
