"""Linked program of a compile job: modules, symbols to keep, and the linker's lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from search.domains.compile.parse.module import build_units, made
from search.domains.compile.parse.sources import BITCODE_MAGIC, Sources, language_of_name
from search.types import InvalidInput
from solvers.llvm.attributes import check_float_abi
from solvers.llvm.c_library import CLibrary
from solvers.llvm.driver import objects_by_clang
from solvers.llvm.eager_binding import has_smaller_calls
from solvers.llvm.frontend import SourceError, assemble, link_bitcode
from solvers.llvm.keeps import (
    NothingKept,
    Wanted,
    internalise,
    keep_placed_statics,
    kept,
    read_program,
    symbols_of,
    text_of,
)
from solvers.llvm.lld import LinkLine, LinkOptions, decide_link, relaxed
from solvers.llvm.toolchain import is_hosted
from solvers.llvm.types import Target
from trimtab.specs.compile import CompileSpec, Icf, Image, Language

ONE_SECTION_EACH = ("-ffunction-sections", "-fdata-sections")
# lld then merges a string with the end of another one.
MERGED_STRINGS = ("-O2",)
# Start code of the C library points gp into the data, so that what lies near takes one instruction.
# GNU ld uses it unasked, lld when told to.
_NEAR_GP = ("--relax-gp",)
# Symbols that a target starts at, where nothing else is said.
_ENTRIES = ("main", "_start", "Reset_Handler")
_TRIPLE = re.compile(r'^target triple = "(?P<triple>[^"]*)"', re.MULTILINE)
_LIBRARIES_CHECKED = ("libc.so.6", "libm.so.6", "libc.a", "libm.a")
# Of the C++ library, whose symbols are not read.
_OF_CXX = re.compile(r"_Z|__cxa_|__gxx_|__dynamic_cast|_Unwind_")
_IR_HEAD = (*BITCODE_MAGIC, b"; ModuleID")


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageProblem:
    """What a linked program is made of, beside the module that is searched."""

    units: tuple[Path, ...]  # unoptimised module of each source, as clang makes it
    sources: tuple[Path, ...]  # C and C++ sources; none where the program has IR too
    file_flags: Mapping[Path, tuple[str, ...]]  # source → flags of its own
    include: tuple[Path, ...]  # folders of headers
    system_include: tuple[Path, ...]  # of the C library
    library: CLibrary | None  # of a target without an operating system
    root: Path  # folder of the sources
    linked: Path  # the module before symbols became internal
    line: LinkLine  # of lld, with --gc-sections, the script, objects and folding
    answer_line: LinkLine  # the same with `answer_words`
    answer_words: tuple[str, ...]  # options of lld that make a program smaller
    lto_line: LinkLine  # the same for bitcode of `clang -flto`
    kept: Mapping[str, str]  # symbol → reason
    demanded: tuple[str, ...]  # symbols of the user's list, which stay in any case
    undefined: tuple[str, ...]  # symbols that neither it nor its libraries define
    relaxed: Path | None  # the linker script with larger regions
    binds_eagerly: bool  # library functions with few calls
    flash_weight: float
    ram_weight: float

    @property
    def weighted(self) -> bool:
        """True when sizes are weighted, or a script's regions limit them."""
        return (self.flash_weight, self.ram_weight) != (1.0, 0.0) or (
            self.line.script is not None
        )


def build_image(
    spec: CompileSpec,
    sources: Sources,
    target: Target,
    objects: Sequence[Path],
    module: Path,
    on_warnings: Callable[[str], object],
    *,
    machine: Target,
    library: CLibrary | None = None,
) -> ImageProblem:
    """Write the linked and internalised `module`, and return the rest of the program.

    machine: the target with everything decided. library: of a target without an operating system.

    Raises InvalidInput, SourceError, LlvmMissing.
    """
    image, workdir = spec.image, module.parent
    assert image is not None
    units = _write_units(spec, sources, target, machine, workdir, on_warnings)
    root = sources.root or workdir
    prebuilt = [
        *assemble(
            sources.assembly,
            made(workdir / "assembly"),
            target=target,
            flags=_of_assembly(sources.build.flags),
            root=root,
            include=(*sources.build.include, *sources.build.system_include),
        ),
        *sources.prebuilt,
        *as_objects(objects, target, workdir),
    ]
    check_float_abi(prebuilt, machine, workdir=workdir)
    options = _link_options(spec, sources, library, root)
    plain = workdir / "linked.bc"
    plain.write_bytes(
        link_bitcode(
            [unit.read_bytes() for unit in units], workdir=made(workdir / "link")
        )
    )
    lines = [
        decide_link(target, replace(options, lto=lto), workdir=made(workdir / "driver"))
        for lto in (False, True)
    ]
    keep, demanded, undefined = _kept(image, plain, prebuilt, lines[0], target, library)
    eager = _binds_eagerly(image, target, sources)
    internalise(plain, module, keep, eager=eager)
    roots = [f"--undefined={name}" for name in demanded]
    line, lto_line = (each.with_words(*roots).with_objects(prebuilt) for each in lines)
    names = [path for _, path in sources.files]
    words = (*MERGED_STRINGS, *_near_gp(target, library))
    return ImageProblem(
        units=units,
        sources=() if any(map(_is_ir, names)) else tuple(names),
        file_flags={
            path: sources.file_flags.get(name, ()) for name, path in sources.files
        },
        include=tuple(sources.build.include),
        system_include=tuple(sources.build.system_include),
        library=library,
        root=root.resolve(),
        linked=plain,
        line=line,
        answer_line=line.with_words(*words),
        answer_words=words,
        lto_line=lto_line,
        kept=keep,
        demanded=demanded,
        undefined=undefined,
        relaxed=_relaxed(options.script, workdir),
        binds_eagerly=eager,
        flash_weight=image.flash_weight,
        ram_weight=image.ram_weight,
    )


def _link_options(
    spec: CompileSpec, sources: Sources, library: CLibrary | None, root: Path
) -> LinkOptions:
    image = spec.image
    assert image is not None
    return LinkOptions(
        cxx=_is_cxx(sources),
        shared=image.shared,
        script=_script(image, sources, library),
        script_folders=(root,) if image.script else (),
        library=library,
        libraries=tuple(
            f"-l{wanted.value}"
            for wanted in spec.link.libraries
            if library is None or wanted.value not in library.contains
        ),
        entry=image.entry,
        icf="" if image.icf is Icf.NONE else image.icf.value,
    )


def _near_gp(target: Target, library: CLibrary | None) -> tuple[str, ...]:
    """Return lld's option where the library's own start code sets gp as its script says."""
    ready = library is not None and library.before and library.script is not None
    return _NEAR_GP if ready and target.triple.startswith("riscv") else ()


def _binds_eagerly(image: Image, target: Target, sources: Sources) -> bool:
    """Tell whether calls through the table of addresses may be smaller, and are wanted."""
    return (
        has_smaller_calls(target.triple)
        and not image.lazy_binding
        and "-fplt" not in sources.build.flags
    )


def _write_units(
    spec: CompileSpec,
    sources: Sources,
    target: Target,
    machine: Target,
    workdir: Path,
    on_warnings: Callable[[str], object],
) -> tuple[Path, ...]:
    folder = made(workdir / "units")
    units = []
    parts = build_units(sources, spec, target, workdir, on_warnings)
    for i, code in enumerate(parts):
        units.append(folder / f"{i}.bc")
        units[-1].write_bytes(code)
    # IR comes after what is compiled, in the order of its names.
    names = [name for name, path in sources.files if _is_ir(path)]
    _check_ir(dict(zip(names, units[len(units) - len(names) :], strict=True)), machine)
    return tuple(units)


def _check_ir(units: Mapping[str, Path], target: Target) -> None:
    """Refuse IR for another architecture, which llvm-link only warns of; keep placed statics.

    Raises InvalidInput.
    """
    for name, unit in units.items():
        try:
            found = _TRIPLE.search(keep_placed_statics(unit))
        except SourceError as error:
            raise InvalidInput(
                f"{name}: this LLVM cannot read the module: {error.diagnostics}"
            ) from error
        if found is None or not found["triple"]:
            continue
        theirs, ours = (_kind(triple) for triple in (found["triple"], target.triple))
        if theirs != ours:
            raise InvalidInput(
                f"{name}: expected IR for {target.triple}, got IR for {found['triple']}; compile "
                "all modules for one target, or set target.triple"
            )


def _kind(triple: str) -> tuple[str, bool]:
    """Return what modules of one program share: architecture, and float ABI of Arm."""
    architecture = triple.partition("-")[0]
    arm = re.match(r"arm(?!64)|thumb", architecture) is not None
    return re.sub(r"^i[3-7]86$", "i386", architecture), arm and triple.endswith("hf")


def _kept(
    image: Image,
    plain: Path,
    prebuilt: Sequence[Path],
    line: LinkLine,
    target: Target,
    library_used: CLibrary | None,
) -> tuple[dict[str, str], tuple[str, ...], tuple[str, ...]]:
    """Return the symbols to keep with reasons, those of the user's list, and undefined ones."""
    workdir = plain.parent
    program = read_program(text_of(plain, workdir=workdir))
    libraries = _libraries(line, library_used)
    library = symbols_of(
        [path for path in libraries if path.suffix in (".a", ".o")], workdir=workdir
    ) | symbols_of(
        [path for path in libraries if path.suffix not in (".a", ".o")],
        workdir=workdir,
        dynamic=True,
    )
    script = line.script.read_text(errors="replace") if line.script else ""
    entries = [image.entry] if image.entry else []
    if not image.shared:
        entries += _ENTRIES
    objects = symbols_of(prebuilt, workdir=workdir)
    try:
        names = kept(
            program,
            Wanted(
                entries=entries,
                script=script,
                objects=objects,
                library=library,
                patterns=image.keep,
                shared=image.shared,
            ),
        )
    except NothingKept as error:
        raise InvalidInput(f"image.keep[{error.index}]: {error}") from error
    if not names and not prebuilt:
        expected = "`main`" if is_hosted(target.triple) else "an entry symbol"
        raise InvalidInput(
            f"image: expected a program with {expected}, got one without; name it in image.entry "
            "or image.keep, or set image.shared"
        )
    demanded = tuple(name for name, why in names.items() if why == "your list")
    missing = program.declared - library - objects
    undefined = sorted(name for name in missing if not _OF_CXX.match(name))
    return names, demanded, tuple(undefined)


def _libraries(line: LinkLine, library: CLibrary | None) -> list[Path]:
    """Return the libraries of a line: a program may replace their functions, and they call its."""
    folders = [path for path in line.readable if path.is_dir()]
    names = [*_LIBRARIES_CHECKED]
    found: dict[str, Path] = {}
    if library is not None:
        words = (*library.before, *library.after)
        found = {word: Path(word) for word in words if word.startswith("/")}
        names = [f"lib{word[2:]}.a" for word in library.after if word.startswith("-l")]
    for name in dict.fromkeys(names):
        stem = name.partition(".")[0]
        if f"-l{stem.removeprefix('lib')}" not in line.words or stem in found:
            continue
        for folder in folders:
            if (folder / name).is_file():
                found[stem] = folder / name
                break
    return list(found.values())


def _script(image: Image, sources: Sources, library: CLibrary | None) -> Path | None:
    if image.script is None:
        return None if library is None else library.script
    if sources.root is None:
        raise InvalidInput(
            "image.script: expected an archive that holds the linker script, got one source; pack "
            "both into a .tar.gz or .zip"
        )
    path = sources.root / image.script
    if not path.is_file():
        path = sources.root / image.script.partition("/")[2]
    if not path.is_file():
        raise InvalidInput(
            f"image.script: expected a file of the archive, got {image.script!r}"
        )
    return path.resolve()


def _relaxed(script: Path | None, workdir: Path) -> Path | None:
    if script is None:
        return None
    # Beside the original, so that INCLUDE finds the same files.
    return relaxed(script, script.with_name(f".relaxed-{script.name}"))


def as_objects(objects: Sequence[Path], target: Target, workdir: Path) -> list[Path]:
    """Return objects and archives unchanged, and IR compiled."""
    made_objects: list[Path] = []
    for i, path in enumerate(objects):
        with path.open("rb") as file:
            is_ir = file.read(16).startswith(_IR_HEAD)
        if is_ir:
            (path,) = objects_by_clang([path], workdir / f"object-{i}", requested=target)
        made_objects.append(path)
    return made_objects


def _of_assembly(flags: Sequence[str]) -> list[str]:
    """Return the flags that shape assembly: macros and the machine."""
    return [flag for flag in flags if re.match(r"-(D|U|m|I|i)", flag)]


def _is_ir(path: Path) -> bool:
    return language_of_name(path.name) is Language.IR


def _is_cxx(sources: Sources) -> bool:
    return any(language_of_name(path.name) is Language.CXX for _, path in sources.files)
