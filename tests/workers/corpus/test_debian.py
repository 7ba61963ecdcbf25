"""Modules of Debian packages: held-out packages stay apart, sources are fetched once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from solvers.llvm.types import Target
from tests.workers.corpus import toy
from workers.corpus import build, debian
from workers.corpus.packages import PACKAGES


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a corpus folder that has a package already."""
    files = {
        "include/toy.h": "int f0(int, int);\n",
        "src/good.c": '#include "toy.h"\n' + toy.functions(9),
        "src/tiny.c": "int one(void) { return 1; }\n",
        "src/broken.c": "int f(void) { return undeclared; }\n",
        "src/cxx.cc": "struct V { virtual ~V(); int n; }; V::~V() { n++; }\n"
        "int f(V &v) { return v.n; }\n",
        "tests.c": "int main(void) { return 0; }\n",
    }
    toy.unpacked(tmp_path, monkeypatch, files, pattern=r"src/\w+\.(c|cc)")
    return tmp_path


def test_files_that_compile_alone_become_modules(sources: Path) -> None:
    modules = list(debian.modules("toy", sources, Target()))
    assert [module.name for module in modules] == [
        "src/cxx.cc",
        "src/good.c",
        "src/tiny.c",
    ]
    assert all(module.bitcode.startswith(b"BC\xc0\xde") for module in modules)


def test_the_corpus_is_built_once(sources: Path) -> None:
    messages: list[str] = []
    for _ in range(2):
        build.build(sources, packages=("toy",), per_package=5, say=messages.append)
    (row,) = build.read(sources)
    assert (row["package"], row["name"], row["split"]) == ("toy", "src/good.c", "train")
    assert build.LEAST <= int(str(row["ir_instructions"])) <= build.MOST
    assert (sources / "modules" / f"{str(row['sha'])[:16]}.bc").is_file()
    assert sum("toy: 1 of 1" in line for line in messages) == 1, (
        "the second time nothing is compiled"
    )


def test_a_package_that_cannot_be_fetched_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian.shutil, "which", lambda name: None)
    messages: list[str] = []
    build.build(tmp_path, packages=("zlib",), per_package=5, say=messages.append)
    assert "zlib: left out: apt-get: not found" in messages[0]
    assert build.read(tmp_path) == []


def test_packages_of_the_splits_are_apart() -> None:
    splits = {package.split for package in PACKAGES.values()}
    assert splits == {"train", "val", "heldout"}
    assert sum(package.split == "val" for package in PACKAGES.values()) >= 3
    held = {name for name, package in PACKAGES.items() if package.split == "heldout"}
    assert held == {"lua5.4", "bzip2", "mbedtls", "jq", "cjson", "lz4"}
    assert all(re.compile(package.files) for package in PACKAGES.values())
