"""The pages of fitted models: no overflow, no serious finding of axe, on screens and phones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cdp import Page
from tests.e2e.conftest import Site
from workers.bench.learn.simulated_file import write_measured


@pytest.fixture(scope="module")
def fitted(site: Site, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Return the ids of a job of kind `learn` and of its model."""
    file = write_measured(tmp_path_factory.mktemp("measured") / "slow.jsonl", sets=60)
    sent = site.api(
        "POST", f"/v1/artifacts?name={file.name}", content=Path(file).read_bytes()
    )
    spec = {
        "target": "sharding",
        "instances": [{"digest": sent["digest"], "name": file.name}],
        "sharding": {"steps": 50},
    }
    body = {"kind": "learn", "spec": spec, "budget": {"seconds": 60.0}}
    job = str(site.api("POST", "/v1/jobs", json=body)["id"])
    for _ in range(4):
        if site.wait(job)["state"] == "SUCCEEDED":
            break
    model = site.api("GET", f"/v1/jobs/{job}/result")["summary"]["model"]
    return job, str(model["id"])


@pytest.mark.parametrize("look", [{}, {"dark": True}, {"width": 390, "height": 844}])
def test_the_pages_fit_and_are_accessible(
    fitted: tuple[str, str],
    open_page: Callable[..., Page],
    axe: Callable[[Page], list[Any]],
    look: dict[str, Any],
) -> None:
    job, model = fitted
    for path in ("/models", f"/models/{model}", f"/jobs/{job}", "/submit/learn"):
        page = open_page(path, **look)
        assert axe(page) == [], path
        over = page.eval("document.documentElement.scrollWidth - innerWidth")
        assert over <= 0, path
    page = open_page(f"/models/{model}", **look)
    shown = page.eval(
        "(() => { const e = document.querySelector('.card img');"
        " return [e.complete, e.naturalWidth, e.getBoundingClientRect().right,"
        " innerWidth]; })()"
    )
    assert shown[:2] == [True, 524]
    assert shown[2] <= shown[3]


def test_a_model_is_chosen_used_and_retired(
    fitted: tuple[str, str], site: Site, open_page: Callable[..., Page]
) -> None:
    _, model = fitted
    page = open_page(f"/models/{model}")
    page.click(".card ~ section a.mono", loads=True)
    assert "Fitted model:" in page.text(".fitted")
    page.click(".fitted a", loads=True)
    page.goto(f"{site.url}/submit/sharding")
    offered = page.eval(
        "[...document.querySelector('#f-model').options].map(o => o.value)"
    )
    assert offered == ["auto", "shipped", model]
    page.goto(f"{site.url}/models/{model}")
    page.click("form[action$='/retire'] button", loads=True)
    page.wait("document.querySelector('.chip').innerText === 'Retired'")
