"""Every training command in code, documents and the weights manifest exists.

Its options exist, too.
"""

from __future__ import annotations

import argparse
import importlib
import re
import subprocess
from pathlib import Path

import pytest

from cost_models.weights import manifest
from workers.train.__main__ import kinds, main

ROOT = Path(__file__).resolve().parents[3]
COMMAND = re.compile(
    r"python -m workers\.train ([a-z]+) ([a-z][a-z|-]+)((?: --?[a-z-]+| [^\s`#|&]+)*)"
)


def parser_of(kind: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = importlib.import_module(kinds()[kind]).parser()
    return parser


def steps_of(kind: str) -> dict[str, argparse.ArgumentParser]:
    (steps,) = (a for a in parser_of(kind)._actions if isinstance(a.choices, dict))
    return dict(steps.choices)


def mentioned() -> list[tuple[str, str, str, str]]:
    """Return (file, kind, step, options) of every command in the tracked text files."""
    files = subprocess.run(
        ["git", "ls-files", "*.py", "*.md", "*.toml", "Makefile"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    commands = []
    for file in files:
        if file == "CHANGELOG.md" or not (ROOT / file).is_file():
            continue
        for kind, step_names, options in COMMAND.findall((ROOT / file).read_text()):
            commands += [(file, kind, step, options) for step in step_names.split("|")]
    return commands


def test_kinds_are_the_folders_with_a_command_line() -> None:
    assert set(kinds()) == {
        file.parent.name for file in (ROOT / "workers/train").glob("*/cli.py")
    }
    assert set(kinds()) >= {"compile", "ilp", "sharding"}


def test_every_command_in_the_repository_names_a_step_and_its_options() -> None:
    commands = mentioned()
    assert len(commands) > 30
    for file, kind, step, options in commands:
        steps = steps_of(kind)
        assert step in steps, f"{file}: {kind} has no step {step!r}"
        for option in re.findall(r"(?<= )--[a-z-]+", options):
            assert option in steps[step]._option_string_actions, (
                f"{file}: {step} {option}"
            )


def test_no_other_training_command_line_is_mentioned() -> None:
    old = re.compile(r"python -m workers\.train\.")
    files = {file for file, *_ in mentioned()}
    assert not [file for file in files if old.search((ROOT / file).read_text())]


@pytest.mark.parametrize("name", sorted(manifest()))
def test_the_command_of_a_weights_file_parses(name: str) -> None:
    for command in str(manifest()[name]["command"]).split(" && "):
        words = command.split()
        assert words[:3] == ["python", "-m", "workers.train"]
        options = parser_of(words[3]).parse_args(words[4:])
        assert callable(options.run)


def test_an_unknown_kind_is_refused_with_the_list(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["poetry", "policy"]) == 2
    error = capsys.readouterr().err
    assert f"kind: expected one of {', '.join(kinds())}, got 'poetry'" in error
