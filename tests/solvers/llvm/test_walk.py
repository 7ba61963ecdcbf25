"""Building and caching of walk.c."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from solvers.llvm.walk import built_walker, cache_folder
from tests.solvers.llvm.library import on_module
from tests.solvers.llvm.modules import PROGRAM


def test_without_a_compiler_every_attempt_is_named(tmp_path: Path) -> None:
    failing = (sys.executable, "-c", "import sys; sys.exit('no luck')")
    with pytest.raises(OSError, match=r"no luck.*no-such-program"):
        built_walker(
            Path("libLLVM.so"), folder=tmp_path, compilers=[failing, ("no-such-program",)]
        )
    with pytest.raises(OSError, match="none is installed"):
        built_walker(Path("libLLVM.so"), folder=tmp_path, compilers=[])
    assert list(tmp_path.iterdir()) == [], "no partial file is left"


def test_a_built_walker_is_reused(tmp_path: Path) -> None:
    script = (
        "import sys; arguments = sys.argv[1:]; "
        "open(arguments[arguments.index('-o') + 1], 'w').write('built')"
    )
    compiler = (sys.executable, "-c", script)
    built = built_walker(Path("libLLVM.so"), folder=tmp_path, compilers=[compiler])
    assert built.read_text() == "built"
    assert built_walker(Path("libLLVM.so"), folder=tmp_path, compilers=[]) == built
    other = built_walker(Path("libLLVM.so.23"), folder=tmp_path, compilers=[compiler])
    assert other != built, "another LLVM has a walker of its own"


def test_a_cache_folder_that_others_can_write_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("shared", "private"):
        (tmp_path / name / "trimtab").mkdir(parents=True)
    (tmp_path / "shared" / "trimtab").chmod(0o777)
    (tmp_path / "private" / "trimtab").chmod(0o700)
    monkeypatch.setenv("TRIMTAB_CACHE", str(tmp_path / "shared"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "private"))
    assert cache_folder() == tmp_path / "private" / "trimtab"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "shared"))
    (tmp_path / "shared" / ".cache" / "trimtab").mkdir(parents=True)
    (tmp_path / "shared" / ".cache" / "trimtab").chmod(0o777)
    monkeypatch.setenv("HOME", str(tmp_path / "shared"))
    with pytest.raises(OSError, match="can be written by other users"):
        cache_folder()


def test_an_unloadable_walker_falls_back_to_python(tmp_path: Path) -> None:
    code = """
import solvers.llvm.walk as walk
from pathlib import Path
walk.built_walker = lambda library: Path(sys.argv[2])  # not a shared object
walker = walk.walker_for(api.lib)
result = [walker.native, walk.walker_for(api.lib) is walker, sum(walker.counts(module)[1])]
"""
    native, cached, instructions = on_module(PROGRAM, code, tmp_path)
    assert not native
    assert cached
    assert instructions == sum(line.startswith(b"  ") for line in PROGRAM.splitlines())
