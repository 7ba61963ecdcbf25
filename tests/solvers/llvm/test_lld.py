"""Links by lld with the driver's line, here and in the engine's server."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from solvers.llvm.driver import objects_by_clang
from solvers.llvm.engine import Engine
from solvers.llvm.frontend import SourceError, compile_to_bitcode
from solvers.llvm.lld import (
    LinkLine,
    LinkOptions,
    Overflow,
    decide_link,
    link_image,
    relaxed,
)
from solvers.llvm.types import Outcome, Recipe, Target

HOSTED = Target()
BARE = Target(triple="thumbv7em-none-eabi", cpu="cortex-m4", pic=None)
SCRIPT = """MEMORY {
  FLASH (rx) : ORIGIN = 0x8000000, LENGTH = %s
  RAM (rwx) : ORIGIN = 0x20000000, LENGTH = 1K
}
ENTRY(main)
SECTIONS { .text : { *(.text*) *(.rodata*) } >FLASH .bss : { *(.bss*) } >RAM }
"""


def compiled(folder: Path, text: str, target: Target) -> Path:
    source = folder / "unit.c"
    source.write_text(text)
    (code,) = compile_to_bitcode([source], workdir=folder, target=target)
    (folder / "unit.bc").write_bytes(code)
    return folder / "unit.bc"


def made(folder: Path, text: str, target: Target = HOSTED) -> Path:
    unit = compiled(folder, text, target)
    return objects_by_clang([unit], folder / "objects", requested=target)[0]


def scripted(folder: Path, length: str) -> LinkLine:
    script = folder / "link.ld"
    script.write_text(SCRIPT % length)
    options = LinkOptions(script=script, script_folders=(folder,))
    return decide_link(BARE, options, workdir=folder)


def test_a_program_links_and_runs(tmp_path: Path) -> None:
    line = decide_link(HOSTED, LinkOptions(), workdir=tmp_path)
    code = made(
        tmp_path, '#include <stdio.h>\nint main(void) { puts("hello"); return 3; }'
    )
    link_image(line, [code], tmp_path / "out" / "program")
    done = subprocess.run(
        [tmp_path / "out" / "program"], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (3, b"hello\n")


def test_undefined_symbols_are_the_linkers_own_message(tmp_path: Path) -> None:
    line = decide_link(HOSTED, LinkOptions(), workdir=tmp_path)
    code = made(tmp_path, "int missing(void); int main(void) { return missing(); }")
    with pytest.raises(SourceError, match="undefined symbol: missing"):
        link_image(line, [code], tmp_path / "out" / "program")


def test_a_full_region_is_an_overflow_that_the_engine_measures(tmp_path: Path) -> None:
    line = scripted(tmp_path, "8")
    text = "volatile int x; int main(void) { x = x * 3 + 17; x = x / 7; return x * x; }"
    unit = compiled(tmp_path, text, BARE)
    (code,) = objects_by_clang([unit], tmp_path / "objects", requested=BARE)
    with pytest.raises(Overflow, match="will not fit in region 'FLASH'"):
        link_image(line, [code], tmp_path / "out" / "program")
    assert line.script is not None
    larger = relaxed(line.script, tmp_path / "larger.ld")
    order = {**line.order(larger), "flash": 1, "ram": 0, "beyond": 100}
    with Engine(unit.read_bytes(), target=BARE, workdir=tmp_path, link=order) as engine:
        (oz,) = engine.measure([Recipe(pipeline="default<Oz>")])
    assert oz.sizes is not None
    assert oz.sizes.beyond_bytes == oz.sizes.loadable_bytes - 8 > 0
    assert oz.sizes.image_bytes == oz.sizes.loadable_bytes + 100 * oz.sizes.beyond_bytes


def test_the_engine_measures_what_the_linker_makes(tmp_path: Path) -> None:
    line = decide_link(HOSTED, LinkOptions(), workdir=tmp_path)
    order = {**line.order(), "flash": 1, "ram": 1, "beyond": 0}
    unit = compiled(tmp_path, "int big[99]; int main(void) { return big[3]; }", HOSTED)
    with Engine(unit.read_bytes(), workdir=tmp_path, link=order) as engine:
        (plain,) = engine.measure([Recipe(pipeline="verify")])
        built = engine.build(Recipe(pipeline="verify"))
    (tmp_path / "plain.o").write_bytes(built.object)
    link_image(line, [tmp_path / "plain.o"], tmp_path / "out" / "program")
    assert plain.sizes is not None
    assert ".interp" in plain.sizes.sections
    assert plain.sizes.ram_bytes > 99 * 4
    assert plain.sizes.image_bytes == plain.sizes.loadable_bytes + plain.sizes.ram_bytes


def test_what_does_not_link_is_refused_by_the_engine(tmp_path: Path) -> None:
    line = decide_link(HOSTED, LinkOptions(), workdir=tmp_path)
    order = {**line.order(), "flash": 1, "ram": 0, "beyond": 0}
    unit = compiled(
        tmp_path, "int missing(void); int main(void) { return missing(); }", HOSTED
    )
    with Engine(unit.read_bytes(), workdir=tmp_path, link=order) as engine:
        (refused,) = engine.measure([Recipe(pipeline="verify")])
    assert refused.outcome is Outcome.REFUSED
    assert "undefined symbol: missing" in refused.detail


def test_a_linker_script_reads_no_other_files(tmp_path: Path) -> None:
    secret = tmp_path / "secret.o"
    secret.write_bytes(b"not an object")
    sources = tmp_path / "sources"
    sources.mkdir()
    script = sources / "link.ld"
    script.write_text(f"INPUT({secret})\n{SCRIPT % '4K'}")
    options = LinkOptions(script=script, script_folders=(sources,))
    line = decide_link(BARE, options, workdir=tmp_path)
    code = made(sources, "int main(void) { return 1; }", BARE)
    with pytest.raises(SourceError, match=r"cannot open .*secret\.o: Permission denied"):
        link_image(line, [code], tmp_path / "out" / "program")
    order = {**line.order(), "flash": 1, "ram": 0, "beyond": 0}
    with Engine((sources / "unit.bc").read_bytes(), target=BARE, workdir=tmp_path,
                link=order) as engine:  # fmt: skip
        (refused,) = engine.measure([Recipe(pipeline="verify")])
    assert "Permission denied" in refused.detail
