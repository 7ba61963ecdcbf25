"""Benchmarks by URI: files, sources and generators."""

from __future__ import annotations

from pathlib import Path

import pytest

from solvers.llvm.engine import Engine
from solvers.llvm.environment.benchmarks import Sources, load
from solvers.llvm.execute import RunCase
from solvers.llvm.frontend import SourceError
from solvers.llvm.types import Target
from tests.solvers.llvm.environment.modules import LOOP


def generate(seed: int, folder: Path) -> Sources:
    (folder / "a.c").write_text(f"int a(void) {{ return {seed}; }}")
    (folder / "b.c").write_text("int a(void); int b(void) { return a(); }")
    return Sources(files=(folder / "a.c", folder / "b.c"), runs=(RunCase(),))


def test_a_path_and_its_uri_are_the_same_benchmark(tmp_path: Path) -> None:
    path = tmp_path / "a b.ll"
    path.write_bytes(LOOP)
    by_path, by_uri = load(path, target=Target()), load(path.as_uri(), target=Target())
    assert by_path == by_uri
    assert by_path.module == LOOP
    assert "%20" in by_path.uri


def test_a_generated_program_is_linked_to_one_module() -> None:
    made = load("generator://own/17", target=Target(), generators={"own": generate})
    assert made.uri == "generator://own/17"
    assert made.runs == (RunCase(),)
    with Engine(made.module) as engine:
        assert set(engine.info.functions) == {"a", "b"}
    other = load("generator://own/18", target=Target(), generators={"own": generate})
    assert other.module != made.module


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("benchmark://cbench-v1/qsort", "got 'benchmark'"),
        ("generator://other/1", "expected one of own, got 'other'"),
        ("generator://own/-1", "expected a whole number of at least 0, got '-1'"),
    ],
)
def test_unknown_uris_are_refused(uri: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load(uri, target=Target(), generators={"own": generate})


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.rs").touch()
    with pytest.raises(ValueError, match=r"got '\.rs'"):
        load(tmp_path / "a.rs", target=Target())
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "b.ll", target=Target())


def test_a_generator_without_files_is_refused() -> None:
    def empty(seed: int, folder: Path) -> Sources:
        return Sources(files=())

    with pytest.raises(SourceError, match="sources: expected 1 to"):
        load("generator://own/1", target=Target(), generators={"own": empty})
