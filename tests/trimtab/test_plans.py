"""The handle of a plan against the endpoints in memory: read, edit, answer, approve, report."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.doubles.plan_server import PLAN_ID, QUESTION, REPORT, URL, PlanServer, outline
from trimtab import AsyncClient, Client, Plan, _plan, _plan_aio
from trimtab.errors import Conflict, InvalidBody, JobAtRest, JobFailed, WaitTimeout
from trimtab.plans import Outline
from trimtab.results import JobState


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (_plan, _plan_aio):
        monkeypatch.setattr(module, "POLL_S", 0.0)


def client_of(server: PlanServer) -> Client:
    return Client(URL, api_key="k", transport=httpx2.MockTransport(server))


def plan_of(server: PlanServer) -> Plan:
    plan = client_of(server).job(PLAN_ID)
    assert isinstance(plan, Plan)
    return plan


def test_from_goal_to_report(tmp_path: Path) -> None:
    server = PlanServer("RUNNING", outline(questions={"q1": QUESTION}))
    server.script = ["RUNNING", "NEEDS_INPUT"]
    file = tmp_path / "model.mps"
    file.write_text("NAME x")
    client = client_of(server)
    plan = client.plan(server.outline["goal"], [file], seconds=30, seed=3)
    sent = server.submitted
    assert sent["kind"] == "plan"
    assert sent["budget"]["seconds"] == 30.0
    assert sent["spec"]["files"]["model.mps"]["size_bytes"] == 6
    assert sent["spec"]["approve"] == "manual"
    assert "POST /v1/artifacts" in server.calls

    assert isinstance(plan.outline, Outline)
    assert plan.view.state == "NEEDS_INPUT"
    with pytest.raises(ValueError, match="no open question, got q1"):
        plan.approve()
    with pytest.raises(ValueError, match=r"\(q1\), got 'q2'"):
        plan.answer({"q2": "8"})
    plan.answer({"q1": "8"})
    assert plan.outline.answers == {"q1": "8"}
    assert plan.view.state == "AWAITING_APPROVAL"

    plan.leaves["l2"].drop()
    plan.leaves["l1"].set("budget.seconds", 30.0)
    assert server.outline["leaves"]["l2"]["enabled"] is False
    assert server.outline["leaves"]["l1"]["budget"] == {"seconds": 30.0}
    plan.approve()
    assert plan.wait().state is JobState.SUCCEEDED
    assert list(plan.jobs) == ["l1"]
    assert plan.report == REPORT.decode()
    assert [path.name for path in plan.save(tmp_path / "out")] == ["report.md"]


def test_edits_name_what_exists_and_what_is_refused() -> None:
    server = PlanServer("AWAITING_APPROVAL", outline())
    leaf = plan_of(server).leaves["l1"]
    leaf.set("spec.time_share", 0.5)
    assert server.outline["leaves"]["l1"]["spec"]["time_share"] == 0.5
    leaf.remove("spec.engine")
    assert "engine" not in leaf.leaf.spec
    with pytest.raises(KeyError, match=r"spec\.lns: expected one of model"):
        leaf.set("spec.lns.enabled", False)
    with pytest.raises(KeyError, match="which has none there"):
        leaf.remove("spec.engine")
    before = server.revision
    with pytest.raises(InvalidBody, match="expected scip"):
        leaf.set("spec.engine", "gurobi")
    assert server.revision == before


def test_what_changed_meanwhile_is_a_conflict_until_it_is_read_again() -> None:
    server = PlanServer("AWAITING_APPROVAL", outline())
    mine, other = plan_of(server), plan_of(server)
    leaf = mine.leaves["l1"]
    other.leaves["l2"].drop()
    with pytest.raises(Conflict):
        leaf.drop()
    with pytest.raises(Conflict):
        mine.approve()
    assert mine.outline.leaves["l2"].enabled is False
    mine.approve()
    assert mine.state is JobState.WAITING


@pytest.mark.parametrize(
    ("state", "todo"), [("NEEDS_INPUT", "answer"), ("AWAITING_APPROVAL", "approve")]
)
def test_waiting_for_the_owner_is_said_at_once(state: str, todo: str) -> None:
    plan = plan_of(PlanServer(state, outline()))
    for call in (plan.wait, plan.result):
        with pytest.raises(
            JobAtRest, match=rf"\({state}\): .*{todo} .*{URL}/jobs/{PLAN_ID}"
        ):
            call()
    with pytest.raises(WaitTimeout):
        plan.wait(0.01, through_rest=True)


def test_a_goal_that_cannot_be_planned_raises_its_reason() -> None:
    plan = plan_of(PlanServer("FAILED", outline()))
    with pytest.raises(JobFailed, match="invalid_input nothing can be done"):
        _ = plan.outline


def test_an_outline_that_does_not_come_times_out() -> None:
    plan = plan_of(PlanServer("RUNNING", outline()))
    with pytest.raises(WaitTimeout):
        plan.read(timeout_s=0.01)


def test_names_of_files(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "t.csv").write_text(folder)
    server = PlanServer("QUEUED", outline())
    client = client_of(server)
    same: list[Any] = [tmp_path / "a/t.csv", tmp_path / "b/t.csv"]
    with pytest.raises(ValueError, match=r"two of 't\.csv'"):
        client.plan("Do it", same)
    stored = client.upload(same[0])
    client.plan("Do it", {"old.csv": same[0], "new.csv": same[1], "kept.csv": stored})
    assert list(server.submitted["spec"]["files"]) == ["old.csv", "new.csv", "kept.csv"]


def test_the_asyncio_handle_does_the_same() -> None:
    server = PlanServer("AWAITING_APPROVAL", outline())

    async def go() -> str:
        transport = httpx2.MockTransport(server)
        async with AsyncClient(URL, api_key="k", transport=transport) as client:
            plan = await client.plan("Do it", approve="auto")
            leaves = await plan.leaves()
            await leaves["l2"].drop()
            assert "dropped" in await plan.text()
            await plan.approve()
            await plan.wait()
            return await plan.report()

    assert asyncio.run(go()) == REPORT.decode()
    assert server.submitted["spec"]["approve"] == "auto"


def test_a_notebook_shows_the_outline_without_running_its_text() -> None:
    made = outline(goal="<script>alert(1)</script>")
    made["leaves"]["l1"]["title"] = "<img src=x onerror=alert(1)>"
    plan = plan_of(PlanServer("AWAITING_APPROVAL", made))
    assert "NEEDS" not in plan._repr_html_()
    plan.read()
    shown = plan._repr_html_()
    assert "<script" not in shown
    assert "<img" not in shown
    assert "budget.seconds" in shown
