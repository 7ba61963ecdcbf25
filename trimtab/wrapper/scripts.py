"""Linker scripts of a link as one text that names no other file."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from trimtab.wrapper.command import values

_INCLUDE = re.compile(r"\bINCLUDE[ \t]+\"?(?P<name>[^\s\";]+)\"?[ \t]*;?")
_LOADS = re.compile(
    r"\b(?:INPUT|GROUP|STARTUP|SEARCH_DIR|OUTPUT)\s*\((?:[^()]|\([^()]*\))*\)\s*;?"
)
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
# A file in an input section's description: `start.o(.text)`, `*libc.a:printf.o (.text)`.
_FILE = re.compile(
    r"(?P<file>[^\s(){};,]*[^\s(){};,*])\s*\(\s*(?:KEEP|SORT\w*|\.|\*|EXCLUDE_FILE)"
)
_MOST_DEPTH = 10


class NoScript(Exception):
    """A script, or a file that it includes, is not there."""


def folders_of(words: Sequence[str]) -> list[Path]:
    """Return the folders that the linker searches: the current one, and those of -L."""
    return [Path(), *map(Path, values(words, "-L", "--library-path"))]


def read_script(words: Sequence[str], more: Iterable[str]) -> str:
    """Return the text of all scripts of a link, with includes; "" without any. Raises NoScript.

    more: scripts that are inputs. Symbols of --defsym are assigned at the end.
    """
    folders = folders_of(words)
    names = [*values(words, "-T", "--script"), *more]
    text = "\n".join(_included(name, folders) for name in dict.fromkeys(names))
    if not text.strip():
        return ""
    assigned = "\n".join(f"{one};" for one in values(words, "--defsym"))
    return f"{_LOADS.sub('', text)}\n{assigned}\n"


def _included(name: str, folders: Sequence[Path], depth: int = 0) -> str:
    path = next((p for folder in folders if (p := folder / name).is_file()), None)
    if path is None or depth > _MOST_DEPTH:
        raise NoScript(
            f"linker script {name}: expected a file in the folders of -L, got none"
        )
    text = path.read_text(encoding="utf-8", errors="replace")
    return _INCLUDE.sub(
        lambda match: _included(match["name"], [*folders, path.parent], depth + 1), text
    )


def files_named(script: str) -> list[str]:
    """Return the patterns of object files whose sections a script places apart."""
    text = _COMMENT.sub(" ", script)
    found = [match["file"] for match in _FILE.finditer(text)]
    return [name for name in found if re.search(r"\.(o|obj|a|lo)\b|\.o\*|\.a\*", name)]


def placed_apart(name: str, patterns: Iterable[str]) -> bool:
    """Tell whether a script places an object's sections by the object's name."""
    base = Path(name).name
    for pattern in patterns:
        for form in {pattern, pattern.rpartition(":")[2] or pattern}:
            if fnmatch.fnmatch(name, form) or fnmatch.fnmatch(base, Path(form).name):
                return True
    return False
