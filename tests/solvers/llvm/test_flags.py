"""Closed lists of compiler and linker flags."""

from __future__ import annotations

from pathlib import Path

import pytest

from solvers.llvm.flags import FlagRefused, checked_compiler_flags, checked_linker_flags

ALLOWED = (
    "-DA -DB=1 -UC -I. -Iinclude -std=gnu11 -Wall -Wno-x -w -fno-strict-aliasing -fwrapv "
    "-msse4.2 -mno-red-zone -pthread"
)
REFUSED = (
    "-o -oa @file -fplugin=x.so -Xclang -load -Wl,-x -Wa,-x -Wp,-MD,x -O2 -O0 -g -flto "
    "-march=native -target -x -xc++ -c -S -E -MD -MFx -save-temps -I/etc -I../a "
    "-iquote/etc -B. --sysroot=/ -specs=x -L/ -fsanitize=address -fprofile-generate -v "
    "-### -fuse-ld=x -resource-dir -isysroot -emit-ast -fmodules "
    "-fcrash-diagnostics-dir=/ -ftime-trace -D -I a.c"
)


@pytest.mark.parametrize("flag", ALLOWED.split())
def test_allowed_flags(tmp_path: Path, flag: str) -> None:
    assert "".join(checked_compiler_flags([flag], tmp_path)) == flag


@pytest.mark.parametrize("flag", REFUSED.split())
def test_other_flags_are_refused_by_name(tmp_path: Path, flag: str) -> None:
    with pytest.raises(FlagRefused) as caught:
        checked_compiler_flags([flag], tmp_path)
    assert flag in str(caught.value)


def test_a_path_may_not_leave_by_a_link(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "out").symlink_to("/etc")
    with pytest.raises(FlagRefused, match="by a link"):
        checked_compiler_flags(["-I", "out"], tmp_path / "root")
    with pytest.raises(FlagRefused, match="by a link"):
        checked_compiler_flags(["-include", "out/passwd"], tmp_path / "root")


def test_linker_flags() -> None:
    assert checked_linker_flags(["-lm", "-static", "-Wl,--gc-sections"])
    for flag in (
        "-Wl,-rpath,/x",
        "-L/tmp",
        "-o",
        "@x",
        "a.o",
        "-T",
        "-Wl,--gc-sections,-o,x",
    ):
        with pytest.raises(FlagRefused):
            checked_linker_flags([flag])
