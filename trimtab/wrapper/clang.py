"""The clang that the wrapper calls."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
from pathlib import Path

_MAJORS = range(22, 16, -1)


class NoClang(Exception):
    """No clang was found. The message says what to do."""


def find_clang(*, cxx: bool) -> list[str]:
    """Return the words that start clang: TRIMTAB_CLANG, the system's, or the wheel `ziglang`'s."""
    variable = "TRIMTAB_CLANGXX" if cxx else "TRIMTAB_CLANG"
    if named := os.environ.get(variable, "").strip():
        return shlex.split(named)
    plus = "++" if cxx else ""
    for name in (*(f"clang{plus}-{major}" for major in _MAJORS), f"clang{plus}"):
        if path := shutil.which(name):
            return [path]
    wheel = importlib.util.find_spec("ziglang")
    zig = Path(wheel.origin).with_name("zig") if wheel and wheel.origin else None
    if zig is None or not zig.is_file():
        raise NoClang(
            f"no clang: expected clang{plus} on PATH, {variable}, or the wheel `ziglang` "
            "(pip install ziglang)"
        )
    # Its own defaults are musl's; the system's headers and libraries are used.
    words = [str(zig), "clang", *(["--driver-mode=g++"] if cxx else [])]
    return [
        *words,
        "-target",
        "x86_64-linux-gnu",
        "-idirafter",
        str(zig.parent / "lib/include"),
    ]
