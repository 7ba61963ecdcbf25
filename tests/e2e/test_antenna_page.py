"""The page of an antenna job in a real browser: its best design, live and at the end."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cdp import Page
from tests.e2e.conftest import Site

pytestmark = pytest.mark.browser

SPEC = {
    "bands": [{"f_lo_hz": 5.725e9, "f_hi_hz": 5.875e9}],
    "avoid": [{"f_lo_hz": 4.9e9, "f_hi_hz": 5.0e9}],
    "grid": {"cells": 6, "cell_mm": 3.0},
    "coarse_solves": 100_000,
    "fine_solves": 200,
    "verify_runs": 0,
    "margin_db": 10.0,
}
DRAWN = (
    "[...document.querySelectorAll('.pictures img')].filter((i) => i.naturalWidth > 100)"
)


def test_best_design_is_drawn_live_and_at_the_end(
    site: Site,
    open_page: Callable[..., Page],
    axe: Callable[[Page], list[Any]],
    tmp_path: Path,
) -> None:
    shots = Path(os.environ.get("SHOTS", tmp_path))
    body = {"kind": "antenna", "spec": SPEC, "budget": {"seconds": 60}}
    job = site.api("POST", "/v1/jobs", json=body)
    page = open_page(f"/jobs/{job['id']}")
    page.wait(f"{DRAWN}.length === 2", timeout_s=40)
    first = page.eval("document.querySelector('#picture-1').src")
    alt = page.eval("document.querySelector('#picture-1').alt")
    assert "dB in 5.725 to 5.875 GHz" in alt
    assert "cells of 3 mm" in page.eval("document.querySelector('#picture-0').alt")
    page.screenshot(shots / "antenna-running.png")
    assert axe(page) == []
    page.wait(f"document.querySelector('#picture-1').src !== '{first}'", timeout_s=40)
    phone = open_page(f"/jobs/{job['id']}", width=360, height=740, dark=True)
    phone.wait(f"{DRAWN}.length === 2")
    assert phone.eval("document.documentElement.scrollWidth <= innerWidth")
    phone.screenshot(shots / "antenna-running-phone.png")
    site.api("POST", f"/v1/jobs/{job['id']}/stop")
    assert site.wait(job["id"])["state"] == "SUCCEEDED"
    page.wait("document.querySelector('#h-drawn')")
    page.wait(f"{DRAWN}.length === 4")
    assert page.eval("document.querySelector('#h-pictures')") is None
    alts = page.eval("[...document.querySelectorAll('.pictures img')].map((i) => i.alt)")
    assert any("metal" in text.lower() for text in alts)
    assert axe(page) == []
    page.screenshot(shots / "antenna-ended.png")
