"""Compilation databases: per-file flags, paths of another machine, and hostile files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from search.domains.compile.parse.compilation_database import Database, read_database
from search.types import InvalidInput
from tests.search.domains.compile.test_domain import archive, refused, run
from trimtab.specs.common import ArtifactRef
from trimtab.specs.compile import Build, CompileSpec, Image, Run

FILES = ("src/a.c", "src/b.c", "lib/c.cpp", "include/api.h", "build/config.h", "start.S")
HOME = "/home/user/project"
ARCHIVE = ArtifactRef(digest="sha256:" + "0" * 64, name="program.tar.gz")


def row(file: str, words: str, folder: str = f"{HOME}/build") -> dict[str, Any]:
    return {"directory": folder, "file": file, "command": f"cc {words} -c {file}"}


def database(folder: Path, content: Any, files: tuple[str, ...] = FILES) -> Database:
    path = folder / "compile_commands.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_database(path, files)


def test_each_file_has_its_own_flags(tmp_path: Path) -> None:
    read = database(
        tmp_path,
        [
            row("../src/a.c", "-DNAME='a b' -I../include -I. -O2 -g -Wall -MD -MF a.d -o a.o"),
            row(f"{HOME}/src/b.c", "-D X=1 -isystem /usr/include/x -std=c99 -mcpu=cortex-m4"),
            {
                "directory": HOME,
                "file": "lib/c.cpp",
                "arguments": ["ccache", "g++", "-include", "include/api.h", "-fno-rtti",
                              "-c", "lib/c.cpp", "-o", "c.o"],
            },
            row("../start.S", "-DASM"),
        ],
    )  # fmt: skip
    assert read.flags == {
        "src/a.c": ("-DNAME=a b", "-I", "include", "-I", "build"),
        "src/b.c": ("-DX=1", "-std=c99"),
        "lib/c.cpp": ("-include", "include/api.h", "-fno-rtti"),
    }
    assert read.assembly == ("start.S",)
    left = " ".join(read.notes)
    assert "-O2, -mcpu=cortex-m4" in left
    assert "/usr/include/x" in left


def test_files_that_are_not_in_the_archive_are_reported(tmp_path: Path) -> None:
    rows = [row("../src/a.c", ""), row("generated.c", ""), row("/usr/src/x.c", "")]
    read = database(tmp_path, rows)
    assert list(read.flags) == ["src/a.c"]
    assert "generated.c" in read.notes[0]
    with pytest.raises(InvalidInput, match=r"expected commands for files of the archive"):
        database(tmp_path, rows[1:])


def test_paths_of_windows_are_found(tmp_path: Path) -> None:
    rows = [
        {
            "directory": "C:\\w\\p",
            "file": "src\\a.c",
            "arguments": ["cc", "-DA", "src\\a.c"],
        }
    ]
    assert database(tmp_path, rows).flags == {"src/a.c": ("-DA",)}


def test_abi_flags_are_of_the_whole_program(tmp_path: Path) -> None:
    same = [row(f"../src/{name}.c", "-mfloat-abi=hard -DQ") for name in "ab"]
    read = database(tmp_path, same)
    assert read.common == ("-mfloat-abi=hard",)
    assert read.flags["src/a.c"] == ("-DQ",)
    with pytest.raises(
        InvalidInput, match=r"same ABI flags .* -mfloat-abi=hard for src/a\.c"
    ):
        database(tmp_path, [same[0], row("../src/b.c", "-DQ")])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"compile_commands\.json is no JSON"),
        ("[" * 100_000, r"is no JSON"),
        ("[]", r"expected a list of commands"),
        ([3], r"build\.compile_commands\[0\]: expected an object, got int"),
        ([{"directory": "/", "file": "a.c"}], r"expected `arguments`, a list of words"),
        ([{"file": 3, "arguments": []}], r"expected texts `file` and `directory`"),
        ([{"file": "a.c", "command": "cc 'a.c"}], r"command: No closing quotation"),
        ([row("../src/a.c", "-fplugin=x.so")], r"\[0\]: '-fplugin=x\.so' is not among the flags"),
        ([row("../src/a.c", "@flags")], r"'@flags' is not among the flags"),
        ([row("../src/a.c", "-Xclang -load")], r"'-Xclang' is not among the flags"),
        ([row("../src/a.c", "")] * 2001, r"at most 2,000 commands, got 2,001"),
    ],
)  # fmt: skip
def test_what_is_no_database_is_refused(
    tmp_path: Path, content: Any, message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        database(tmp_path, content)


def test_a_program_is_built_by_its_database(tmp_path: Path) -> None:
    """Each unit sees its own macros and headers; a file outside the database is no part."""
    rows = [
        row("../src/a.c", "-DVALUE=3 -I../include -O2"),
        row("../src/b.c", "-DVALUE=4 -I../other"),
    ]
    text = "#include <api.h>\nint NAME(void) { return VALUE * FACTOR; }\n"
    files = {
        "src/a.c": "int b(void);\n"
        + text.replace("NAME", "a")
        + "int main(void) { return a() + b(); }\n",
        "src/b.c": text.replace("NAME", "b"),
        "src/spare.c": "#error not of the program\n",
        "include/api.h": "#define FACTOR 10\n",
        "other/api.h": "#define FACTOR 2\n",
        "build/compile_commands.json": json.dumps(rows),
    }
    build = Build(compile_commands="build/compile_commands.json")
    spec = CompileSpec(
        source=ARCHIVE,
        build=build,
        image=Image(plain_flags=False),
        runs=(Run(expected_exit=38),),
    )
    inputs = {"source": archive(tmp_path, files)}
    result = run(tmp_path, spec, inputs, evaluations=1, seconds=300.0).result
    assert result.verification.checks["runs_equal"] == "1 of 1"
    notes = result.summary["notes"]
    assert any(
        "left out, because other fields decide them: -O2" in note for note in notes
    )  # type: ignore[union-attr]
    sizes = {row["level"] for row in result.summary["sizes"]}  # type: ignore[union-attr, index]
    assert "gcc -Os, gc" in sizes or not Path("/usr/bin/gcc").exists()


def test_a_database_that_is_not_there_is_refused(tmp_path: Path) -> None:
    build = Build(compile_commands="compile_commands.json")
    spec = CompileSpec(source=ARCHIVE, build=build)
    inputs = {"source": archive(tmp_path, {"a.c": "int main(void) { return 0; }\n"})}
    assert "expected a file of the archive" in refused(tmp_path / "first", spec, inputs)
    alone = CompileSpec(source_text="int x;", language="c", build=build)
    assert "expected an archive that holds the file" in refused(
        tmp_path / "second", alone
    )
