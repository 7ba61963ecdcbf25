"""`trimtab-ampl`: options, messages and the .sol, and one model end to end."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from tests.trimtab.doors.conftest import NL
from trimtab.adapters.draft import Draft
from trimtab.doors import ampl
from trimtab.doors.ampl import main, message_and_code, write_sol
from trimtab.doors.answer import Answer
from trimtab.doors.drafts import DraftAnswer
from trimtab.doors.nl import NlModel, read_nl
from trimtab.results import Limit, Reason


def stub(folder: Path, text: str = NL) -> Path:
    path = folder / "small.nl"
    path.write_text(text)
    return path.with_suffix("")


def code_of(path: Path) -> int:
    line = next(
        line for line in path.read_text().splitlines() if line.startswith("objno")
    )
    return int(line.split()[-1])


def test_the_version_imports_nothing() -> None:
    code = "import sys; from trimtab.doors.ampl import main; main(['-v']); print(len([m for m in "
    code += "sys.modules if m.startswith(('pydantic', 'httpx2'))]))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [ampl.VERSION, "0"]


def test_a_model_from_nl_to_sol(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = stub(tmp_path)
    words = [str(path), "-AMPL", "seconds=60", "threads=1", "outlev=1", "wantsol=2"]
    assert main(words) == 0
    lines = path.with_suffix(".sol").read_text().splitlines()
    assert lines[0] == "trimtab: optimal solution; objective 17.5; bound 17.5"
    assert lines[1:7] == ["", "Options", "3", "1", "1", "0"]
    assert lines[7:11] == ["3", "0", "4", "4"], "a model with integers has no duals"
    assert [float(line) for line in lines[11:15]] == [3, 1, 0, -1]
    assert lines[15] == "objno 0 0"
    shown = capsys.readouterr().out
    assert "incumbent" in shown, "outlev=1 shows the log"
    assert "v0 3" in shown, "wantsol=2 prints the values"


def test_the_relaxation_has_duals_and_reduced_costs(tmp_path: Path) -> None:
    path = stub(tmp_path)
    assert main([str(path), "-AMPL", "relax=1", "start=0"]) == 0
    lines = path.with_suffix(".sol").read_text().splitlines()
    assert lines[7:11] == ["3", "3", "4", "4"]
    # max: a unit more of c0 is a unit of v1, worth 2; one of c2 is a unit of v3, worth 0.5
    assert [float(line) for line in lines[11:14]] == [2, 0, 0.5]
    assert lines[lines.index("rc") + 1] == "0 0.5", "v0 at its bound: 3 - 2 - 0.5"


def test_infeasible_or_unbounded_is_decided(tmp_path: Path) -> None:
    text = NL.replace("1 4.0", "3").replace("-1 6", "-1 1e30")
    path = stub(tmp_path, text)
    main([str(path), "-AMPL", "seconds=30"])
    assert code_of(path.with_suffix(".sol")) == 300


@pytest.mark.parametrize(
    "word", ["speed=9", "seconds=soon", "seconds=-1", "engine=fast", "gap", "seed=1.5"]
)
def test_a_bad_option_is_510(
    tmp_path: Path, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = stub(tmp_path)
    assert main([str(path), "-AMPL", word]) == 0
    assert code_of(path.with_suffix(".sol")) == 510
    assert "expected" in capsys.readouterr().err


def test_a_nonlinear_model_is_510_and_says_why(tmp_path: Path) -> None:
    path = stub(tmp_path, NL.replace(" 0 0 0 0	# nonl", " 1 0 0 0	# nonl"))
    assert main([str(path), "-AMPL"]) == 0
    assert code_of(path.with_suffix(".sol")) == 510
    assert "1 nonlinear constraints" in path.with_suffix(".sol").read_text()


def test_no_file_is_no_sol(tmp_path: Path) -> None:
    assert main([str(tmp_path / "absent"), "-AMPL"]) == 1
    assert list(tmp_path.iterdir()) == []


def test_options_of_the_environment_yield_to_the_command_line() -> None:
    environment = {
        "trimtab_options": "timelimit=5 engine='scip'",
        "trimtab-ampl_options": "mipgap=0.1",
    }
    chosen = ampl._options(["seconds=7"], environment)
    assert chosen == {"seconds": "7", "engine": "scip", "gap": "0.1"}


@pytest.mark.parametrize(
    ("reason", "limit", "code", "words"),
    [
        (Reason.OPTIMAL, None, 0, "optimal solution"),
        (Reason.FEASIBLE, Limit.TARGET_GAP, 0, "within the gap"),
        (Reason.FEASIBLE, Limit.TIME, 400, "time limit, feasible solution"),
        (Reason.FEASIBLE, Limit.STOPPED, 400, "stopped, feasible solution"),
        (Reason.NO_SOLUTION_FOUND, Limit.TIME, 470, "no solution found"),
        (Reason.INFEASIBLE, None, 200, "infeasible"),
        (Reason.UNBOUNDED, None, 300, "unbounded"),
        (Reason.INFEASIBLE_OR_UNBOUNDED, None, 500, "infeasible_or_unbounded"),
        (Reason.VERIFICATION_FAILED, None, 500, "verification_failed"),
    ],
)
def test_codes_of_the_protocol(
    reason: Reason, limit: Limit | None, code: int, words: str
) -> None:
    answer = Answer(reason=reason, limit=limit, objective=1.0)
    result = DraftAnswer(answer=answer, values=None, duals=None, reduced_costs=None)
    message, got = message_and_code(result)
    assert got == code
    assert words in message


def test_without_a_solution_the_sol_has_no_values(tmp_path: Path) -> None:
    model = read_nl(stub(tmp_path).with_suffix(".nl"))
    answer = Answer(reason=Reason.INFEASIBLE)
    result = DraftAnswer(answer=answer, values=None, duals=None, reduced_costs=None)
    file = io.StringIO()
    write_sol(file, model, result, message="m", code=200)
    assert file.getvalue().splitlines()[-5:] == ["3", "0", "4", "0", "objno 0 200"]


def test_a_model_without_variables_needs_no_run(tmp_path: Path) -> None:
    del tmp_path
    from trimtab.doors.answer import SolveOptions
    from trimtab.doors.drafts import solve_draft

    draft = Draft(source="test", offset=3, maximize=True)
    assert solve_draft(draft, SolveOptions()).answer.objective == 3
    draft.add_row("c", {}, 1, 2)
    assert solve_draft(draft, SolveOptions()).answer.reason is Reason.INFEASIBLE
    assert isinstance(NlModel(draft=draft, options=[3]), NlModel)
