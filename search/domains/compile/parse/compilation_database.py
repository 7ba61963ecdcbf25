"""Compilation database of an archive: sources and the flags of each (compile_commands.json).

CMake, Meson and Bear write such a file (https://clang.llvm.org/docs/JSONCompilationDatabase.html).
Its paths are those of the machine that built the program: the prefix by which most files are found
in the archive is taken off. Words that other fields of the job decide are left out and reported;
what is neither known nor allowed is refused by name.
"""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from search.types import InvalidInput
from solvers.llvm.flags import is_compiler_flag

_FIELD = "build.compile_commands"
_MOST_BYTES, _MOST_ENTRIES, _MOST_WORDS = 32 * 2**20, 2000, 2000
_SHOWN = 5
# Options with a path; those of folders take it in the same word too.
_OF_PATHS = ("-I", "-isystem", "-iquote", "-idirafter", "-include")
# Options with a value that compile nothing differently here.
_VALUED_WORDS = """
-o -MF -MT -MQ -MJ -target -arch -isysroot -L -l -T -u -z -Xlinker --serialize-diagnostics
"""
_VALUED = frozenset(_VALUED_WORDS.split())
# Outputs, messages and dependencies: without meaning for a job, and not worth a note.
_SILENT = re.compile(
    r"-c|-pipe|-M(D|MD|P|G|F.+|T.+|Q.+)|-o.+|-w|-W(?![lap],).*|-pedantic(-errors)?|-g.*|"
    r"-fdiagnostics-.*|-f(no-)?color-diagnostics|-fmessage-length=.*|"
    r"-f(file|macro|debug)-prefix-map=.*|-fno-canonical-system-headers|-fstack-usage|"
    r"-Winvalid-pch|-f(no-)?(function|data)-sections|-ferror-limit=.*"
)
# Decided by other fields: level, target, C library, link.
_DECIDED = re.compile(
    r"-O.*|-f(no-)?lto.*|-ffat-lto-objects|-march=.*|-mcpu=.*|-mtune=.*|-m(32|64|thumb|arm)|"
    r"--target=.*|--sysroot=.*|--?specs=.*|--gcc-toolchain=.*|-Wl,.*|-l.+|-L.+|-static|-s|"
    r"-nostdlib|-nostartfiles|-nodefaultlibs|-rdynamic|-fuse-ld=.*"
)
# Set once for the code generator, so all files must agree on them.
_OF_ALL = re.compile(
    r"-mfloat-abi=.*|-mfpu=.*|-mabi=.*|-mcmodel=.*|-march=rv.*|-ffp-contract=.*|"
    r"-f(no-)?zero-initialized-in-bss|-f(no-)?short-enums|-f(no-)?short-wchar"
)
_SUFFIXES, _ASSEMBLY = (".c", ".cc", ".cpp", ".cxx"), (".S", ".s")


@dataclass(frozen=True, kw_only=True)
class Database:
    """Sources of a compilation database, as paths in the archive."""

    # source → its own flags, paths relative to the archive
    flags: Mapping[str, tuple[str, ...]]
    common: tuple[str, ...]  # flags of all sources that shape the generated code
    assembly: tuple[str, ...]  # which takes the job's flags alone
    notes: tuple[str, ...]


@dataclass
class _Read:
    """What was left out while reading."""

    decided: Counter[str] = field(default_factory=Counter)
    outside: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, kw_only=True)
class _Entry:
    number: int
    file: str  # absolute, on the machine that built it
    folder: str  # of the compilation
    words: tuple[str, ...]


def read_database(path: Path, files: Sequence[str]) -> Database:
    """Read a database; `files` are those of the archive. Raises InvalidInput."""
    entries = list(_entries(path))
    members = frozenset(files)
    prefix = _prefix(entries, members)
    read, missing, assembly = _Read(), [], []
    flags: dict[str, tuple[str, ...]] = {}
    shared: dict[str, tuple[str, ...]] = {}
    for entry in entries:
        name = _inside(entry.file, prefix)
        if name not in members:
            missing.append(entry.file)
            continue
        if name.endswith(_ASSEMBLY):
            assembly.append(name)
        if not name.lower().endswith(_SUFFIXES) or name in flags:
            continue  # a second object of one source is not of this program
        words = list(_checked(entry, prefix, members, read))
        shared[name] = tuple(word for word in words if _OF_ALL.fullmatch(word))
        flags[name] = tuple(word for word in words if not _OF_ALL.fullmatch(word))
    if not flags:
        raise InvalidInput(
            f"{_FIELD}: expected commands for files of the archive, got "
            f"{_listed([entry.file for entry in entries])}; pack the folder that they were "
            "compiled in"
        )
    return Database(
        flags=flags,
        common=_agreed(shared),
        assembly=tuple(dict.fromkeys(assembly)),
        notes=tuple(_notes(path.name, read, missing)),
    )


def _entries(path: Path) -> Iterator[_Entry]:
    if path.stat().st_size > _MOST_BYTES:
        raise InvalidInput(
            f"{_FIELD}: expected at most {_MOST_BYTES:,} bytes, got {path.stat().st_size:,}"
        )
    try:
        rows = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{_FIELD}: {path.name} is no JSON: {error}") from None
    if not isinstance(rows, list) or not rows:
        raise InvalidInput(f"{_FIELD}: expected a list of commands in {path.name}")
    if len(rows) > _MOST_ENTRIES:
        raise InvalidInput(
            f"{_FIELD}: expected at most {_MOST_ENTRIES:,} commands, got {len(rows):,}"
        )
    for i, row in enumerate(rows):
        yield _entry(i, row)


def _entry(number: int, row: Any) -> _Entry:
    where = f"{_FIELD}[{number}]"
    if not isinstance(row, dict):
        raise InvalidInput(f"{where}: expected an object, got {type(row).__name__}")
    file, folder = row.get("file"), row.get("directory", "/")
    words = row.get("arguments")
    if words is None and isinstance(row.get("command"), str):
        try:
            words = shlex.split(row["command"])
        except ValueError as error:
            raise InvalidInput(f"{where}.command: {error}") from None
    if not isinstance(file, str) or not file or not isinstance(folder, str):
        raise InvalidInput(f"{where}: expected texts `file` and `directory`")
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise InvalidInput(
            f"{where}: expected `arguments`, a list of words, or `command`"
        )
    if len(words) > _MOST_WORDS:
        raise InvalidInput(
            f"{where}: expected at most {_MOST_WORDS:,} words, got {len(words):,}"
        )
    return _Entry(
        number=number,
        file=_absolute(folder, file),
        folder=_absolute("/", folder),
        words=tuple(words),
    )


def _absolute(folder: str, path: str) -> str:
    """Join and normalise, also paths of Windows."""
    joined = posixpath.join("/", folder.replace("\\", "/"), path.replace("\\", "/"))
    return posixpath.normpath(joined).replace("//", "/")


def _prefix(entries: Sequence[_Entry], members: frozenset[str]) -> str:
    """Return the folder that stands for the archive's top: under it most files are found."""
    votes: Counter[str] = Counter()
    for entry in entries:
        parts = entry.file.split("/")
        for i in range(1, len(parts)):
            if "/".join(parts[i:]) in members:
                votes["/".join(parts[:i])] += 1
    # Of equal ones the shortest: its files lie deepest in the archive.
    best = sorted(votes, key=lambda prefix: (-votes[prefix], len(prefix)))
    return best[0] if best else "/"


def _inside(path: str, prefix: str) -> str | None:
    """Return an absolute path as one of the archive; None when it is outside."""
    if path == prefix:
        return "."
    return path[len(prefix) + 1 :] if path.startswith(f"{prefix}/") else None


def _checked(
    entry: _Entry, prefix: str, members: frozenset[str], read: _Read
) -> Iterator[str]:
    """Yield the flags of one command that shape its code. Raises InvalidInput."""
    words = iter(_after_compiler(entry))
    for word in words:
        if option := _path_option(word):
            path = _absolute(entry.folder, word[len(option) :] or next(words, ""))
            inside = _inside(path, prefix)
            if inside is None or not _exists(inside, members):
                read.outside[path] += 1
            else:
                yield from (option, inside)
        elif word in ("-D", "-U"):
            yield _allowed(entry, word + next(words, ""))
        elif word in _VALUED:
            next(words, "")
        elif _SILENT.fullmatch(word) or _absolute(entry.folder, word) == entry.file:
            pass
        elif is_compiler_flag(word):
            yield word
        elif _DECIDED.fullmatch(word):
            read.decided[word] += 1
        else:
            yield _allowed(entry, word)


def _after_compiler(entry: _Entry) -> Sequence[str]:
    """Return the words after the compiler, which a launcher such as ccache may precede."""
    for i, word in enumerate(entry.words):
        if word.startswith(("-", "@")) or _absolute(entry.folder, word) == entry.file:
            return [word for word in entry.words[i:] if word != "--"]
    return ()


def _path_option(word: str) -> str | None:
    for option in _OF_PATHS:
        if word == option or (word.startswith(option) and option != "-include"):
            return option
    return None


def _exists(inside: str, members: frozenset[str]) -> bool:
    return (
        inside == "."
        or inside in members
        or any(name.startswith(f"{inside}/") for name in members)
    )


def _allowed(entry: _Entry, word: str) -> str:
    if not is_compiler_flag(word):
        raise InvalidInput(
            f"{_FIELD}[{entry.number}]: {word[:200]!r} is not among the flags that a job takes; "
            "take it out of the command, if the program does not need it"
        )
    return word


def _agreed(shared: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return the flags that all files must agree on. Raises InvalidInput."""
    (first, common), *others = shared.items()
    for name, words in others:
        if words != common:
            raise InvalidInput(
                f"{_FIELD}: expected the same ABI flags for all files, got "
                f"{' '.join(common) or 'none'} for {first} and {' '.join(words) or 'none'} for "
                f"{name}"
            )
    return common


def _notes(name: str, read: _Read, missing: Sequence[str]) -> Iterator[str]:
    if read.decided:
        yield (
            f"{name}: left out, because other fields decide them: {_listed(list(read.decided))}"
        )
    if read.outside:
        yield f"{name}: left out, because the archive lacks them: {_listed(list(read.outside))}"
    if missing:
        yield f"{name}: commands for files that the archive lacks: {_listed(missing)}"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
