"""Build of the native library: cache, concurrency, and machines without a compiler."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from cuda.kernels.native import build
from cuda.kernels.native.build import (
    built_library,
    cache_folder,
    installed_compilers,
    tiers,
)

FAKE = """#!/bin/sh
# Counts its calls and writes an empty file where the compiler would.
echo run >> "$(dirname "$0")/calls"
while [ "$1" != "-o" ]; do shift; done
: > "$2"
"""


@pytest.fixture
def fake(tmp_path: Path) -> tuple[str, ...]:
    path = tmp_path / "fake-cc"
    path.write_text(FAKE)
    path.chmod(0o755)
    return (str(path),)


def test_a_library_is_built_once_under_concurrency(
    tmp_path: Path, fake: tuple[str, ...]
) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    paths: list[Path] = []
    threads = [
        threading.Thread(
            target=lambda: paths.append(built_library(folder=folder, compilers=[fake]))
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(paths)) == 1
    runs = (tmp_path / "calls").read_text().count("run")
    assert (
        runs == len(tiers(os.uname().machine)) + 2
    )  # tiers, the dispatcher, and the linker
    assert [path.suffix for path in folder.iterdir() if path.is_dir()] == []


def test_another_compilers_library_serves_without_a_compiler(
    tmp_path: Path, fake: tuple[str, ...]
) -> None:
    built = built_library(folder=tmp_path, compilers=[fake])
    assert built_library(folder=tmp_path, compilers=[]) == built
    assert built_library(folder=tmp_path, compilers=[("false",)]) == built


def test_without_compiler_and_library_the_error_says_what_to_install(
    tmp_path: Path,
) -> None:
    with pytest.raises(OSError, match="none is installed; install g"):
        built_library(folder=tmp_path, compilers=[])
    with pytest.raises(OSError, match=r"tried false.*; /no/such: "):
        built_library(folder=tmp_path, compilers=[("false",), ("/no/such",)])


def test_a_failed_build_leaves_nothing_to_load(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no C"):
        built_library(folder=tmp_path, compilers=[("false",)])
    assert list(tmp_path.glob("*.so")) == []


def test_a_folder_that_others_may_write_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared, private = tmp_path / "shared", tmp_path / "private"
    (shared / "trimtab").mkdir(parents=True)
    (shared / "trimtab").chmod(0o777)
    monkeypatch.setenv("TRIMTAB_CACHE", str(shared))
    monkeypatch.setenv("XDG_CACHE_HOME", str(private))
    assert cache_folder() == private / "trimtab"
    monkeypatch.setenv("XDG_CACHE_HOME", str(shared))
    monkeypatch.setenv("HOME", "/proc/none")
    with pytest.raises(OSError, match="none"):
        cache_folder()


def test_no_flag_names_the_building_machine() -> None:
    flags = [*build.FLAGS, *(flag for tier in tiers("x86_64").values() for flag in tier)]
    assert not any("native" in flag for flag in flags)
    assert not any(flag == "-ffast-math" for flag in flags)
    assert list(tiers("aarch64").values()) == [()]
    assert "-mcpu=baseline" in installed_compilers()[-1]
