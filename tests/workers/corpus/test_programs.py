"""Generated programs: equal by seed, same output by every compiler, defined behaviour."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from solvers.llvm.engine import Engine
from solvers.llvm.execute import RunCase, link_program, run_program
from solvers.llvm.toolchain import compiler
from solvers.llvm.types import Target
from workers.corpus import build, generator, programs
from workers.corpus.build import LEAST, MOST_OF_A_PROGRAM

CC = shutil.which("gcc") or shutil.which("cc")
needs_cc = pytest.mark.skipif(CC is None, reason="no C compiler of the system's here")


def run(source: Path, *flags: str, argument: str = "") -> str:
    binary = source.with_suffix(f".{'-'.join(flags).replace('=', '')}.out")
    assert CC is not None
    subprocess.run(
        [CC, "-w", *flags, str(source), "-o", str(binary)],
        check=True,
        capture_output=True,
        timeout=60,
    )
    done = subprocess.run(
        [str(binary), *([argument] if argument else [])],
        check=True,
        capture_output=True,
        text=True,
        timeout=20,
    )
    return done.stdout


def test_a_seed_is_a_program() -> None:
    assert generator.program(3) == generator.program(3)
    assert generator.program(3) != generator.program(4)
    with pytest.raises(ValueError, match="seed: expected 0 or more, got -1"):
        generator.program(-1)


def test_every_unit_is_drawn() -> None:
    """Each kind of unit is in some program of the first seeds of both sides of the split."""
    for first in (1, programs.FIRST_HELD_OUT):
        text = "".join(generator.program(seed) for seed in range(first, first + 20))
        assert all(
            f"static uint32_t {unit.__name__.rstrip('_')}" in text
            for unit in generator.UNITS
        )


def test_clang_traps_at_no_undefined_behaviour(tmp_path: Path) -> None:
    """Compile with clang's traps on undefined behaviour; needs no compiler of the system."""
    for seed in (21, 1002):
        source, made = tmp_path / f"{seed}.c", {}
        source.write_text(generator.program(seed))
        for flags in (
            ("-O0",),
            ("-O2",),
            ("-O1", "-fsanitize=undefined", "-fsanitize-trap=undefined"),
        ):
            words = compiler(Target(), cxx=False).words
            code = tmp_path / f"{seed}.o"
            subprocess.run(
                [*words, "-w", *flags, "-fPIC", "-c", str(source), "-o", str(code)],
                check=True,
                timeout=60,
            )
            program = link_program([code], workdir=tmp_path, target=Target())
            made[flags] = run_program(
                program, RunCase(), timeout_s=20.0, workdir=tmp_path
            )
        assert {ran.exit_code for ran in made.values()} == {0}
        assert len({ran.stdout for ran in made.values()}) == 1
        if CC is not None:
            assert made[("-O0",)].stdout.decode() == run(source, "-O0"), (
                "gcc's program prints the same"
            )


@needs_cc
@pytest.mark.parametrize("seed", [*range(1, 11), 1000, 1001])
def test_no_undefined_behaviour_and_one_output(seed: int, tmp_path: Path) -> None:
    source = tmp_path / "program.c"
    source.write_text(generator.program(seed))
    plain = run(source, "-O0")
    checked = ("-O1", "-fsanitize=undefined,address", "-fno-sanitize-recover=all")
    assert run(source, *checked) == plain == run(source, "-O3")
    assert plain.splitlines()[-1].startswith("checksum ")
    assert len(plain.splitlines()) >= 4
    assert run(source, "-O0", argument="other") != plain, "inputs matter"


def test_programs_are_of_a_size_to_learn_from(tmp_path: Path) -> None:
    made = list(programs.modules("generated", range(1, 5), tmp_path))
    assert [program.split for program, _ in made] == ["train"] * 4
    for _, bitcode in made[:2]:
        with Engine(bitcode) as engine:
            assert LEAST <= engine.info.ir_instructions <= MOST_OF_A_PROGRAM
            assert "main" in engine.info.exported
    (held,) = programs.generated(range(1000, 1001), tmp_path)
    assert held.split == "heldout"


def test_csmith_programs_are_taken_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("csmith") is None:
        pytest.skip("csmith is not installed: apt-get install csmith libcsmith-dev")
    monkeypatch.chdir(tmp_path)  # a relative folder
    ((program, bitcode),) = programs.modules("csmith", range(1, 2), Path("corpus"))
    assert program.set == "csmith"
    assert bitcode.startswith(b"BC\xc0\xde")


def test_both_sides_of_the_split_get_their_seeds(tmp_path: Path) -> None:
    messages: list[str] = []
    seeds = {"generated": build.Seeds(train=2, heldout=1)}
    for _ in range(2):
        build.build(
            tmp_path, packages=(), per_package=5, say=messages.append, seeds=seeds
        )
    rows = build.read(tmp_path)
    assert sorted((str(row["name"]), str(row["split"])) for row in rows) == [
        ("generated-1", "train"),
        ("generated-1000", "heldout"),
        ("generated-2", "train"),
    ]
    assert all(row["set"] == row["package"] == "generated" for row in rows)
    assert sum("generated, train" in line for line in messages) == 1, (
        "the second time nothing is made"
    )
