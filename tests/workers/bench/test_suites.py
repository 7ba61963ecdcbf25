"""Suites are the folders of workers/bench that have a command line."""

from __future__ import annotations

from pathlib import Path

import pytest

import workers.bench
from workers.bench import __main__ as bench

FOLDER = Path(bench.__file__).parent


def test_suites_are_the_folders_with_a_command_line() -> None:
    assert set(bench.suites()) == {file.parent.name for file in FOLDER.glob("*/cli.py")}
    assert {"compile", "ilp", "service", "sharding"} <= set(bench.suites())


def test_a_new_folder_is_a_suite_without_an_edit_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "throwaway_kind"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "cli.py").write_text(
        '"""Measure a kind."""\n\n\ndef main(argv):\n    print("measured", *argv)\n    return 0\n'
    )
    monkeypatch.setattr(
        workers.bench, "__path__", [*workers.bench.__path__, str(tmp_path)]
    )
    assert "throwaway_kind" in bench.suites()
    assert "Measure a kind." in bench.usage()
    assert bench.main(["throwaway_kind", "--seed", "1"]) == 0
    assert capsys.readouterr().out == "measured --seed 1\n"


def test_all_runs_the_published_suites_with_the_options(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs: list[tuple[str, list[str]]] = []

    def load(suite: str) -> object:
        return lambda argv: runs.append((suite, argv)) or 0

    monkeypatch.setattr(bench, "load", load)
    assert bench.main(["all", "--seed", "3"]) == 0
    assert ("sharding", ["quality", "--seed", "3"]) in runs
    assert ("ilp", ["--seed", "3"]) in runs
    assert not [suite for suite, _ in runs if suite in ("fuzz", "tables")]


def test_an_unknown_suite_is_refused_with_the_list(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert bench.main(["no-such"]) == 2
    assert "got 'no-such'" in capsys.readouterr().err
