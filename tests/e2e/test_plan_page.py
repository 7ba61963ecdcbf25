"""From a goal to its report in a real browser, with and without scripts."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cdp import Page
from tests.e2e.conftest import Site

pytestmark = pytest.mark.browser

MODEL = "Minimize\n obj: x + y\nSubject To\n c: 2 x + 3 y >= 7\nGeneral\n x y\nEnd\n"
GOAL = "Solve model.lp in 5 seconds, then mail me the result."
LIVE = "document.querySelector('#live')"


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    return Path(os.environ.get("SHOTS", tmp_path))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.lp"
    path.write_text(MODEL)
    return path


def at_state(page: Page, state: str, timeout_s: float = 60) -> None:
    page.wait(f"{LIVE}?.dataset.state === '{state}'", timeout_s=timeout_s)


def reload_until(page: Page, state: str) -> None:
    """Reload a page without scripts until it shows a state."""
    for _ in range(200):
        if page.eval(f"{LIVE}?.dataset.state") == state:
            return
        page.goto(page.eval("location.href"))
        time.sleep(0.3)  # timers of a page without scripts never fire
    raise AssertionError(f"not {state}: {page.text()[:1500]}")


def submit_goal(page: Page, goal: str, *files: Path) -> None:
    page.eval(f"document.querySelector('#goal').value = {json.dumps(goal)}")
    for file in files:
        page.choose_file("#files", file)
    page.click("main form button.primary", loads=True)


def test_a_goal_becomes_a_report(
    open_page: Callable[..., Page],
    axe: Callable[[Page], list[Any]],
    model: Path,
    shots: Path,
) -> None:
    page = open_page("/submit/plan")
    assert "Nothing leaves this machine" in page.text("main")
    assert axe(page) == []
    submit_goal(page, GOAL, model)
    at_state(page, "AWAITING_APPROVAL")
    assert page.text(".goal") == GOAL
    assert "mail me" in page.text(".remark.warn")
    for words, anchor in (("model.lp", "leaf-l1"), ("5 seconds", "v-l1-budget-seconds")):
        link = (
            f"[...document.querySelectorAll('.goal .used')]"
            f".find((a) => a.textContent.includes('{words}'))?.hash"
        )
        assert page.eval(link) == f"#{anchor}"
    for look in ({}, {"dark": True}, {"width": 390, "height": 800}):
        page.look(**look)
        assert axe(page) == []
        page.screenshot(shots / f"plan-{'-'.join(map(str, look)) or 'light'}.png")
    assert page.eval("document.documentElement.scrollWidth <= innerWidth")
    page.look()

    page.fill("#in-v-l1-budget-seconds", "soon")
    page.press("Enter")
    page.wait("document.querySelector('.leaf .fault')")
    assert "expected a number, got soon" in page.text(".leaf .fault")
    assert page.eval("document.querySelector('#in-v-l1-budget-seconds').value") == "soon"
    page.fill("#in-v-l1-budget-seconds", "4")
    page.click("#leaf-l1 button[value=save]", loads=True)
    assert page.eval("document.querySelector('#in-v-l1-budget-seconds').value") == "4"
    page.faults.clear()  # the 422 above

    page.click(".approve button", loads=True)
    at_state(page, "SUCCEEDED", 120)
    page.wait(
        "document.querySelector('#report-frame')?.contentDocument?.querySelector('h1')"
    )
    report = "document.querySelector('#report-frame').contentDocument"
    page.wait("document.querySelector('#report-frame').offsetHeight > 300")
    assert "model.lp" in page.eval(f"{report}.body.innerText")
    assert {"report.html", "report.md"} <= set(
        page.eval(
            "[...document.querySelectorAll('.report .files a')].map((a) => a.download)"
        )
    )
    assert axe(page) == []
    page.screenshot(shots / "plan-report.png")
    # A number of the report leads to the job that measured it.
    page.eval(f"{report}.querySelector('a.n[href^=\"/jobs/\"]').scrollIntoView()")
    before = page.loads
    box = page.eval(
        f"(() => {{ const a = {report}.querySelector('a.n[href^=\"/jobs/\"]')"
        ".getBoundingClientRect(); const f = document.querySelector('#report-frame')"
        ".getBoundingClientRect(); return [f.x + a.x + a.width / 2, f.y + a.y + a.height / 2];"
        " })()"
    )
    at = {"x": box[0], "y": box[1], "button": "left", "clickCount": 1}
    page.call("Input.dispatchMouseEvent", type="mousePressed", **at)
    page.call("Input.dispatchMouseEvent", type="mouseReleased", **at)
    page.await_load(before)
    assert page.text("h1").startswith("ilp")
    assert "Part of plan" in page.text("main")


def test_without_scripts_a_question_is_answered_and_a_job_dropped(
    open_page: Callable[..., Page], site: Site, tmp_path: Path, model: Path
) -> None:
    tables = tmp_path / "tables.csv"
    tables.write_text(
        "name,rows,dim\n" + "".join(f"t{i},{1000 * (i + 1)},32\n" for i in range(6))
    )
    page = open_page("/submit/plan", scripts=False)
    goal = "Place tables.csv on 4 GPUs in 5 seconds, then solve model.lp in 5 seconds."
    page.eval(f"document.querySelector('#goal').value = {json.dumps(goal)}")
    root = page.call("DOM.getDocument")["root"]["nodeId"]
    node = page.call("DOM.querySelector", nodeId=root, selector="#files")["nodeId"]
    page.call("DOM.setFileInputFiles", files=[str(tables), str(model)], nodeId=node)
    page.click("main form button.primary", loads=True)
    reload_until(page, "NEEDS_INPUT")
    question = page.text(".question legend")
    assert "?" in question
    page.fill(".question input:not([type=radio])", "40")
    page.click(".asks button", loads=True)
    reload_until(page, "AWAITING_APPROVAL")
    page.click("#leaf-l1 button[value=drop]", loads=True)
    assert page.text("#leaf-l1 .chip") == "Dropped"
    page.click(".approve button", loads=True)
    reload_until(page, "SUCCEEDED")
    assert (
        page.eval(
            "document.querySelector('#report-frame').sandbox.contains('allow-scripts')"
        )
        is False
    )
    assert page.eval("document.querySelectorAll('.leaf-job').length") == 1


def test_an_approval_of_an_older_version_changes_nothing(
    open_page: Callable[..., Page], site: Site, model: Path
) -> None:
    page = open_page("/submit/plan")
    submit_goal(page, "Solve model.lp in 5 seconds.", model)
    at_state(page, "AWAITING_APPROVAL")
    job_id = page.eval("location.pathname").rsplit("/", 1)[-1]
    seen = site.api("GET", f"/v1/jobs/{job_id}/outline")
    patch = [{"op": "replace", "path": "/leaves/l1/budget/seconds", "value": 3.0}]
    headers = {"content-type": "application/json-patch+json"}
    site.api(
        "PATCH",
        f"/v1/jobs/{job_id}/outline",
        content=json.dumps(patch),
        headers=headers | {"if-match": str(seen["revision"])},
    )
    page.click(".approve button", loads=True)
    assert "Nothing was changed" in page.text(".faults")
    assert page.eval("document.querySelector('#in-v-l1-budget-seconds').value") == "3"
    assert page.eval(f"{LIVE}.dataset.state") == "AWAITING_APPROVAL"
    page.faults.clear()  # the 409
    site.api("POST", f"/v1/jobs/{job_id}/cancel")
