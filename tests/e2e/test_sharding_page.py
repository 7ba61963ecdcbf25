"""The page and the form of a sharding job in a real browser."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.cdp import Page
from tests.e2e.conftest import Site

pytestmark = pytest.mark.browser


def test_plan_is_drawn_and_told(
    site: Site, open_page: Callable[..., Page], tmp_path: Path
) -> None:
    tables = [
        {"name": f"table <{i}>", "rows": 10_000 * (i + 1), "dim": 64, "pooling": 1.0 + i}
        for i in range(12)
    ]
    spec = {
        "tables": tables,
        "devices": [{"count": 4, "memory_gib": 8}],
        "what_if": [2, 8],
    }
    job = site.api(
        "POST",
        "/v1/jobs",
        json={"kind": "sharding", "spec": spec, "budget": {"seconds": 30}},
    )
    assert site.wait(job["id"])["state"] == "SUCCEEDED"
    page = open_page(f"/jobs/{job['id']}")
    page.wait("document.querySelector('.picture img')?.naturalWidth > 100")
    text = page.text()
    for word in (
        "plan.json",
        "plan.svg",
        "Baselines",
        "What if",
        "Certificate",
        "under the certified model",
    ):
        assert word in text
    table = (
        "[...document.querySelectorAll('h2')]"
        ".find((h) => h.textContent === 'What if').parentElement"
    )
    rows = page.eval(f"{table}.querySelectorAll('tbody tr').length")
    assert rows == 2
    page.screenshot(Path(os.environ.get("SHOTS", tmp_path)) / "sharding.png")


def test_form_takes_a_list_of_tables(
    site: Site, open_page: Callable[..., Page], tmp_path: Path
) -> None:
    page = open_page("/submit/sharding")
    assert page.text("h1") == "New sharding job"
    page.screenshot(Path(os.environ.get("SHOTS", tmp_path)) / "form.png")
    file = tmp_path / "tables.csv"
    file.write_text(
        "name,rows,dim\n" + "".join(f"t{i},{1000 * (i + 1)},32\n" for i in range(6))
    )
    page.choose_file("input[type=file]", file)
    # The page shifts as it says so.
    page.wait("document.body.innerText.includes('Uploaded: tables.csv')")
    page.fill("[name='spec.devices.0.count']", "2")
    page.fill("[name='spec.devices.0.memory_gib']", "4")
    page.click(".job-form > .form-end .primary", loads=True)
    page.wait(
        "document.querySelector('#live')?.dataset.state === 'SUCCEEDED'", timeout_s=40
    )
