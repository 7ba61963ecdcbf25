"""Use of flash by section, object and symbol; changes and budgets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from solvers.llvm.driver import objects_by_clang
from solvers.llvm.elf_image import image_sizes
from solvers.llvm.frontend import compile_to_bitcode
from solvers.llvm.lld import LinkOptions, decide_link, link_image
from solvers.llvm.types import Target
from trimtab.cli.app import app
from trimtab.flash import Budget, changes, overruns, read_usage, usage_from_json
from trimtab.flash.maps import read_map
from trimtab.flash.treemap import Box, draw_treemap, squarified

PROGRAM = """
const char table[300] = "abc"; int counter = 5; char buffer[1000];
__attribute__((noinline)) int work(int x) { return table[x %% 300] * %s + counter++; }
int main(int argc, char **argv) { return work(argc) + buffer[argc]; }
"""
GNU_MAP = """Archive member included

Linker script and memory map

.text           0x0000000000008000       0x30
 .text.main     0x0000000000008000       0x10 build/main.o
                0x0000000000008000                main
 .text.a_function_with_a_long_name
                0x0000000000008010       0x20 /usr/lib/libc.a(printf.o)
 .text.dropped  0x0000000000000000        0x0 build/main.o
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("size")
    programs = {}
    target = Target()
    line = decide_link(target, LinkOptions(), workdir=folder)
    for name, factor in (("old", "3"), ("new", "x / (x % 7 + 2) + x * x")):
        source = folder / f"{name}.c"
        source.write_text(PROGRAM % factor)
        (code,) = compile_to_bitcode([source], workdir=folder, target=target)
        (folder / f"{name}.bc").write_bytes(code)
        objects = objects_by_clang(
            [folder / f"{name}.bc"], folder / name, requested=target
        )
        plan = (folder / name / "map").resolve()
        link_image(line, objects, folder / name / "program", extra=[f"-Map={plan}"])
        programs[name] = folder / name / "program"
    return programs


def test_every_byte_is_counted_once(built: dict[str, Path]) -> None:
    data = built["new"].read_bytes()
    usage = read_usage(data, built["new"].with_name("map").read_text())
    sizes = image_sizes(data)
    assert (usage.flash, usage.ram) == (sizes.flash, sizes.ram)
    for section, size in usage.sections.items():
        parts = [part.size for part in usage.parts if part.section == section]
        assert sum(parts) == size, section
    named = {part.symbol: part for part in usage.parts}
    assert named["table"].size == 300
    assert named["buffer"].size == 1000
    assert named["work"].object.endswith("0.o")
    assert read_usage(data).flash == usage.flash, "without a map too"


def test_the_json_form_is_read_back(built: dict[str, Path]) -> None:
    usage = read_usage(built["old"].read_bytes())
    assert usage_from_json(json.loads(json.dumps(usage.as_json()))) == usage


def test_changes_are_those_of_the_symbols(built: dict[str, Path]) -> None:
    old, new = (read_usage(built[name].read_bytes()) for name in ("old", "new"))
    first = changes(old, new)[0]
    assert first.symbol == "work"
    assert first.after > first.before > 0
    assert changes(old, old) == []


@pytest.mark.parametrize(
    ("text", "most"), [("flash=64K", 65536), ("ram=0x100", 256), (".text=1MiB", 1 << 20)]
)
def test_budgets_take_units(text: str, most: int) -> None:
    assert Budget.parse(text).most == most


@pytest.mark.parametrize("text", ["flash", "=3", "flash=-1", "flash=1G", "flash=x"])
def test_other_budgets_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"--budget: expected NAME=SIZE such as"):
        Budget.parse(text)


def test_a_budget_for_no_section_is_refused(built: dict[str, Path]) -> None:
    usage = read_usage(built["old"].read_bytes())
    with pytest.raises(
        ValueError, match=r"--budget: expected flash, ram or one of .*got '\.x'"
    ):
        overruns(usage, [Budget.parse(".x=3")])


def test_the_command_fails_over_its_budget_and_writes_all_forms(
    built: dict[str, Path], tmp_path: Path
) -> None:
    new, runner = str(built["new"]), CliRunner()
    common = ["size", new, "--map", str(built["new"].with_name("map"))]
    shown = runner.invoke(app, [*common, "--budget", "flash=64K", "--fail-over"])
    assert shown.exit_code == 0
    assert "`table`" in shown.output
    summary, picture = tmp_path / "summary.md", tmp_path / "map.svg"
    options = ["--budget", "flash=1K", "--since", str(built["old"]), "--fail-over"]
    options += ["--markdown", str(summary), "--svg", str(picture), "--json"]
    over = runner.invoke(app, [*common, *options])
    assert over.exit_code == 1
    document = json.loads(over.stdout)
    assert document["over_budget"][0]["name"] == "flash"
    assert document["changes"][0]["symbol"] == "work"
    assert "**over**" in summary.read_text()
    assert "work" in picture.read_text()


@pytest.mark.parametrize(
    "data", [b"", b"\x7fELF", b"\x7fELF\x02\x01\x01" + bytes(60), b"MZ" * 99]
)
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="ELF"):
        read_usage(data[:56])


def test_a_map_of_gnu_ld_is_read() -> None:
    pieces = read_map(GNU_MAP)
    assert [(piece.object, piece.section, piece.size) for piece in pieces] == [
        ("build/main.o", ".text.main", 16),
        ("/usr/lib/libc.a(printf.o)", ".text.a_function_with_a_long_name", 32),
    ]
    with pytest.raises(ValueError, match="expected a map of lld or GNU ld"):
        read_map("nothing\n")


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=40))
def test_areas_are_in_proportion_and_inside(sizes: list[int]) -> None:
    whole = Box(x=3, y=5, width=400, height=250)
    sizes.sort(reverse=True)
    boxes = squarified([float(size) for size in sizes], whole)
    for size, box in zip(sizes, boxes, strict=True):
        assert box.width * box.height == pytest.approx(100_000 * size / sum(sizes))
        assert box.x >= 3 - 1e-6
        assert box.x + box.width <= 403 + 1e-6
        assert box.y >= 5 - 1e-6
        assert box.y + box.height <= 255 + 1e-6


def test_a_treemap_names_its_parts(built: dict[str, Path]) -> None:
    svg = draw_treemap(read_usage(built["new"].read_bytes()), title="a < b")
    assert "a &lt; b" in svg
    assert "<title>.rodata" in svg
