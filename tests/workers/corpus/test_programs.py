"""Generated programs: the same by seed, compiled by anyone to the same output, free of undefined behaviour."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from solvers.llvm.engine import Engine
from workers.corpus import generator, programs
from workers.corpus.build import LEAST, MOST

CC = shutil.which("gcc") or shutil.which("cc")
needs_cc = pytest.mark.skipif(CC is None, reason="no C compiler of the system's here")


def run(source: Path, *flags: str, argument: str = "") -> str:
    binary = source.with_suffix(f".{'-'.join(flags).replace('=', '')}.out")
    assert CC is not None
    subprocess.run([CC, "-w", *flags, str(source), "-o", str(binary)], check=True, capture_output=True, timeout=60)
    done = subprocess.run(
        [str(binary), *([argument] if argument else [])], check=True, capture_output=True, text=True, timeout=20
    )
    return done.stdout


def test_a_seed_is_a_program() -> None:
    assert generator.program(3) == generator.program(3)
    assert generator.program(3) != generator.program(4)
    with pytest.raises(ValueError, match="seed -1 came"):
        generator.program(-1)


@needs_cc
@pytest.mark.parametrize("seed", [*range(1, 9), 1000, 1001])
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
    made = list(programs.modules("generated", 4, tmp_path))
    assert [program.split for program, _ in made] == ["train"] * 4
    for _, bitcode in made:
        with Engine(bitcode) as engine:
            assert LEAST <= engine.info.ir_instructions <= MOST
            assert "main" in engine.info.exported
    (held,) = programs.generated(range(1000, 1001), tmp_path)
    assert held.split == "heldout"


def test_csmith_programs_are_taken_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("csmith") is None:
        pytest.skip("csmith is not installed: apt-get install csmith libcsmith-dev")
    monkeypatch.chdir(tmp_path)  # a relative folder
    ((program, bitcode),) = programs.modules("csmith", 1, Path("corpus"))
    assert program.set == "csmith"
    assert bitcode.startswith(b"BC\xc0\xde")
