"""Levels of the size table are clang's own, whichever level the module was compiled for."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from search.domains.compile.encode import SHOWN_LEVELS
from solvers.llvm.engine import Engine
from solvers.llvm.frontend import FLAVOURS, compile_to_bitcode
from solvers.llvm.install import find_llvm
from solvers.llvm.programs import LlvmPrograms, ObjectSizes
from solvers.llvm.toolchain import compiler
from solvers.llvm.types import Recipe, Sizes, Target

SOURCE = """
unsigned table[64];
unsigned fold(const unsigned *p, int n) {
    unsigned h = 17;
    for (int i = 0; i < n; i++) h = (h ^ p[i]) * 2654435761u + (h >> 13);
    return h;
}
void fill(int n) { for (int i = 0; i < 64; i++) table[i] = n * i + (n ? table[(i * 7) & 63] : 0); }
int pick(int n) {
    switch (n & 7) {
        case 0: return fold(table, 64);
        case 3: fill(n); return 4;
        case 5: return n * 3;
    }
    return n;
}
"""


def by_clang(source: Path, level: str, target: Target) -> ObjectSizes:
    command, out = compiler(target, cxx=False), source.with_name(f"{level}.o")
    subprocess.run(
        [*command.words, f"-{level}", "-fPIC", "-g0", "-c", str(source), "-o", str(out)],
        check=True,
        timeout=60,
    )
    return LlvmPrograms(installed=find_llvm(), target=target).object_sizes(out)


def bytes_of(sizes: Sizes | ObjectSizes) -> tuple[int, int]:
    return sizes.loadable_bytes, sizes.code_bytes


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_levels_are_clangs(flavour: str, tmp_path: Path) -> None:
    target, source = Target(), tmp_path / "a.c"
    source.write_text(SOURCE)
    (module,) = compile_to_bitcode(
        [source], workdir=tmp_path / "work", target=target, flavour=flavour
    )
    with Engine(module, target=target) as engine:
        pipelines = engine.default_pipelines()
        recipes = [
            Recipe(pipeline=pipelines[level], options=options)
            for level, options in SHOWN_LEVELS[flavour].items()
        ]
        levels = dict(zip(SHOWN_LEVELS[flavour], engine.measure(recipes), strict=True))
    sizes = {
        level: bytes_of(measured.sizes)
        for level, measured in levels.items()
        if measured.sizes is not None
    }
    for level in ("O2", "Os"):
        # They differ by a jump or two.
        assert sizes[level] == pytest.approx(
            bytes_of(by_clang(source, level, target)), rel=0.02
        )
    assert sizes["Oz"][1] < sizes["Os"][1] < sizes["O2"][1]
