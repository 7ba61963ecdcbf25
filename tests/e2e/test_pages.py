"""The pages in a real browser, on a real server that runs real jobs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cdp import Browser, Page
from tests.e2e.conftest import Site

pytestmark = pytest.mark.browser

Open = Callable[..., Page]


# A set cover with optimum 2, as an .lp file that a user would upload.
COVER = """Minimize
 obj: x1 + x2 + x3 + x4
Subject To
 a: x1 + x2 >= 1
 b: x2 + x3 >= 1
 c: x3 + x4 >= 1
Binary
 x1 x2 x3 x4
End
"""


def state_of(page: Page) -> str:
    return str(page.eval("document.querySelector('#live')?.dataset.state ?? ''"))


def test_a_ticket_signs_in_once(site: Site, open_page: Open) -> None:
    url = site.ticket_url()
    page = open_page("/login", sign_in=False)
    page.goto(url)
    assert page.text("h1") == "Jobs"
    assert "ticket" not in page.eval("location.href")
    cookie = page.call("Network.getCookies")["cookies"]
    assert [(c["name"], c["httpOnly"], c["sameSite"]) for c in cookie] == [
        ("trimtab_session", True, "Strict")
    ]
    page.click(".sign-out button", loads=True)
    assert page.text("h1") == "Sign in"
    page.goto(url)
    assert page.text("h1") == "Sign in"
    assert page.text(".fault")
    # The browser logs the refusal itself.
    page.faults = [fault for fault in page.faults if "401" not in fault]


def test_a_pasted_key_signs_in(site: Site, open_page: Open) -> None:
    page = open_page("/submit/probe", sign_in=False)
    assert page.text("h1") == "Sign in"
    page.type(site.key)  # the field has the focus
    before = page.loads
    page.press("Enter")
    page.await_load(before)
    assert page.text("h1") == "New probe job"


def test_submit_watch_stop_verify(site: Site, open_page: Open) -> None:
    """From the form to the download: live curve, stop, verification."""
    page = open_page("/submit/probe")
    page.fill("[name='spec.steps']", "400")
    page.fill("[name='spec.step_seconds']", "0.05")
    page.click(".advanced > summary")
    page.fill("[name='labels']", "from=<script>window.hacked=1</script>")
    page.click(".form-end button", loads=True)
    page.wait("document.querySelector('[data-curve]').dataset.points >= 3", 30)
    page.wait("document.querySelector('#live').dataset.state === 'RUNNING'")
    first = page.eval("+document.querySelector('[data-curve]').dataset.points")
    page.wait(f"+document.querySelector('[data-curve]').dataset.points >= {first + 3}")
    # The same points as a table.
    page.wait("document.querySelector('.data tbody')?.rows.length >= 3")
    assert page.eval("document.querySelector('.plot canvas').width") > 200
    assert "incumbents, from" in page.text("#curve-words")
    loads = page.loads
    page.click("form[action$='/stop'] button", loads=True)
    assert page.loads == loads + 1
    page.wait("document.querySelector('#live').dataset.state === 'SUCCEEDED'")
    page.wait("document.querySelector('#h-check')")
    assert "Valid" in page.text(".verdict")
    assert "its owner stopped it and kept the best" in page.text(".termination")
    assert page.text(".labels") == "from=<script>window.hacked=1</script>"
    assert page.eval("window.hacked") is None
    for href in page.eval(
        "[...document.querySelectorAll('.files a')].map((a) => a.getAttribute('href'))"
    ):
        assert page.eval(f"fetch({json.dumps(href)}).then((r) => r.status)") == 200
    result = page.eval(
        "fetch(document.querySelector('.files a').href).then((r) => r.json())"
    )
    assert result["termination"]["limit"] == "stopped"


def test_a_file_is_uploaded_at_once_and_its_job_runs(
    site: Site, open_page: Open, tmp_path: Path
) -> None:
    file = tmp_path / "cover.lp"
    file.write_text(COVER)
    page = open_page("/submit/ilp")
    page.choose_file("[name='spec.model']", file)
    page.wait(
        "document.querySelector('[name=\"spec.model@ref\"]').value.includes('sha256:')"
    )
    assert "cover.lp" in page.text(".uploaded")
    page.fill("[name='budget.seconds']", "20")
    page.click(".form-end button", loads=True)
    page.wait("document.querySelector('#live').dataset.terminal === 'true'", 60)
    assert state_of(page) == "SUCCEEDED", page.text()
    assert "Proved optimal" in page.text(".termination")
    page.wait("document.querySelector('.exact')")
    assert page.text(".exact") in ("2", "2/1")
    assert "Running HiGHS" in page.text("#engine-log"), "what the engine printed"


def test_a_dropped_file_is_uploaded(site: Site, open_page: Open) -> None:
    page = open_page("/submit/ilp")
    page.eval(
        "(() => { const data = new DataTransfer();"
        "data.items.add(new File(['x'.repeat(5000)], 'dropped <b>.lp'));"
        "document.querySelector('.drop').dispatchEvent("
        "new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true})); })()"
    )
    page.wait(
        "document.querySelector('[name=\"spec.model@ref\"]').value.includes('sha256:')"
    )
    assert "dropped <b>.lp (4.9 KiB)" in page.text(".uploaded")


def test_a_long_name_fits_and_keys_read_the_curve(site: Site, open_page: Open) -> None:
    body = {"kind": "probe", "name": "W" * 120, "spec": {"steps": 3}}
    job = site.api("POST", "/v1/jobs", json=body)["id"]
    site.wait(job)
    page = open_page(f"/jobs/{job}", width=360)
    page.wait("document.querySelector('.plot canvas')")
    wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.eval(wider) == 0
    summary = page.text("#curve-words")
    page.eval("document.querySelector('.plot').focus()")
    page.press("Home")
    assert page.text("#curve-words").startswith("At ")
    page.press("+")
    page.press("0")
    page.press("Tab")
    assert page.text("#curve-words") == summary


def test_the_list_lives(site: Site, open_page: Open) -> None:
    page = open_page("/")
    job = site.submit(steps=1)
    page.wait(f"document.querySelector('#row-{job} .chip-succeeded')")
    assert page.loads == 1  # the redirect's target, never reloaded


def test_a_fault_is_shown_beside_its_field_and_gets_the_focus(open_page: Open) -> None:
    page = open_page("/submit/probe")
    page.eval("document.querySelector('[data-form]').noValidate = true")
    page.fill("[name='spec.steps']", "-3")
    page.click(".form-end button", loads=True)
    assert page.eval("document.activeElement.id") == "faults"
    assert "got -3" in page.text("#f-spec-steps-fault1")
    assert (
        page.eval("document.querySelector('#f-spec-steps').getAttribute('aria-invalid')")
        == "true"
    )
    # The browser logs the status itself.
    page.faults = [fault for fault in page.faults if "422" not in fault]


def test_keyboard_alone_submits(open_page: Open) -> None:
    page = open_page("/submit/probe")
    page.press("Tab")
    assert page.eval("document.activeElement.className") == "skip"
    page.press("Enter")
    reached = []
    for _ in range(60):
        page.press("Tab")
        name = page.eval(
            "document.activeElement.name || document.activeElement.textContent.trim()"
        )
        reached.append(name)
        assert page.eval("document.activeElement.matches(':focus-visible')"), name
        if name in ("spec.steps", "spec.step_seconds"):
            page.eval("document.activeElement.select()")
            page.type({"spec.steps": "30", "spec.step_seconds": "0.05"}[name])
        if name.startswith("More options"):
            page.press("Enter")
        if name == "Submit job":
            break
    assert {
        "spec.steps",
        "spec.outcome",
        "budget.seconds",
        "seed",
        "labels",
        "Submit job",
    } <= set(reached)
    before = page.loads
    page.press("Enter")
    page.await_load(before)
    page.wait("document.querySelector('#live').dataset.state === 'SUCCEEDED'")
    page.wait("document.querySelector('#announce').textContent.includes('succeeded')")


def test_without_scripts(site: Site, open_page: Open) -> None:
    """Submit, stop and read everything with JavaScript off."""
    page = open_page("/submit/probe", scripts=False)
    page.fill("[name='spec.steps']", "1000")
    page.fill("[name='spec.step_seconds']", "0.02")
    page.click(".form-end button", loads=True)
    job = page.eval("location.pathname").split("/")[-1]

    def reload_until(words: str) -> None:
        for _ in range(200):
            if words in page.text():
                return
            page.goto(f"{site.url}/jobs/{job}")
        pytest.fail(f"never saw {words!r} in {page.text()}")

    reload_until("Table of the")
    page.click("form[action$='/stop'] button", loads=True)
    site.wait(job)
    reload_until("Verification")
    assert "Valid" in page.text(".verdict")
    page.click(".confirm:has(form[action$='/delete']) summary")
    page.click("form[action$='/delete'] button", loads=True)
    assert page.eval("location.pathname") == "/"
    assert job not in page.text()


def test_pages_are_accessible(
    site: Site, open_page: Open, axe: Callable[[Page], list[Any]], scale: float
) -> None:
    """No serious findings of axe, light and dark; no sideways scrolling, also at 360 px.

    Below full scale each page is wide and light, and narrow and dark.
    """
    done = site.submit(steps=3)
    site.wait(done)
    failed = site.submit(steps=0, outcome="raise")
    site.wait(failed)
    running = site.submit(steps=1000, step_seconds=0.1)
    page = open_page("/")
    paths = [
        f"/jobs/{running}",  # first: it ends by itself after a minute
        "/",
        "/?state=DEAD",
        f"/jobs/{done}",
        f"/jobs/{failed}",
        "/submit",
        "/workers",
        "/keys",
    ]
    paths += ["/submit/probe", "/submit/ilp", "/login"]
    paths += ["/admin/usage", "/admin/retention", "/admin/webhooks", "/admin/audit"]
    for path in paths:
        for dark in (False, True):
            for width in (1280, 360):
                # The pages for operators are tables and forms like the others.
                in_pairs = scale < 1 or path.startswith("/admin")
                if in_pairs and dark != (width == 360):
                    continue
                page.look(width=width, dark=dark)
                page.goto(site.url + path)
                if path == f"/jobs/{done}":
                    page.wait(
                        "document.querySelector('[data-curve]').dataset.points >= 1"
                    )
                assert axe(page) == [], (path, dark, width)
                wide = page.eval(
                    "document.documentElement.scrollWidth - document.documentElement.clientWidth"
                )
                assert wide <= 0, (path, width)
        if path == f"/jobs/{running}":
            site.api("POST", f"/v1/jobs/{running}/cancel")


def test_an_error_is_a_page_with_its_request_id(
    open_page: Open, axe: Callable[[Page], list[Any]]
) -> None:
    page = open_page("/jobs/job_nothing")
    assert page.text(".status-code") == "404"
    assert "Request id" in page.text()
    assert axe(page) == []
    page.faults = [fault for fault in page.faults if "404" not in fault]


def test_nothing_is_left_to_read_after_signing_out(site: Site, open_page: Open) -> None:
    page = open_page("/workers")
    page.click(".sign-out button", loads=True)
    before = page.loads
    page.eval("history.back()")
    page.await_load(before)
    assert page.text("h1") == "Sign in"


def test_another_site_cannot_act(
    browser: Browser, site: Site, open_page: Open, tmp_path: Path
) -> None:
    """A form of another site that posts here has no effect, although the browser is signed in."""
    job = site.submit(steps=1000, step_seconds=0.1)
    page = open_page("/")
    page.goto(
        "data:text/html,"
        + f"<form method=post action='{site.url}/jobs/{job}/cancel'><button>x</button></form>"
    )
    page.click("button", loads=True)
    assert not site.api("GET", f"/v1/jobs/{job}")["cancel_requested"]
    site.api("POST", f"/v1/jobs/{job}/cancel")
    page.faults.clear()  # the browser logs the refusal
