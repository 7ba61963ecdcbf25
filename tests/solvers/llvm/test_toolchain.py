"""Command lines of compiler and linker."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest

from solvers.llvm import install, toolchain
from solvers.llvm.toolchain import BadTarget, compiler, driver_words, is_hosted, linker
from solvers.llvm.types import LlvmMissing, Target


def _feature(word: str) -> list[str]:
    return ["-Xclang", "-target-feature", "-Xclang", word]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (Target(cpu="x86-64-v3"), ["-march=x86-64-v3"]),
        (
            Target(triple="aarch64-unknown-linux-gnu", cpu="cortex-a53", pic=False),
            ["-mcpu=cortex-a53", "-fno-pic", "-fno-pie"],
        ),
        (Target(triple="armv7-none-eabi"), ["-mfloat-abi=soft", "-fPIC"]),
        (Target(triple="armv7-unknown-linux-gnueabihf"), ["-mfpu=vfpv3-d16"]),
        (Target(triple="armv6-unknown-linux-gnueabihf"), []),
        (
            Target(features="+avx2,-sse4.2", pic=None),
            [*_feature("+avx2"), *_feature("-sse4.2")],
        ),
    ],
)
def test_driver_words(target: Target, expected: list[str]) -> None:
    assert driver_words(target) == expected


def test_flags_of_the_caller_replace_arm_defaults() -> None:
    target = Target(triple="armv7-none-eabi", pic=False)
    assert "-mfloat-abi=soft" not in driver_words(target, ["-mfloat-abi=softfp"])
    hard = Target(triple="armv7-unknown-linux-gnueabihf")
    assert driver_words(hard, ["-mfpu=neon"]) == []


def test_hosted_targets() -> None:
    assert is_hosted("x86_64-unknown-linux-gnu")
    assert not is_hosted("thumbv7em-none-unknown-eabi")


@pytest.mark.parametrize(
    ("target", "field"),
    [
        (Target(triple="-o x"), "triple"),
        (Target(triple="x86_64"), "triple"),
        (Target(cpu="-x"), "cpu"),
        (Target(features="avx2"), "features"),
        (Target(features="+a" * 1001), "features"),
    ],
)
def test_words_that_are_no_target_are_refused(target: Target, field: str) -> None:
    for command in (compiler, linker):
        with pytest.raises(BadTarget, match=rf"target\.{field}: expected"):
            command(target, cxx=False)


def test_the_compiler_runs_and_is_in_its_folder() -> None:
    command = compiler(Target(), cxx=False)
    assert any(command.words[0].startswith(str(folder)) for folder in command.folders)
    done = subprocess.run(
        [*command.words, "-fsyntax-only", "-x", "c", "-"],
        input=b"#include <stdint.h>\nuint8_t x;",
        check=False,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr


def test_the_system_links_its_own_target_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "_system_compiler", lambda cxx: "/usr/bin/cc")
    assert linker(Target(), cxx=False).words == ("/usr/bin/cc", "-pie")
    assert linker(Target(pic=False), cxx=False).words == ("/usr/bin/cc", "-no-pie")


def test_a_missing_linker_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    debian = replace(install.find_llvm(), clang=("clang-22",))
    monkeypatch.setattr(install, "find_llvm", lambda *_: debian)
    monkeypatch.setattr(toolchain.shutil, "which", lambda name: None)
    with pytest.raises(LlvmMissing, match="pip install ziglang"):
        linker(Target(triple="aarch64-unknown-linux-gnu"), cxx=False)
    with pytest.raises(LlvmMissing, match="'clang-22' has been removed"):
        compiler(Target(), cxx=False)
