"""The page of the language model in a real browser: streamed answers, stop, errors."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.cdp import Page
from tests.e2e.conftest import Site

pytestmark = pytest.mark.browser


def turns(page: Page) -> list[str]:
    script = "[...document.querySelectorAll('#talk p')].map(p => p.textContent)"
    return list(page.eval(script))


def test_a_conversation_streams_stops_and_remembers(
    site: Site, open_page: Callable[..., Page]
) -> None:
    page = open_page("/model")
    assert page.text("h1") == "Language model"
    said = "document.querySelectorAll('#talk p')[1]?.textContent"
    page.fill("#question", "one <b>two</b>")
    page.click(".form-end button")
    page.wait(f"{said} === 'one <b>two</b> '")
    page.wait("document.querySelector('[data-stop]').hidden")
    assert page.eval("document.querySelector('#question').value") == ""
    page.fill("#question", "long slowly")
    page.click(".form-end button")
    # It comes in parts, and can be stopped.
    third = "document.querySelectorAll('#talk p')[3]?.textContent ?? ''"
    page.wait(f"({third}).startsWith('w0 w1 ')")
    page.click("[data-stop]")
    page.wait("document.querySelector('#talk .fault')?.textContent === 'Stopped.'")
    # The stopped question is forgotten, the first one is remembered.
    page.fill("#question", "three")
    page.click(".form-end button")
    page.wait("document.querySelectorAll('#talk p').length === 7")
    page.wait("document.querySelector('[data-stop]').hidden")
    assert turns(page)[-1] == "one <b>two</b> one <b>two</b> three "
    page.fill("#question", "refuse")
    page.click(".form-end button")
    page.wait("document.querySelectorAll('#talk .fault').length === 2")
    assert "expected at most 1000 tokens" in turns(page)[-1]
    # The browser logs the refusal itself.
    page.faults = [fault for fault in page.faults if "413" not in fault]
