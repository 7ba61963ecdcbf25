"""`trimtab plan`, `outline`, `answer` and `approve` against the endpoints in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from typer.testing import CliRunner, Result

from tests.doubles.plan_server import PLAN_ID, QUESTION, REPORT, URL, PlanServer, outline
from trimtab import _plan
from trimtab.cli import app, following, live, live_plan, plans
from trimtab.client import Client
from trimtab.errors import JobAtRest

Run = Callable[..., Result]


@pytest.fixture
def server() -> PlanServer:
    return PlanServer("AWAITING_APPROVAL", outline())


@pytest.fixture
def run(server: PlanServer, monkeypatch: pytest.MonkeyPatch) -> Run:
    def connect() -> Client:
        return Client(URL, api_key="k", transport=httpx2.MockTransport(server))

    monkeypatch.setattr(plans, "connect", connect)
    monkeypatch.setattr(following, "connect", connect)
    monkeypatch.setattr(_plan, "POLL_S", 0.0)
    monkeypatch.setattr(live_plan, "LOOK_S", 0.01)

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(app.app, list(arguments))

    return call


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Lines that a person types; every one must be asked for."""
    lines: list[str] = []
    monkeypatch.setattr(plans, "on_terminal", lambda: True)
    monkeypatch.setattr("builtins.input", lambda: lines.pop(0))
    yield lines
    assert lines == []


def test_without_a_terminal_it_shows_the_outline_and_leaves(run: Run) -> None:
    done = run("plan", "Solve it")
    assert done.exit_code == live.AT_REST == 10
    for text in (
        "Solve model.mps",
        'spec.engine     scip       "SCIP"',
        "default: no time is given",
        "after l1\n",
        'Not understood: "zorp"',
        '"mail me": no mail is sent',
        "about 65 s, 9 in 10 within 3 min (2 workers)",
        "nothing left this machine",
    ):
        assert text in done.stdout, text
    assert f"approve: trimtab approve {PLAN_ID}" in done.stderr


def test_yes_runs_it_and_prints_the_report(
    run: Run, server: PlanServer, tmp_path: Path
) -> None:
    done = run("plan", "Solve it", "--yes", "--to", str(tmp_path / "new"))
    assert done.exit_code == 0, done.output
    assert (tmp_path / "new" / "report.md").read_bytes() == REPORT
    assert f"page: {URL}/jobs/{PLAN_ID}" in done.stderr
    for text in ("l1      RUNNING", "l2      SUCCEEDED", "plan    SUCCEEDED"):
        assert text in done.stderr
    assert "POST /v1/jobs/" + PLAN_ID + "/outline/approve" in server.calls


@pytest.mark.parametrize("flags", [[], ["--yes"]])
def test_an_open_question_is_never_answered_by_itself(
    run: Run, server: PlanServer, flags: list[str]
) -> None:
    server.outline["questions"] = {"q1": QUESTION}
    server.state = "NEEDS_INPUT"
    done = run("plan", "Solve it", *flags)
    assert done.exit_code == 10
    assert "8 / 16 / other text" in done.stdout
    assert f"trimtab answer {PLAN_ID} q1=..." in done.stderr
    assert run("approve", PLAN_ID).exit_code == 2


def test_answers_may_be_given_beforehand(run: Run, server: PlanServer) -> None:
    server.outline["questions"] = {"q1": QUESTION}
    server.state = "NEEDS_INPUT"
    done = run("plan", "Solve it", "--yes", "--answer", "q1=8")
    assert done.exit_code == 0, done.output
    assert server.outline["answers"] == {"q1": "8"}


def test_a_person_answers_edits_and_approves(
    run: Run, server: PlanServer, typed: list[str]
) -> None:
    server.outline["questions"] = {"q1": QUESTION}
    server.state = "NEEDS_INPUT"
    typed += ["2", "what", "drop l9", "drop l2", "set l1.budget.seconds 30"]
    typed += ["set l1.spec.engine gurobi", "y"]
    done = run("plan", "Solve it")
    assert done.exit_code == 0, done.output
    assert server.outline["answers"] == {"q1": "16"}
    assert list(server.jobs) == ["l1"]
    assert server.outline["leaves"]["l1"]["budget"]["seconds"] == 30
    assert "expected one of l1, l2, got 'l9'" in done.stderr
    assert "expected scip, got 'gurobi'" in done.stderr


def test_a_person_says_no(run: Run, server: PlanServer, typed: list[str]) -> None:
    typed += [""]
    assert run("plan", "Solve it").exit_code == 10
    assert server.jobs == {}


def test_json_is_one_document(run: Run, server: PlanServer) -> None:
    rested = json.loads(run("plan", "Solve it", "--json").stdout)
    assert rested["revision"] == 1
    assert rested["outline"]["leaves"]["l1"]["kind"] == "ilp"
    ended = json.loads(run("plan", "Solve it", "--json", "--yes").stdout)
    assert ended["job"]["state"] == "SUCCEEDED"
    assert ended["report"] == REPORT.decode()
    assert set(ended["outline"]["jobs"]) == {"l1", "l2"}


def test_outline_shows_and_edits(run: Run, server: PlanServer, tmp_path: Path) -> None:
    patch = tmp_path / "patch.json"
    path = "/leaves/l1/budget/seconds"
    patch.write_text(json.dumps([{"op": "replace", "path": path, "value": 9.0}]))
    done = run("outline", PLAN_ID, "--edit", str(patch))
    assert done.exit_code == 0, done.output
    assert "budget.seconds  9" in done.stdout
    assert "revision 2: AWAITING_APPROVAL" in done.stderr
    assert json.loads(run("outline", PLAN_ID, "--json").stdout)["revision"] == 2
    patch.write_text("{}")
    assert run("outline", PLAN_ID, "--edit", str(patch)).exit_code == 2


def test_answer_and_approve(run: Run, server: PlanServer) -> None:
    server.outline["questions"] = {"q1": QUESTION}
    server.state = "NEEDS_INPUT"
    assert run("answer", PLAN_ID, "q1").exit_code == 2
    done = run("answer", PLAN_ID, "q1=8")
    assert "answered: 8" in done.stdout
    old = run("approve", PLAN_ID, "--digest", "sha256:0")
    assert (old.exit_code, server.jobs) == (2, {})
    assert run("approve", PLAN_ID, "--digest", server.digest, "--watch").exit_code == 0


def test_a_goal_that_cannot_be_planned(run: Run, server: PlanServer) -> None:
    server.state = "FAILED"
    done = run("plan", "Poem, please", "--yes")
    assert done.exit_code == 1
    assert "invalid_input: nothing can be done" in done.stderr


def test_watch_ends_where_its_owner_is_needed(run: Run) -> None:
    done = run("watch", PLAN_ID)
    assert "plan    AWAITING_APPROVAL" in done.stderr
    assert isinstance(done.exception, JobAtRest)
