"""The page of the language model."""

from __future__ import annotations

import pytest

from services.web.model import tables_of
from tests.doubles.text_backend import InProcessBackend
from tests.services.web.conftest import EVIL, Reader
from tests.services.web.html import Page


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> InProcessBackend | None:
    broken = getattr(request, "param", "")
    return None if broken is None else InProcessBackend(broken=broken)


@pytest.mark.parametrize("backend", [None], indirect=True)
def test_without_a_model_the_page_says_what_to_do(reader: Reader) -> None:
    page = reader.get("/model")
    assert "TRIMTAB_TEXT_MODEL=embedded" in page.text
    assert "textarea" not in [tag for tag, _ in page.tags]
    assert reader.post("/model", [("question", "a")]).status_code == 404


def test_a_question_is_answered_without_scripts(reader: Reader) -> None:
    page = reader.get("/model")
    assert "echo" in page.text
    assert "1000" in page.text.replace(",", "")
    form = page.form("/model")
    answer = reader.post("/model", form.fill(question=f"why {EVIL}"))
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text
    assert f"why {EVIL}" in Page(answer.text).text
    empty = reader.post("/model", form.fill(question="  "))
    assert empty.status_code == 200  # the model decides what an empty question means
    long = reader.post("/model", form.fill(question="refuse"))
    assert long.status_code == 413
    assert "refuse" in Page(long.text).text
    assert reader.post("/model", [("question", "nul \x00")]).status_code == 422


@pytest.mark.parametrize("backend", ["embedded: expected x, got none"], indirect=True)
def test_a_broken_model_shows_its_reason(reader: Reader) -> None:
    assert "expected x, got none" in reader.get("/model").text
    assert reader.post("/model", [("question", "a")]).status_code == 503


def test_a_viewer_sees_the_state_and_cannot_ask(reader: Reader) -> None:
    headers = {"authorization": f"Bearer {reader.key}"}
    body = {"name": "v", "scopes": ["viewer"]}
    made = reader.client.post("/v1/keys", json=body, headers=headers).json()
    reader.client.cookies.clear()
    viewer = {"authorization": f"Bearer {made['key']}"}
    page = Page(reader.client.get("/model", headers=viewer).text)
    assert "echo" in page.text
    assert "textarea" not in [tag for tag, _ in page.tags]
    assert reader.client.post("/model", headers=viewer).status_code == 403


def test_measured_budgets_become_tables() -> None:
    def rule(word: str, share: float, after_prompt: bool = False) -> dict[str, object]:
        loss = {"nats_above_full": 0.1234, "interval": [-0.01, 0.2]}
        return {"rule": word, "share": share, "after_prompt": after_prompt, **loss}

    text = {
        "segments": 20,
        "full_nats": 2.1,
        "default": {"policy": "h2o", "score": "decay"},
        "rules": [rule("local", 0.1), rule("local", 0.2), rule("h2o sum", 0.2, True)],
    }
    (table,) = tables_of({"texts": {"code": text}})
    assert (table.name, table.default, table.shares) == (
        "code",
        "h2o decay",
        ["20%", "10%"],
    )
    cell = "+0.123 (-0.010 to +0.200)"
    assert table.rows == [
        ("local", [cell, cell]),
        ("h2o sum, after the prompt", [cell, "–"]),
    ]
    assert tables_of({}) == []
