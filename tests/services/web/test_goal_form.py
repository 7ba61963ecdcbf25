"""The form of a goal: files, options, what is wrong, and what is said of privacy."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.settings import Settings
from tests.services.web.conftest import EVIL, Reader
from tests.services.web.html import Page

GOAL = "Solve model.lp in 5 seconds."
MODEL = b"Minimize\n x\nEnd\n"


def send(reader: Reader, goal: str = GOAL, files: Any = (), **more: str) -> Any:
    page = reader.get("/submit/plan")
    answers = page.form("/submit/plan").fill(goal=goal, **more)
    parts = [("files", (name, data)) for name, data in files]
    return reader.post("/submit/plan", answers, files=parts or [("files", ("", b""))])


def stored(reader: Reader, location: str) -> dict[str, Any]:
    job_id = location.rsplit("/", 1)[-1]
    headers = {"authorization": f"Bearer {reader.key}"}
    made: dict[str, Any] = reader.client.get(
        f"/v1/jobs/{job_id}/input", headers=headers
    ).json()
    return made


def test_a_goal_with_files_becomes_a_plan(reader: Reader) -> None:
    files = [("model.lp", MODEL), ("same.lp", MODEL)]
    answer = send(reader, files=files, approve="auto", seconds="30")
    assert answer.status_code == 303, answer.text
    body = stored(reader, answer.headers["location"])
    assert body["kind"] == "plan"
    assert body["budget"]["seconds"] == 30
    spec = body["spec"]
    assert (spec["goal"], spec["approve"]) == (GOAL, "auto")
    # One content under two names keeps both.
    assert {name: ref["name"] for name, ref in spec["files"].items()} == {
        "model.lp": "model.lp",
        "same.lp": "same.lp",
    }
    page = reader.get(answer.headers["location"])
    assert GOAL in page.text
    assert "Nothing leaves this machine" in page.text


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"goal": "   "}, "expected a goal in words"),
        ({"seconds": "soon"}, "expected a number, got 'soon'"),
        ({"seconds": "-1"}, "seconds"),
        ({"files": [("a.lp", MODEL), ("a.lp", MODEL + b"!")]}, "two a.lp"),
        ({"files": [("a.lp.gz", b"\x1f\x8bno")]}, "a.lp.gz"),
    ],
)
def test_a_refused_goal_is_shown_again_with_its_files(
    reader: Reader, more: dict[str, Any], said: str
) -> None:
    given = {"files": [("model.lp", MODEL)]} | more
    answer = send(reader, **given)
    assert answer.status_code == 422, answer.text
    page = Page(answer.text)
    assert said.lower() in page.text.lower()
    name = given["files"][0][0]
    kept = [
        json.loads(a["value"])["name"] for _, a in page.tags if a.get("name") == "kept"
    ]
    assert kept == ([] if name == "a.lp.gz" else [name])


def test_kept_files_are_sent_again(reader: Reader) -> None:
    refused = send(reader, goal=" ", files=[("model.lp", MODEL)])
    answers = Page(refused.text).form("/submit/plan").fill(goal=GOAL)
    answer = reader.post("/submit/plan", answers, files=[("files", ("", b""))])
    assert answer.status_code == 303
    assert list(stored(reader, answer.headers["location"])["spec"]["files"]) == [
        "model.lp"
    ]


def test_a_clone_has_the_goal_and_its_files(reader: Reader) -> None:
    first = send(reader, goal=GOAL + EVIL, files=[("model.lp", MODEL)])
    job_id = first.headers["location"].rsplit("/", 1)[-1]
    page = reader.get(f"/submit/plan?from={job_id}")
    assert ("script", {}) not in page.tags
    answers = dict(page.form("/submit/plan").fill())
    assert answers["goal"].strip() == GOAL + EVIL
    assert json.loads(answers["kept"])["name"] == "model.lp"
    probe = reader.submit()
    assert "expected a plan" in reader.get(f"/submit/plan?from={probe}", 400).text


def test_the_example_is_a_goal(reader: Reader) -> None:
    assert "patch antenna" in reader.get("/submit/plan?example=true").text
    assert "/submit/plan" in reader.get("/submit").hrefs


class TestWithAnEndpoint:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(
            update={"text_model": "openai:https://models.example/v1"}
        )

    def test_what_is_sent_where_is_said_before(self, reader: Reader) -> None:
        text = reader.get("/submit/plan").text
        assert "sent to the language model at https://models.example/v1" in text
        assert "Nothing leaves" not in text
