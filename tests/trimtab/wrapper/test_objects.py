"""Objects with IR as other tools see them: linkers, archives, `objcopy`, and what a link loads."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from trimtab.wrapper.archives import BadArchive, archive_of_members, members
from trimtab.wrapper.clang import find_clang
from trimtab.wrapper.command import read_command
from trimtab.wrapper.main import main
from trimtab.wrapper.program import read_program, stubs, unfit
from trimtab.wrapper.scripts import files_named, placed_apart, read_script
from trimtab.wrapper.sections import Elf, carried_ir
from trimtab.wrapper.shims import write_shims
from trimtab.wrapper.trace import trace

ONE = "int two(int); int one(int x) { return two(x) + 1; }\n"
TWO = "int two(int x) { return x * 7; } int three(void) { return 3; }\n"
MAIN = "int one(int); int main(int c, char **v) { return one(c); }\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a name that needs care, with three objects and an archive of two."""
    place = tmp_path / "a b é"
    place.mkdir()
    monkeypatch.chdir(place)
    monkeypatch.setenv("TRIMTAB_CC_SECONDS", "0")
    for name, text in (("one", ONE), ("two", TWO), ("main", MAIN)):
        (place / f"{name}.c").write_text(text)
    assert main(["-Oz", "-c", "one.c", "two.c", "main.c", "-MD"], cxx=False) == 0
    files = [(f"{name}.o", (place / f"{name}.o").read_bytes()) for name in ("one", "two")]
    (place / "libboth.a").write_bytes(archive_of_members(files))
    return place


def test_several_sources_in_one_command_all_carry_ir(folder: Path) -> None:
    for name in ("one", "two", "main"):
        code = carried_ir((folder / f"{name}.o").read_bytes())
        assert code is not None
        assert code.startswith(b"BC")
        assert (folder / f"{name}.d").read_text().startswith(f"{name}.o: {name}.c")


def test_linkers_leave_the_ir_out(folder: Path) -> None:
    clang = find_clang(cxx=False)
    subprocess.run([*clang, "main.o", "libboth.a", "-o", "p"], check=True)
    assert not [n for n in Elf((folder / "p").read_bytes()).names if b"trim" in n]
    assert subprocess.run([folder / "p"], check=False).returncode == 8


@pytest.mark.skipif(shutil.which("objcopy") is None, reason="needs binutils")
def test_an_object_that_objcopy_changed_is_linked_as_it_is(folder: Path) -> None:
    plain = (folder / "one.o").read_bytes()
    subprocess.run(["objcopy", "--redefine-sym", "one=uno", "one.o"], check=True)
    assert carried_ir(plain) is not None
    assert carried_ir((folder / "one.o").read_bytes()) is None


@pytest.mark.skipif(shutil.which("ar") is None, reason="needs binutils")
@pytest.mark.parametrize("kind", ["rcs", "rcsT"])
def test_archives_of_ar_are_read_and_ours_are_read_by_ar(folder: Path, kind: str) -> None:
    long = folder / "a-name-of-more-than-sixteen-characters.o"
    shutil.copy(folder / "one.o", long)
    subprocess.run(["ar", kind, "lib.a", "one.o", "two.o", long.name], check=True)
    found = members(folder / "lib.a")
    assert [name for name, _ in found] == ["one.o", "two.o", long.name]
    assert found[0][1] == (folder / "one.o").read_bytes()
    (folder / "ours.a").write_bytes(archive_of_members(found))
    listed = subprocess.run(
        ["ar", "t", "ours.a"], capture_output=True, text=True, check=True
    ).stdout
    assert listed.split() == [name for name, _ in found]
    index = subprocess.run(
        ["nm", "-s", "ours.a"], capture_output=True, text=True, check=True
    )
    assert "three in two.o" in index.stdout


def test_a_damaged_archive_is_refused(folder: Path) -> None:
    (folder / "bad.a").write_bytes((folder / "libboth.a").read_bytes()[:-40])
    with pytest.raises(BadArchive, match="expected"):
        members(folder / "bad.a")


@pytest.mark.parametrize("linker", ["", "-fuse-ld=lld"])
def test_a_link_lists_members_of_archives(folder: Path, linker: str) -> None:
    words = [*filter(None, [linker]), "main.o", "-L.", "-lboth", "-o", "p"]
    clang = find_clang(cxx=False)
    if subprocess.run([*clang, *words], capture_output=True, check=False).returncode:
        pytest.skip("that linker is not installed")
    command = read_command(words, os.getcwd())
    loaded = trace(clang, command.words, folder)
    program = read_program(command, loaded, apart=(), hosted=True)
    assert len(program.units) == 3
    (archive,) = program.archives.values()
    assert archive.units == (0, 1)
    assert archive.rest == []
    assert (program.objects, program.given, program.shared) == ({"main.o"}, [], [])


def test_a_script_that_places_a_file_keeps_it_apart(folder: Path) -> None:
    (folder / "more.ld").write_text(
        ".data : { two.o(.data) *libx.a:y.o (.data) *(.data*) }\n"
    )
    (folder / "all.ld").write_text('GROUP(-lc -lgcc)\nSECTIONS { INCLUDE "more.ld" }\n')
    text = read_script(["-Wl,-T,all.ld", "-Wl,--defsym=heap=4K"], [])
    assert "GROUP" not in text
    assert text.rstrip().endswith("heap=4K;")
    named = files_named(text)
    assert placed_apart("build/two.o", named)
    assert placed_apart("lib/libx.a:y.o", named)
    assert not placed_apart("one.o", named)
    assert files_named("SECTIONS { .t : { KEEP(*(.v)) *(.text .text.*) } }") == []


def test_shared_libraries_become_stubs(folder: Path) -> None:
    clang = find_clang(cxx=False)
    (folder / "two.c").write_text("int two(int x) { return x; } int unused;\n")
    subprocess.run([*clang, "-shared", "-fPIC", "two.c", "-o", "libtwo.so"], check=True)
    words = ["main.o", "one.o", "-L.", "-ltwo", "-o", "p"]
    command = read_command(words, os.getcwd())
    program = read_program(command, trace(clang, words, folder), apart=(), hosted=True)
    assert [path.name for path in program.shared] == ["libtwo.so"]
    text = stubs(program)
    assert "two: .zero 4" in text
    assert "unused" not in text


@pytest.mark.parametrize(
    ("line", "option"),
    [
        ("-Wl,--wrap=malloc", "--wrap"),
        ("-Wl,--wrap,malloc", "--wrap"),
        ("-Wl,-z,muldefs", "muldefs"),
        ("-Wl,--defsym=a=1", "--defsym"),
        ("-Wl,-b,binary", "-b"),
        ("-Wl,--gc-sections -z now", ""),
    ],
)
def test_links_that_one_object_cannot_repeat_are_left(line: str, option: str) -> None:
    assert unfit(line.split(), scripted=False) == option


def test_a_compile_error_is_clangs(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "bad.c").write_text("int f( {\n")
    assert main(["-c", "bad.c"], cxx=False) == 1
    said = capfd.readouterr().err
    assert said.count("expected parameter declarator") == 1
    assert "trimtab" not in said


def test_shims_compile_without_the_environments_packages(folder: Path) -> None:
    assert write_shims("bin it's") == 0
    shim = folder / "bin it's" / "trimtab-cc"
    subprocess.run([shim, "-Oz", "-c", "one.c", "-o", "again.o"], check=True)
    again, first = ((folder / f"{n}.o").read_bytes() for n in ("again", "one"))
    assert carried_ir(again) == carried_ir(first)
