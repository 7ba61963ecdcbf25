"""Sources of a compile job: text, one file or an archive, with the options to compile them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from search.archives import Unpacked, pattern, unpack
from search.domains.compile.parse.compilation_database import Database, read_database
from search.types import InvalidInput
from trimtab.specs.compile import Build, CompileSpec, Language

BITCODE_MAGIC = (b"BC\xc0\xde", b"\xde\xc0\x17\x0b")
LISTED = 5  # files that a message lists
_ARCHIVE_MAGIC = (b"PK", b"\x1f\x8b")
_ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".zip")
_LANGUAGES: Mapping[str, Language] = {
    ".c": Language.C,
    ".cc": Language.CXX,
    ".cpp": Language.CXX,
    ".cxx": Language.CXX,
    ".ll": Language.IR,
    ".bc": Language.IR,
}
SOURCE_SUFFIXES = ", ".join(sorted(_LANGUAGES))
_ASSEMBLY, _PREBUILT = (".S", ".s"), (".o", ".a")
_SUFFIX = {Language.C: ".c", Language.CXX: ".cpp", Language.IR: ".ll"}
_HEAD_BYTES = 512
_MOST_SOURCES = 2000
_NAME_CHARS = 80
_NO_DATABASE = (
    "build.compile_commands: expected an archive that holds the file, got one source; pack both "
    "into a .tar.gz or .zip"
)
_IR_WORDS = (
    b"; ModuleID",
    b"source_filename",
    b"target ",
    b"define ",
    b"declare ",
    b"@",
    b"%",
    b"!",
    b"attributes ",
)


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """Compiler options of the job, with include folders resolved on disk."""

    flags: tuple[str, ...]
    include: tuple[Path, ...]
    system_include: tuple[Path, ...] = ()  # of the C library, searched last

    @classmethod
    def of(cls, build: Build, root: Path, top: str = "") -> BuildOptions:
        """Resolve `build` in the program's folder `root`. Raises InvalidInput.

        `top` is the name of the archive's single top folder, which paths may or may not repeat.
        """
        include = []
        for name in build.include:
            folder = root if name == top else root / _below_top(name, top)
            if not folder.is_dir():
                raise InvalidInput(
                    f"build.include: expected a folder of the program, got {name!r}"
                )
            include.append(folder)
        defines = (f"-D{define}" for define in build.defines)
        return cls(flags=(*build.flags, *defines), include=tuple(include))


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Files to compile into one module."""

    files: Sequence[tuple[str, Path]]  # (name for people, file)
    build: BuildOptions
    notes: Sequence[str] = ()
    # Linked images only: assembly, objects and archives of the program, and its folder.
    assembly: Sequence[Path] = ()
    prebuilt: Sequence[Path] = ()
    root: Path | None = None
    # Archives with a compilation database only: name → the file's own flags.
    file_flags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def read_sources(spec: CompileSpec, inputs: Mapping[str, Path], workdir: Path) -> Sources:
    """Write the job's sources below `workdir`. Raises InvalidInput."""
    if spec.build.compile_commands and spec.source_text is not None:
        raise InvalidInput(_NO_DATABASE)
    if spec.source_text is not None:
        language = spec.language or _language_of_content(spec.source_text.encode())
        file = workdir / f"program{_SUFFIX[language]}"
        file.write_text(spec.source_text, encoding="utf-8")
        return Sources(
            files=[(file.name, file)], build=BuildOptions.of(spec.build, workdir)
        )
    assert spec.source is not None
    file, name = inputs["source"], spec.source.name or inputs["source"].name
    if file.stat().st_size == 0:
        raise InvalidInput(f"{name}: the file is empty")
    with file.open("rb") as opened:
        head = opened.read(_HEAD_BYTES)
    if head[:2] in _ARCHIVE_MAGIC or name.lower().endswith(_ARCHIVE_SUFFIXES):
        return _from_archive(spec, file, name, workdir)
    if spec.build.compile_commands:
        raise InvalidInput(_NO_DATABASE)
    # The compiler takes the language from the suffix, and the uploaded name may have any.
    language = language_of_name(name) or _language_of_content(head)
    suffix = ".bc" if head.startswith(BITCODE_MAGIC) else _SUFFIX[language]
    folder = workdir / "source"
    folder.mkdir(exist_ok=True)
    copy = folder / (_safe_stem(Path(name).stem) + suffix)
    shutil.copyfile(file, copy)
    return Sources(files=[(name, copy)], build=BuildOptions.of(spec.build, folder))


def language_of_name(name: str) -> Language | None:
    """Return the language that a file name's suffix stands for."""
    return _LANGUAGES.get(Path(name).suffix.lower())


def listed(names: Sequence[str]) -> str:
    """Join names of sources for people, shortened."""
    more = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {more} more" if more > 0 else "")


def _from_archive(spec: CompileSpec, file: Path, name: str, workdir: Path) -> Sources:
    tree, build = unpack(file, workdir / "source", name=name), spec.build
    notes = []
    if tree.left_out:
        shown = ", ".join(tree.left_out[:LISTED])
        more = ", …" if len(tree.left_out) > LISTED else ""
        notes.append(
            f"{len(tree.left_out)} links of the archive were left out: {shown}{more}"
        )
    image = spec.image is not None
    database = _database(tree, build)
    if database is not None:
        notes += database.notes
    all_chosen = _choose_files(tree, build, name, image=image, database=database)
    chosen = [path for path in all_chosen if language_of_name(path) is not None]
    others = [tree.folder / path for path in all_chosen if path not in chosen]
    if len(chosen) > 1 and not image:
        notes.append(
            f"{len(chosen)} sources were linked into one module, which was optimised as a whole "
            "(-Oz too); all their external symbols are kept"
        )
    options = BuildOptions.of(build, tree.folder, tree.top)
    if database is not None:
        options = replace(options, flags=(*options.flags, *database.common))
    return Sources(
        files=[(path, tree.folder / path) for path in chosen],
        file_flags={} if database is None else database.flags,
        build=options,
        notes=notes,
        assembly=[path for path in others if path.suffix in _ASSEMBLY],
        prebuilt=[path for path in others if path.suffix in _PREBUILT],
        root=tree.folder,
    )


def _database(tree: Unpacked, build: Build) -> Database | None:
    """Read the compilation database that the job names. Raises InvalidInput."""
    if build.compile_commands is None:
        return None
    path = _below_top(build.compile_commands, tree.top)
    if path not in tree.files:
        raise InvalidInput(
            f"build.compile_commands: expected a file of the archive, got {path!r}"
        )
    return read_database(tree.folder / path, tree.files)


def _choose_files(
    tree: Unpacked,
    build: Build,
    name: str,
    *,
    image: bool = False,
    database: Database | None = None,
) -> list[str]:
    """Files of the archive to compile: those that build.files names, or all C and C++ sources.

    Without build.files, a database names them.

    image: assembly too, and the objects and archives that build.files names.
    """
    if build.files:
        chosen = _matching_files(tree, build.files, name, image=image)
    elif database is not None:
        chosen = list(database.flags)
        chosen += database.assembly if image else ()
    else:
        sources = [path for path in tree.files if language_of_name(path) is not None]
        chosen = [path for path in sources if language_of_name(path) is not Language.IR]
        if not chosen and len(sources) == 1:
            chosen = sources
        if image:
            chosen += [path for path in tree.files if path.endswith(_ASSEMBLY)]
    excluded = [pattern(_below_top(glob, tree.top)) for glob in build.exclude]
    chosen = [path for path in chosen if not any(match.match(path) for match in excluded)]
    if not any(language_of_name(path) is not None for path in chosen):
        raise InvalidInput(
            f"{name}: expected at least one source to compile ({SOURCE_SUFFIXES}), got none"
        )
    if len(chosen) > _MOST_SOURCES:
        raise InvalidInput(
            f"{name}: expected at most {_MOST_SOURCES:,} sources, got {len(chosen):,}; choose them "
            "by build.files"
        )
    return chosen


def _matching_files(
    tree: Unpacked, globs: Sequence[str], name: str, *, image: bool = False
) -> list[str]:
    def is_source(path: str) -> bool:
        linked = image and path.endswith((*_ASSEMBLY, *_PREBUILT))
        return linked or language_of_name(path) is not None

    chosen: list[str] = []
    for glob in globs:
        match = pattern(_below_top(glob, tree.top))
        hits = [path for path in tree.files if match.match(path)]
        if not hits:
            raise InvalidInput(
                f"build.files: {glob!r} matches none of the {len(tree.files)} files of {name}, "
                f"such as {', '.join(map(repr, tree.files[:LISTED]))}"
            )
        sources = [path for path in hits if is_source(path)]
        if len(sources) < len(hits) and not glob.endswith("*"):
            other = next(path for path in hits if not is_source(path))
            raise InvalidInput(
                f"build.files: expected sources ({SOURCE_SUFFIXES}), got {other!r}"
            )
        chosen += [path for path in sources if path not in chosen]
    return chosen


def _language_of_content(head: bytes) -> Language:
    """Tell IR from C by the first lines; C++ cannot be told from C and has to be named."""
    lines = (line.strip() for line in head.splitlines())
    first = next(
        (
            line
            for line in lines
            if line and not (line.startswith(b";") and b"ModuleID" not in line)
        ),
        b"",
    )
    return Language.IR if first.startswith(_IR_WORDS) else Language.C


def _below_top(path: str, top: str) -> str:
    """Remove the archive's single top folder, which owners may or may not write."""
    return path.removeprefix(f"{top}/") if top and path != top else path


def _safe_stem(stem: str) -> str:
    safe = "".join(
        character if character.isalnum() or character in "._-" else "_"
        for character in stem
    )
    return safe.strip(".-")[:_NAME_CHARS] or "program"
