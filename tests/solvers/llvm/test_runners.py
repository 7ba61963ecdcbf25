"""Commands that run programs of other machines: which one, and what the program is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from solvers.llvm.boards import BOARDS, boards_for
from solvers.llvm.runners import NoRunner, Runner, runner_for


@pytest.mark.parametrize(
    ("machine", "triple", "name"),
    [
        ("x86_64", "x86_64-unknown-linux-gnu", "this processor"),
        ("AMD64", "x86_64-unknown-linux-gnu", "this processor"),
        ("x86_64", "i386-unknown-linux-gnu", "this processor"),
        ("aarch64", "arm64-unknown-linux-gnu", "this processor"),
        ("x86_64", "aarch64-unknown-linux-gnu", "qemu-aarch64"),
        ("x86_64", "armv7-unknown-linux-gnueabihf", "qemu-arm"),
        ("x86_64", "riscv64-unknown-linux-gnu", "qemu-riscv64"),
        ("aarch64", "x86_64-unknown-linux-gnu", "qemu-x86_64"),
        ("x86_64", "thumbv7em-none-eabihf", "qemu-system-arm -machine mps2-an386"),
        ("x86_64", "thumbv6m-unknown-none-eabi", "qemu-system-arm -machine mps2-an386"),
        ("x86_64", "riscv32-unknown-elf", "qemu-system-riscv32 -machine virt"),
        ("x86_64", "riscv64-unknown-unknown-elf", "qemu-system-riscv64 -machine virt"),
    ],
)
def test_each_target_has_its_command(
    monkeypatch: pytest.MonkeyPatch, machine: str, triple: str, name: str
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr("shutil.which", lambda program: f"/usr/bin/{program}")
    runner = runner_for(triple)
    assert isinstance(runner, Runner)
    assert runner.name == name


def test_a_missing_emulator_is_named_with_its_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("shutil.which", lambda program: None)
    for triple, package in (
        ("aarch64-unknown-linux-gnu", "qemu-user"),
        ("thumbv7m-none-eabi", "qemu-system-arm"),
        ("riscv32-unknown-elf", "qemu-system-misc"),
    ):
        nobody = runner_for(triple)
        assert isinstance(nobody, NoRunner)
        assert f"apt-get install {package}" in nobody.why
    for triple in ("x86_64-unknown-none-elf", "avr", "thumbv8m.main-none-eabi"):
        assert isinstance(runner_for(triple), NoRunner)


def test_no_command_names_the_programs_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda program: f"/usr/bin/{program}")
    place = Path("../program")
    words, name = Runner(name="here").command(place, ["a"])
    assert (words, name) == (["../program", "a"], "program")
    user = runner_for("aarch64-unknown-linux-gnu")
    assert isinstance(user, Runner)
    words, _ = user.command(place, ["a b"])
    assert words[-4:] == ["-0", "program", "../program", "a b"]


def test_semihosting_passes_words_and_refuses_what_it_cannot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shutil.which", lambda program: f"/usr/bin/{program}")
    newlib = runner_for("thumbv7m-none-eabi")
    picolibc = runner_for("thumbv7m-none-eabi", names_program=False)
    assert isinstance(newlib, Runner)
    assert isinstance(picolibc, Runner)
    assert "arg=program,arg=a,,b" in newlib.command(Path("p"), ["a,b"])[0][-3]
    assert picolibc.command(Path("p"), [])[0][-3].endswith("chardev=console,arg=")
    assert not newlib.takes_stdin
    for argument in ("a b", "", "a\tb"):
        with pytest.raises(ValueError, match="arguments: expected words without spaces"):
            newlib.command(Path("p"), [argument])


def test_boards_are_distinct_and_found_by_their_triples() -> None:
    names = [board.name for board in BOARDS]
    assert len(names) == len(set(names))
    assert [board.name for board in boards_for("thumbv6m-none-eabi")][
        -1
    ] == "stm32vldiscovery"
    assert "microbit" not in [board.name for board in boards_for("thumbv7em-none-eabi")]
    assert boards_for("x86_64-unknown-linux-gnu") == []
