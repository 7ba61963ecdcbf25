"""-Oz of the table is clang's own, to the byte, on every served target, and its code runs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from solvers.llvm.elf import sizes_of
from solvers.llvm.install import find_llvm, serves
from solvers.llvm.types import Target
from tests.cases.compile.jobs import (
    AARCH64,
    ARM,
    CASES,
    M4_HARD,
    M4_SOFT,
    X86,
    by_clang,
    by_engine,
    job,
    text,
)

_V6M = Target(triple="thumbv6m-none-eabi", pic=None)
_V8M = Target(triple="thumbv8m.main-none-eabihf", pic=None)
_BARE_64 = Target(triple="aarch64-none-elf", pic=None)
_I686 = Target(triple="i686-unknown-linux-gnu", pic=None)
_SKYLAKE = Target(triple="x86_64-unknown-linux-gnu", cpu="skylake", pic=None)
_STATIC = Target(triple="x86_64-unknown-linux-gnu", pic=False)
_PIC = Target(triple="thumbv7em-none-eabi", cpu="cortex-m4", pic=True)
_RV32 = Target(triple="riscv32-unknown-elf", pic=None)
_RV64 = Target(triple="riscv64-unknown-elf", pic=None)
_RV64_LINUX = Target(triple="riscv64-unknown-linux-gnu", pic=None)
TARGETS = [
    X86,
    AARCH64,
    ARM,
    M4_SOFT,
    M4_HARD,
    _V6M,
    _V8M,
    _BARE_64,
    _I686,
    _SKYLAKE,
    _STATIC,
    _PIC,
]
RISCV = [_RV32, _RV64, _RV64_LINUX]
SOURCES = ["decimal.c", "uart.c", "mix.c", "throw_int.cpp"]


@pytest.mark.parametrize(
    "target", TARGETS, ids=lambda target: f"{target.triple} {target.cpu} {target.pic}"
)
def test_the_object_is_clangs_to_the_byte(target: Target, tmp_path: Path) -> None:
    for name in SOURCES:
        source = Path(shutil.copy(CASES / name, tmp_path))
        assert by_engine(source, target, tmp_path) == by_clang(
            source, target, tmp_path / "direct.o"
        ), name


@pytest.mark.parametrize("target", RISCV, ids=lambda target: target.triple)
def test_the_object_of_another_llvm_build_is_clangs(
    target: Target, tmp_path: Path
) -> None:
    """RISC-V: passes and code of Debian's LLVM, front-end of the wheel."""
    if not serves(find_llvm(target.triple), target.triple):
        pytest.skip("no LLVM here has RISC-V (Debian: apt-get install llvm-22)")
    for name in ("decimal.c", "uart.c", "mix.c"):
        source = Path(shutil.copy(CASES / name, tmp_path))
        assert by_engine(source, target, tmp_path) == by_clang(
            source, target, tmp_path / "direct.o"
        ), name


@pytest.mark.parametrize(
    "flags",
    [("-ffunction-sections", "-fdata-sections"), ("-fPIC", "-fno-inline"), ("-mthumb",)],
)
def test_the_object_is_clangs_with_flags(flags: tuple[str, ...], tmp_path: Path) -> None:
    source = Path(shutil.copy(CASES / "drivers.c", tmp_path))
    target = ARM if "-mthumb" in flags else X86
    assert by_engine(source, target, tmp_path, flags=flags) == by_clang(
        source, target, tmp_path / "o.o", flags=flags
    )


@pytest.mark.parametrize(
    ("name", "target", "oz"),
    [
        ("decimal.c", M4_SOFT, 466),
        ("uart.c", M4_SOFT, 244),
        ("mix.c", M4_HARD, 88),
        ("mix.c", M4_SOFT, 90),
    ],
)
def test_figures_of_the_table(name: str, target: Target, oz: int, tmp_path: Path) -> None:
    done = job(text(name), tmp_path, target={"triple": target.triple, "cpu": target.cpu})
    assert done.rows["Oz"] == oz
    assert done.rows["trimtab"] <= oz
    assert sizes_of(done.files["optimised.o"]).loadable == done.rows["trimtab"]


def test_sections_of_an_answer_are_those_the_flags_ask_for(tmp_path: Path) -> None:
    flags = ["-ffunction-sections", "-fdata-sections"]
    done = job(text("drivers.c"), tmp_path, build={"flags": flags})
    sections = set(sizes_of(done.files["optimised.o"]).sections)
    assert {name for name in sections if name.startswith(".text.")}
    assert not sizes_of(done.files["optimised.o"]).sections.get(".text")


def test_position_independence_by_triple(tmp_path: Path) -> None:
    def model(**target: object) -> str:
        done = job(
            "int x; int f(void) { return x; }", tmp_path, evaluations=1, target=target
        )
        return str(done.result.summary["target"]).rpartition(", ")[2]

    assert model() == "PIC"
    assert model(triple="thumbv7em-none-eabi") == "static"
    assert model(triple="thumbv7em-none-eabi", pic=True) == "PIC"
    assert model(pic=False) == "static"


def test_hard_float_arguments_arrive(tmp_path: Path) -> None:
    """Linked with a main that clang compiles, run under QEMU's user mode: main ends with 1."""
    qemu = shutil.which("qemu-arm")
    if qemu is None:
        pytest.skip("qemu-arm is not installed (Debian: apt-get install qemu-user)")
    done = job(
        text("mix.c"), tmp_path, target={"triple": M4_HARD.triple, "cpu": M4_HARD.cpu}
    )
    start = tmp_path / "start.c"
    start.write_text(
        "int main(void);\n__attribute__((used, naked)) void _start(void) "
        '{ __asm__ volatile("bl main\\n mov r7, #1\\n svc 0"); }\n'
    )
    main = Path(shutil.copy(CASES / "mix_main.c", tmp_path))
    (tmp_path / "mix.o").write_bytes(done.files["optimised.o"])
    for source in (main, start):
        assert by_clang(source, M4_HARD, tmp_path / f"{source.stem}.o") is not None
    linker = _lld()
    if linker is None:
        pytest.skip("no lld: neither ziglang nor ld.lld is installed")
    objects = ["start.o", "mix_main.o", "mix.o"]
    subprocess.run(
        [*linker, "-o", "program", *objects],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    assert (
        subprocess.run(
            [qemu, "-cpu", "max", "./program"], cwd=tmp_path, check=False, timeout=60
        ).returncode
        == 1
    )


def _lld() -> tuple[str, ...] | None:
    from solvers.llvm.toolchain import compiler

    program = compiler(X86, cxx=False).words[0]
    if Path(program).name == "zig":
        return (program, "ld.lld")
    lld = shutil.which("ld.lld")
    return None if lld is None else (lld,)
