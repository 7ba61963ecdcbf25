"""The clang that the wrapper calls. Imports nothing slow, as `command.py`."""

from __future__ import annotations

import os
import sys

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


def _found(folders: list[str], name: str) -> str | None:
    """Return the first program of a name in the folders."""
    for folder in folders:
        path = os.path.join(folder, name)
        if folder and os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    return None
