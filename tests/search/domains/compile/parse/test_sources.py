"""Sources of an upload: the language, the files of an archive, and the build options."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from search.domains.compile.parse.sources import listed, read_sources
from search.types import InvalidInput
from tests.search.domains.compile.test_domain import REFERENCE, archive
from trimtab.specs.compile import Build, CompileSpec

TREE = {
    "p/src/a.c": "int a;",
    "p/src/b.cpp": "int b;",
    "p/src/test_a.c": "int t;",
    "p/include/a.h": "",
    "p/extra.ll": "",
}


def files(folder: Path, **build: Any) -> list[str]:
    """Return the names that an archive of TREE compiles to."""
    path = archive(folder, TREE)
    spec = CompileSpec(
        source=REFERENCE.model_copy(update={"name": path.name}), build=Build(**build)
    )
    return [name for name, _ in read_sources(spec, {"source": path}, folder).files]


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        ({}, ["src/a.c", "src/b.cpp", "src/test_a.c"]),
        ({"exclude": ("**/test_*",)}, ["src/a.c", "src/b.cpp"]),
        ({"files": ("src/a.c",)}, ["src/a.c"]),
        ({"files": ("p/src/*.cpp", "src/*")}, ["src/b.cpp", "src/a.c", "src/test_a.c"]),
        ({"files": ("extra.ll",)}, ["extra.ll"]),
    ],
)
def test_files_are_chosen_by_patterns(
    tmp_path: Path, build: dict[str, Sequence[str]], expected: list[str]
) -> None:
    assert files(tmp_path, **build) == expected


@pytest.mark.parametrize(
    ("build", "message"),
    [
        ({"files": ("nothing.c",)}, "matches none of the 5 files"),
        ({"files": ("include/a.h",)}, r"expected sources .* got 'include/a.h'"),
        ({"exclude": ("**",)}, "expected at least one source"),
        (
            {"include": ("headers",)},
            "build.include: expected a folder of the program, got 'headers'",
        ),
    ],
)
def test_patterns_without_a_source_are_refused(
    tmp_path: Path, build: dict[str, Sequence[str]], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        files(tmp_path, **build)


@pytest.mark.parametrize(
    ("name", "content", "suffix"),
    [
        ("x.cc", b"int x;", ".cpp"),
        ("x.txt", b"int x;", ".c"),
        ("x.txt", b"; a comment\ndefine void @f() {", ".ll"),
        ("x.c", b"BC\xc0\xde", ".bc"),
    ],
)
def test_the_language_is_that_of_the_suffix_or_the_content(
    tmp_path: Path, name: str, content: bytes, suffix: str
) -> None:
    path = tmp_path / "upload"
    path.write_bytes(content)
    spec = CompileSpec(source=REFERENCE.model_copy(update={"name": name}))
    ((shown, copy),) = read_sources(spec, {"source": path}, tmp_path).files
    assert shown == name
    assert copy.suffix == suffix
    assert copy.read_bytes() == content


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "upload").touch()
    with pytest.raises(InvalidInput, match="the file is empty"):
        read_sources(
            CompileSpec(source=REFERENCE), {"source": tmp_path / "upload"}, tmp_path
        )


def test_long_lists_are_shortened() -> None:
    assert listed(["a.c", "b.c"]) == "a.c, b.c"
    assert listed([f"{i}.c" for i in range(7)]).endswith("4.c and 2 more")
