"""Editors of lists in a real browser: with scripts, without them, by keyboard, on a phone."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cdp import Page

pytestmark = pytest.mark.browser

Open = Callable[..., Page]
MAX_PAGE_BYTES = 200_000


def count(page: Page, name: str) -> int:
    rows = f"[data-rows='{name}'] > .row-list > .row"
    return int(page.eval(f'document.querySelectorAll("{rows}").length'))


def test_rows_are_added_and_removed_in_place(open_page: Open) -> None:
    page = open_page("/submit/sharding")
    loads = page.loads
    page.fill("[name='spec.devices.0.count']", "4")
    page.fill("[name='spec.devices.0.memory_gib']", "16")
    page.click("[value='add:spec.devices']")
    # The new row is blank and has the focus: typing goes on.
    assert page.eval("document.activeElement.name") == "spec.devices.1.count"
    page.type("2")
    page.press("Tab")
    page.type("8")
    page.click("[value='remove:spec.devices:0']")
    assert count(page, "spec.devices") == 1
    assert (
        page.eval("document.querySelector('[name=\"spec.devices.0.count\"]').value")
        == "2"
    )
    assert page.eval("document.activeElement.value") == "remove:spec.devices:0"
    page.click("[value='remove:spec.devices:0']")  # the last row is emptied, not removed
    assert count(page, "spec.devices") == 1
    page.fill("[name='spec.devices.0.count']", "2")
    page.fill("[name='spec.devices.0.memory_gib']", "4")
    assert page.loads == loads
    page.click("details:has(> div > [name='spec.tables@paste']) > summary")
    page.fill("[name='spec.tables@paste']", "name,rows,dim\na,1000,8\nb,1000,8")
    page.fill("[name='budget.seconds']", "5")
    page.fill("[name='name']", "pasted")
    before = page.loads
    page.press("Enter")  # in a field: submits the job, presses no button of a row
    page.await_load(before)
    assert page.text("h1").startswith("pasted"), page.text("#faults")
    page.wait("document.querySelector('#live').dataset.state === 'SUCCEEDED'", 60)


def test_rows_without_scripts(open_page: Open) -> None:
    page = open_page("/submit/compile", scripts=False)
    page.click("[value='add:spec.runs']", loads=True)
    page.click("[value='add:spec.runs']", loads=True)
    assert page.eval("location.hash") == "#f-spec-runs"
    assert count(page, "spec.runs") == 2
    page.fill("[name='spec.runs.1.arguments']", "5")
    page.click("[value='remove:spec.runs:0']", loads=True)
    assert count(page, "spec.runs") == 1
    assert (
        page.eval("document.querySelector('[name=\"spec.runs.0.arguments\"]').value")
        == "5"
    )


def test_forms_with_rows_are_accessible(
    open_page: Open, axe: Callable[[Page], list[Any]], tmp_path: Path
) -> None:
    """No findings of axe, no sideways scrolling, at most 200 kB, a fault at its row."""
    shots = Path(os.environ.get("SHOTS", tmp_path))
    for kind in ("sharding", "compile", "antenna"):
        page = open_page(f"/submit/{kind}?example=true")
        html = page.eval(
            "fetch(location.href).then((r) => r.text()).then((t) => t.length)"
        )
        assert html < MAX_PAGE_BYTES, (kind, html)
        if kind == "sharding":
            page.fill("[name='spec.tables.3.dim']", "9")
            page.eval("document.querySelector('[data-form]').noValidate = true")
            page.click(".job-form > .form-end .primary", loads=True)
            assert "a multiple of 4" in page.text("#f-spec-tables-3-dim-fault1")
            page.faults = [fault for fault in page.faults if "422" not in fault]
        # The other kinds have the same controls: one look is enough.
        looks = ((False, 1280), (True, 360)) if kind == "sharding" else ((False, 360),)
        for dark, width in looks:
            page.look(width=width, dark=dark)
            unfold = "document.querySelectorAll('main details').forEach((d) => { d.open = %s; })"
            page.eval(unfold % "true")
            assert axe(page) == [], (kind, dark, width)
            wide = page.eval(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert wide <= 0, (kind, width)
            page.eval(unfold % "false")
            theme = "dark" if dark else "light"
            page.screenshot(shots / f"rows-{kind}-{width}-{theme}.png")
