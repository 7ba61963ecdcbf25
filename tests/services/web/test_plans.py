"""The page of a plan without scripts: read, edit, drop, answer, approve, report; as the worker."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.plans.outlines import memo_of, read_outline
from services.store.types import Completion, NewJob
from tests.doubles.plan_server import QUESTION, outline
from tests.services.web.conftest import EVIL, Reader
from tests.services.web.html import Page
from trimtab.results import JobState

MODEL = "Minimize\n obj: x\nSubject To\n c: x >= 1\nEnd\n"
TERMINATION = {"reason": "completed", "limit": None, "detail": ""}


def made(**more: Any) -> dict[str, Any]:
    """Return an outline whose leaves need no uploaded file."""
    document = outline(**more)
    for leaf in document["leaves"].values():
        leaf["spec"].pop("model", None)
        leaf["spec"] |= {"model_text": MODEL, "format": "lp"}
        leaf.get("spans", {}).pop("spec.model", None)
    return document


def rested(reader: Reader, document: dict[str, Any]) -> str:
    """Act as a worker whose run rests with an outline; returns the plan's id."""
    spec = {"goal": document["goal"], "files": {}}

    async def act() -> str:
        new = NewJob(
            tenant="default", kind="plan", spec=spec, budget={"seconds": 5.0}, seed=0
        )
        submitted = await reader.store.submit(new)
        await hold(reader, document)
        return submitted.job.id

    return str(reader.do(act()))


async def hold(reader: Reader, document: dict[str, Any]) -> None:
    (claim,) = await reader.store.claim("w", kinds=["plan"], lease_s=30)
    body = {"outline": document}
    open_ = set(document.get("questions", {})) - set(document.get("answers", {}))
    completion = Completion(
        verb="hold",
        termination=TERMINATION,
        outcome="rested",
        memo=memo_of(body, read_outline(body)),
        asks=bool(open_),
    )
    await reader.store.complete(claim.job.id, claim.fence, completion)


def state(reader: Reader, plan: str) -> JobState:
    job = reader.do(reader.store.get(plan))
    return JobState(job.state)


def leaf_form(page: Page, plan: str, leaf: str) -> list[tuple[str, str]]:
    return page.form(f"/jobs/{plan}/outline/leaves/{leaf}").fill()


def changed(answers: list[tuple[str, str]], **more: str) -> list[tuple[str, str]]:
    given = {key.replace("__", "."): text for key, text in more.items()}
    return [(name, text) for name, text in answers if name not in given] + list(
        given.items()
    )


def test_the_page_accounts_for_every_word(reader: Reader) -> None:
    plan = rested(reader, made(reader="rules; the learned reader differs"))
    page = reader.get(f"/jobs/{plan}")
    for words in (
        "Read by: rules; the learned reader differs.",
        "Awaiting approval",
        "Nothing runs until you approve",
        "Understood: Solve model.mps, then again with HiGHS.",
        "Not understood zorp",
        "No mail is sent; set a webhook.",
        "HiGHS is used where SCIP is not named.",
        "default no time is given",
        "After l1 .",
        "about 60 s, 9 in 10 within 2 min (past runs)",
        "Proposed by template ilp.solve",
        "language model 2",
        "nothing left this machine",
        "You approve revision 1",
    ):
        assert words in page.text, words
    links = {a["href"]: a for tag, a in page.tags if tag == "a" and "href" in a}
    assert links["#v-l1-budget-seconds"]["title"] == "l1: budget.seconds = 120"
    assert links["#v-l1-spec-engine"]["class"] == "used"
    for href in links:
        if href.startswith("#") and href != "#main":
            assert href[1:] in page.ids, href
    assert len(page.ids) == len(set(page.ids))


def test_hostile_text_stays_text(reader: Reader) -> None:
    document = made(goal=EVIL + " zorp", understood=EVIL, notes=[EVIL], not_understood=[])
    document |= {
        "not_done": [{"text": EVIL, "reason": EVIL}],
        "goals": {"g1": {"title": EVIL}},
    }
    for leaf in document["leaves"].values():
        leaf |= {"title": EVIL, "defaults": {"spec.engine": EVIL}, "spans": {}}
        leaf["spec"]["model_text"] = EVIL
    page = reader.get(f"/jobs/{rested(reader, document)}")
    assert "alert('x')" in page.text
    assert not any(tag == "script" and "src" not in a for tag, a in page.tags)


def test_values_are_edited_by_a_form(reader: Reader) -> None:
    plan = rested(reader, made())
    answers = leaf_form(reader.get(f"/jobs/{plan}"), plan, "l1")
    edit = f"/jobs/{plan}/outline/leaves/l1"
    done = reader.post(
        edit, changed(answers, **{"v:budget__seconds": "30", "action": "save"})
    )
    assert done.headers["location"] == f"/jobs/{plan}#leaf-l1"
    page = reader.get(f"/jobs/{plan}")
    assert dict(leaf_form(page, plan, "l1"))["v:budget.seconds"] == "30"
    assert "You approve revision 2" in page.text
    # The same form again is of an older revision.
    old = reader.post(
        edit, changed(answers, **{"v:budget__seconds": "9", "action": "save"})
    )
    assert old.status_code == 409
    assert "Nothing was changed" in Page(old.text).text
    untouched = reader.post(edit, changed(answers, action="save"))
    assert untouched.status_code in (303, 409)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"v:budget__seconds": "soon"}, "Budget seconds: expected a number, got soon"),
        ({"v:budget__seconds": "-4"}, "budget"),
        ({"v:spec__engine": "gurobi"}, "Engine: expected one of"),
        ({"action": "json", "request": "{"}, "Request: expected JSON"),
        ({"action": "json", "request": '{"spec": {"nope": 1}}'}, "nope"),
    ],
)
def test_a_refused_edit_is_shown_beside_its_leaf(
    reader: Reader, typed: dict[str, str], said: str
) -> None:
    plan = rested(reader, made())
    answers = leaf_form(reader.get(f"/jobs/{plan}"), plan, "l1")
    answer = reader.post(
        f"/jobs/{plan}/outline/leaves/l1", changed(answers, **{"action": "save"} | typed)
    )
    assert answer.status_code == 422, answer.text
    page = Page(answer.text)
    assert said.lower() in page.text.lower()
    shown = dict(leaf_form(page, plan, "l1"))
    for name, text in typed.items():
        if name != "action" and name != "v:spec__engine":
            assert shown[name.replace("__", ".")] == text
    assert "You approve revision 1" in page.text


def test_a_dropped_job_takes_along_those_that_need_it(reader: Reader) -> None:
    plan = rested(reader, made())
    edit = f"/jobs/{plan}/outline/leaves/l1"
    answers = leaf_form(reader.get(f"/jobs/{plan}"), plan, "l1")
    reader.post(edit, changed(answers, action="drop"))
    page = reader.get(f"/jobs/{plan}")
    assert "Does not run: it needs a dropped job" in page.text
    assert "Every job is dropped" in page.text
    assert all(not form.action.endswith("/approve") for form in page.forms)
    reader.post(edit, changed(leaf_form(page, plan, "l1"), action="restore"))
    assert "2 jobs" in reader.get(f"/jobs/{plan}").text


def test_the_whole_request_can_be_given_as_json(reader: Reader) -> None:
    plan = rested(reader, made())
    answers = dict(leaf_form(reader.get(f"/jobs/{plan}"), plan, "l1"))
    request = json.loads(answers["request"])
    request["spec"]["engine"] = "highs"
    request["seed"] = 5
    sent = answers | {"action": "json", "request": json.dumps(request)}
    assert (
        reader.post(f"/jobs/{plan}/outline/leaves/l1", list(sent.items())).status_code
        == 303
    )
    after = json.loads(
        dict(leaf_form(reader.get(f"/jobs/{plan}"), plan, "l1"))["request"]
    )
    assert (after["spec"]["engine"], after["seed"]) == ("highs", 5)


def test_a_question_is_answered_once(reader: Reader) -> None:
    question = QUESTION | {"spans": [{"start": 0, "end": 5}]}
    plan = rested(reader, made(questions={"q1": question}))
    page = reader.get(f"/jobs/{plan}")
    assert "Needs input" in page.text
    assert "about Solve" in page.text
    assert "#question-q1" in page.hrefs
    # An answer would undo edits: none is offered.
    assert not any("/leaves/" in form.action for form in page.forms)
    form = page.form(f"/jobs/{plan}/outline/answers")
    empty = [pair for pair in form.values if not pair[0].startswith("choice:")]
    assert reader.post(form.action, empty).status_code == 422
    assert state(reader, plan) is JobState.NEEDS_INPUT
    other = changed(form.values, **{"text:q1": "12"})
    assert reader.post(form.action, other).status_code == 303
    assert state(reader, plan).value == "QUEUED"
    memo = reader.do(reader.store.memo(plan))
    assert memo.body["outline"]["answers"] == {"q1": "12"}
    assert reader.post(form.action, other).status_code == 409


def test_what_the_page_showed_is_approved(reader: Reader) -> None:
    plan = rested(reader, made())
    page = reader.get(f"/jobs/{plan}")
    approve = page.form(f"/jobs/{plan}/outline/approve")
    reader.post(
        f"/jobs/{plan}/outline/leaves/l2",
        changed(leaf_form(page, plan, "l2"), action="drop"),
    )
    old = reader.post(approve.action, approve.values)
    assert old.status_code == 409
    assert state(reader, plan) is JobState.AWAITING_APPROVAL
    newest = Page(old.text).form(f"/jobs/{plan}/outline/approve")
    assert reader.post(newest.action, newest.values).status_code == 303
    assert state(reader, plan).value == "WAITING"
    page = reader.get(f"/jobs/{plan}")
    assert "0 of 1 jobs ended" in page.text
    assert "Stop and report" in page.text
    (job,) = [
        href for href in page.hrefs if href.startswith("/jobs/job_") and plan not in href
    ]
    assert f"Part of plan {plan}" in reader.get(job).text
    # A double click changes nothing.
    assert reader.post(newest.action, newest.values).status_code == 303


def test_the_report_is_framed_under_a_policy_of_its_own(reader: Reader) -> None:
    document = made()
    document["leaves"] = {"l1": document["leaves"]["l1"]}
    document["edges"] = {}
    plan = rested(reader, document)
    approve = reader.get(f"/jobs/{plan}").form(f"/jobs/{plan}/outline/approve")
    reader.post(approve.action, approve.values)
    reader.complete(reader.claim())
    assert state(reader, plan) is JobState.QUEUED
    assert "Writing the report" in reader.get(f"/jobs/{plan}").text
    text = "<!doctype html><script>alert(1)</script><h1>Report</h1>"
    headers = {"authorization": f"Bearer {reader.key}"}
    stored = reader.client.post(
        "/v1/artifacts?name=report.html",
        content=text,
        headers=headers | {"content-type": "application/octet-stream"},
    ).json()

    async def end() -> None:
        (claim,) = await reader.store.claim("w", kinds=["plan"], lease_s=30)
        completion = Completion(
            verb="succeed",
            termination=TERMINATION,
            outcome="result",
            result={"artifacts": {"report.html": stored, "report.md": stored}},
        )
        await reader.store.complete(claim.job.id, claim.fence, completion)

    assert reader.client.get(f"/jobs/{plan}/report").status_code == 409
    reader.do(end())
    page = reader.get(f"/jobs/{plan}")
    (frame,) = [a for tag, a in page.tags if tag == "iframe"]
    assert frame["src"] == f"/jobs/{plan}/report"
    assert "allow-scripts" not in frame["sandbox"]
    assert "report.md" in page.links
    report = reader.client.get(f"/jobs/{plan}/report")
    assert report.text == text
    assert report.headers["content-type"].startswith("text/html")
    policy = report.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "frame-ancestors 'self'" in policy
    assert "sandbox" in policy
    assert "allow-scripts" not in policy
    probe = reader.submit()
    job = reader.claim()
    reader.complete(job, result={"artifacts": {}})
    assert reader.client.get(f"/jobs/{probe}/report").status_code == 404


def test_the_list_counts_those_that_wait_for_their_owner(reader: Reader) -> None:
    rested(reader, made())
    rested(reader, made(questions={"q1": QUESTION}))
    page = reader.get("/")
    assert "Needs input 1" in page.text
    assert "Awaiting approval 1" in page.text
    assert "/?state=NEEDS_INPUT" in page.hrefs
    assert "Awaiting approval" in reader.get("/?state=AWAITING_APPROVAL").text


def test_a_goal_that_failed_shows_its_reason(reader: Reader) -> None:
    async def act() -> str:
        new = NewJob(
            tenant="default",
            kind="plan",
            spec={"goal": "Poem!", "files": {}},
            budget={"seconds": 5.0},
            seed=0,
        )
        submitted = await reader.store.submit(new)
        (claim,) = await reader.store.claim("w", kinds=["plan"], lease_s=30)
        termination = {"reason": "invalid_input", "detail": "goal: no poems"}
        completion = Completion(verb="fail", termination=termination, outcome="failed")
        await reader.store.complete(claim.job.id, claim.fence, completion)
        return submitted.job.id

    page = reader.get(f"/jobs/{reader.do(act())}")
    assert "Poem!" in page.text
    assert "goal: no poems" in page.text
