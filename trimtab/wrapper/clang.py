"""The clang that the wrapper calls. Imports nothing slow, as `command.py`."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # as the name of `typing`, which is slow to import
if TYPE_CHECKING:
    from collections.abc import Sequence

# Objects carry their IR, which `sections.mark` renames afterwards.
EMBED = ("-Xclang", "-fembed-bitcode=all")
_MAJORS = range(22, 16, -1)


class NoClang(Exception):
    """No clang was found. The message says what to do."""


def find_clang(*, cxx: bool) -> list[str]:
    """Return the words that start clang: TRIMTAB_CLANG, the system's, or the wheel `ziglang`'s."""
    variable = "TRIMTAB_CLANGXX" if cxx else "TRIMTAB_CLANG"
    if named := os.environ.get(variable, "").strip():
        import shlex

        return shlex.split(named)
    plus = "++" if cxx else ""
    for name in (*(f"clang{plus}-{major}" for major in _MAJORS), f"clang{plus}"):
        if path := _found(os.environ.get("PATH", "").split(os.pathsep), name):
            return [path]
    zig = _found(sys.path, "ziglang/zig")
    if zig is None:
        raise NoClang(
            f"no clang: expected clang{plus} on PATH, {variable}, or the wheel `ziglang` "
            "(pip install ziglang)"
        )
    # Its own defaults are musl's; the system's headers and libraries are used.
    words = [zig, "clang", *(["--driver-mode=g++"] if cxx else [])]
    headers = os.path.join(os.path.dirname(zig), "lib", "include")
    return [*words, "-target", "x86_64-linux-gnu", "-idirafter", headers]


def with_linker(clang: list[str], words: Sequence[str]) -> list[str]:
    """Return the words of clang for a link; the wheel's clang is told where lld is.

    It looks for `ld.lld` beside itself and on PATH, where Debian has `ld.lld-22` and the wheel has
    a command of zig.
    """
    path = os.environ.get("PATH", "").split(os.pathsep)
    alone = os.path.basename(clang[0]) == "zig" and _found(path, "ld.lld") is None
    if not alone or "-fuse-ld=lld" not in words:
        return clang
    names = (f"ld.lld-{major}" for major in _MAJORS)
    linker = next(filter(None, (_found(path, name) for name in names)), None)
    return [*clang, f"--ld-path={linker or _script(clang[0])}"]


def _script(zig: str) -> str:
    """Write the wheel's lld as a program; return its path."""
    import shlex
    from pathlib import Path

    from trimtab.wrapper import store

    folder = store.cache_folder() / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / "ld.lld"
    text = f'#!/bin/sh\nexec {shlex.quote(zig)} ld.lld "$@"\n'
    if not made.is_file() or made.read_text() != text:
        new = Path(f"{made}.{os.getpid()}")
        new.write_text(text)
        new.chmod(0o755)
        new.replace(made)  # another process of the build may be starting it
    return str(made)


def _found(folders: list[str], name: str) -> str | None:
    """Return the first program of a name in the folders."""
    for folder in folders:
        path = os.path.join(folder, name)
        if folder and os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    return None
