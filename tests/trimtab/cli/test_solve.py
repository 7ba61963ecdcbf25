"""`trimtab solve`: log, files and exit codes, without a server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

LP = b"Maximize\n o: 2 x + 3 y\nSubject To\n a: x + y <= 4\n b: x + 3 y <= 6\nEnd\n"


def trimtab(*words: str, folder: Path, stdin: bytes = b"") -> tuple[int, str, str]:
    """Run the command in `folder`; return exit code, standard output and standard error."""
    environment = {k: v for k, v in os.environ.items() if k != "TRIMTAB_URL"}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "trimtab.cli", "solve", *words],
        cwd=folder,
        env=environment,
        input=stdin,
        capture_output=True,
        check=False,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_a_model_is_solved_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "m.lp").write_bytes(LP)
    words = ("m.lp", "--time_limit", "60", "--duals", "d.json", "--log-file", "log")
    code, out, log = trimtab(*words, folder=tmp_path)
    assert (code, out) == (0, "m.sol\n")
    assert (tmp_path / "m.sol").read_text().startswith("=obj= 9\n")
    assert json.loads((tmp_path / "d.json").read_text())["duals"] == {"a": 1.5, "b": 0.5}
    assert "optimal; objective 9" in log
    assert (tmp_path / "log").read_text() == log


def test_standard_input_and_json(tmp_path: Path) -> None:
    infeasible = LP.replace(b"x + y <= 4", b"x + y <= -1")
    words = ("-", "--json", "--quiet", "--seconds", "60")
    code, out, log = trimtab(*words, folder=tmp_path, stdin=infeasible)
    answer = json.loads(out)
    assert (code, answer["reason"], answer["solution"]) == (1, "infeasible", None)
    assert log == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("absent.lp",), "expected a model file, got 'absent.lp'"),
        (("m.lp", "--engine", "cplex"), "engine: expected one of highs, scip, cp-sat"),
        (("m.lp", "--gap", "2"), "gap: expected a number in [0, 1], got 2.0"),
        (("m.lp", "--start", "none.sol"), "none.sol"),
    ],
)
def test_bad_arguments_are_usage_errors(
    tmp_path: Path, words: tuple[str, ...], expected: str
) -> None:
    (tmp_path / "m.lp").write_bytes(LP)
    code, _, err = trimtab(*words, folder=tmp_path)
    assert code == 2
    assert expected in " ".join(err.replace("│", " ").split())
