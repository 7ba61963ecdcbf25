"""GCC's drivers: machine words, and what is read from the line that they link by."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from solvers.llvm.gcc import _read_line, ask_line, gcc_for, machine_words, package_for
from solvers.llvm.types import Target

RV32IMC = Target(
    triple="riscv32-unknown-unknown-elf",
    features="+32bit,+c,+i,+m,+relax,-a,-d,-e",
    codegen=("-target-abi=ilp32",),
)


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (
            Target(
                triple="thumbv7em-unknown-none-eabihf",
                cpu="cortex-m4",
                features="+vfp4d16sp",
                codegen=("-float-abi=hard",),
            ),
            "-mthumb -mcpu=cortex-m4 -mfloat-abi=hard",
        ),
        (
            Target(
                triple="thumbv7em-unknown-none-eabi",
                cpu="cortex-m4",
                features="+soft-float",
                codegen=("-float-abi=soft",),
            ),
            "-mthumb -mcpu=cortex-m4 -mfloat-abi=soft",
        ),
        (
            Target(triple="thumbv6m-none-eabi", cpu="generic"),
            "-mthumb -march=armv6s-m -mfloat-abi=soft",
        ),
        (RV32IMC, "-march=rv32imc -mabi=ilp32"),
        (Target(triple="riscv32-unknown-elf", features="+e,+c"), "-march=rv32ec"),
        (Target(triple="i386-unknown-linux-gnu"), "-m32"),
        (Target(), ""),
    ],
)
def test_machine_words(machine: Target, words: str) -> None:
    assert " ".join(machine_words(machine)) == words


def test_a_line_is_read_without_plugins_and_nested_groups(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    line = _read_line(
        [
            "-plugin", "/p.so", "-plugin-opt=-lc", f"-L{tmp_path}/x/../lib", "-L/missing/folder",
            "-Tpico.ld", "-X", "--gc-sections", "-o", "program.out", "/c/../crt0.o", "inputs.o",
            "--start-group", "-lgcc", "--start-group", "-lc", "--end-group", "--end-group",
            "/c/crtn.o",
        ]
    )  # fmt: skip
    assert line.before == ("/crt0.o",)
    assert line.after == ("--start-group", "-lgcc", "-lc", "--end-group", "/c/crtn.o")
    assert line.folders == (tmp_path / "lib",)
    assert line.script == "pico.ld"


def test_the_drivers_own_line_has_the_multilib(tmp_path: Path) -> None:
    if shutil.which("riscv64-unknown-elf-gcc") is None:
        pytest.skip("riscv64-unknown-elf-gcc is not installed (gcc-riscv64-unknown-elf)")
    gcc = gcc_for(RV32IMC.triple)
    assert gcc is not None
    line = ask_line(gcc, machine_words(RV32IMC), workdir=tmp_path)
    assert any(str(folder).endswith("rv32im/ilp32") for folder in line.folders)
    assert package_for("thumbv7m-none-eabi") == "gcc-arm-none-eabi"
    assert gcc_for("avr") is None
