"""Pages of fitted models, and the field of the submit forms that chooses one."""

from __future__ import annotations

import asyncio

import pytest

from services.gateway import operations
from tests.doubles.fitted_models import card_of, model_id
from tests.services.web.conftest import EVIL, Reader
from tests.services.web.html import Page
from trimtab.results import EventType


def sign_in_as(reader: Reader, *, tenant: str, scope: str) -> None:
    """Continue with a key of this tenant and scope."""
    context = reader.client.app.state.context  # type: ignore[attr-defined]
    _, key = asyncio.run(
        operations.make_key(context, tenant=tenant, name="n", scopes=[scope])
    )
    reader.client.cookies.clear()
    answer = reader.post("/login", reader.get("/login").form("/login").fill(key=key))
    assert answer.status_code == 303, answer.text


def chips(page: Page) -> list[str]:
    return [a["class"] for tag, a in page.tags if "chip" in a.get("class", "").split()]


# -- the pages --


def test_an_empty_list_leads_to_the_form(reader: Reader) -> None:
    page = reader.get("/models")
    assert "No model yet." in page.text
    assert page.links["Fit one"] == "/submit/learn"


def test_the_list_is_newest_first(reader: Reader) -> None:
    reader.register(1, card_of())
    reader.register(2, card_of(better=False))
    page = reader.get("/models")
    links = [href for href in page.hrefs if href.startswith("/models/")]
    assert links == [f"/models/{model_id(2)}", f"/models/{model_id(1)}"]
    assert chips(page) == ["chip chip-rejected", "chip chip-adopted"]
    assert "13 % with the fitted model, 90.7 % with the shipped one" in page.text


def test_a_card_has_picture_figures_and_the_rows_by_the_shipped_model(
    reader: Reader,
) -> None:
    name = reader.register(1, card_of(name=EVIL, note=EVIL))
    answer = reader.client.get(f"/models/{name}")
    page = Page(answer.text)
    for text in (
        "The model is adopted.",
        "Mean difference fitted - shipped -77.7 %, 95 % bootstrap interval",
        "absolute percentage error (%), lower is better",
        "24 to fit, 8 held out",
        "hardware: a100, factors: 0.123, 1.5",
        "Shipped (%)",
        "2.0 KiB",
        "fit 25 0.0123 0.2",
    ):
        assert text in page.text, text
    assert "<script>alert" not in answer.text
    card = card_of()
    row = min(card.rows, key=lambda row: row.shipped)
    first = page.text.index("Shipped (%) Fitted (%)")
    assert page.text[first:].split("#")[1].split()[1:3] == [
        f"{row.shipped:.3g}",
        f"{row.fitted:.3g}",
    ]
    (image,) = (a for tag, a in page.tags if tag == "img" and "fitted" in a["src"])
    assert "The model is adopted." in image["alt"]
    picture = reader.client.get(image["src"])
    assert picture.headers["content-type"].startswith("image/svg+xml")
    assert "<script" not in picture.text
    assert "95 % interval" in picture.text
    assert reader.client.get(page.links["Card as JSON"]).json()["decision"] == "adopted"


def test_a_card_without_a_picture_is_shown_without_one(reader: Reader) -> None:
    name = reader.register(1, card_of(better=False), drawn=False)
    page = reader.get(f"/models/{name}")
    assert "The model is rejected." in page.text
    assert not [a for tag, a in page.tags if tag == "img" and "fitted" in a["src"]]
    assert f"/models/{name}/retire" not in [form.action for form in page.forms]


def test_a_model_is_retired(reader: Reader) -> None:
    name = reader.register(1, card_of())
    action = reader.get(f"/models/{name}").form(f"/models/{name}/retire").action
    answer = reader.post(action)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/models/{name}")
    page = reader.get(f"/models/{name}")
    assert chips(page) == ["chip chip-retired"]
    assert "No job that begins from now on uses it" in page.text
    assert action not in [form.action for form in page.forms]


def test_another_site_retires_nothing(reader: Reader) -> None:
    name = reader.register(1, card_of())
    evil = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    assert reader.post(f"/models/{name}/retire", **evil).status_code == 403
    assert chips(reader.get(f"/models/{name}")) == ["chip chip-adopted"]


def test_another_tenant_sees_nothing(reader: Reader) -> None:
    name = reader.register(1, card_of())
    sign_in_as(reader, tenant="b", scope="submitter")
    assert "No model yet." in reader.get("/models").text
    assert "Request id" in reader.get(f"/models/{name}", status=404).text
    assert reader.post(f"/models/{name}/retire").status_code == 404
    assert name not in reader.get("/submit/sharding").text


def test_a_viewer_reads_and_retires_nothing(reader: Reader) -> None:
    name = reader.register(1, card_of())
    sign_in_as(reader, tenant="default", scope="viewer")
    page = reader.get(f"/models/{name}")
    assert f"/models/{name}/retire" not in [form.action for form in page.forms]
    assert reader.post(f"/models/{name}/retire").status_code == 403
    assert "Fit one" not in reader.get("/models").links


@pytest.mark.parametrize("name", ["nothing", "mdl_x", model_id(9), "%3Cb%3E"])
def test_an_unknown_model_is_a_page(reader: Reader, name: str) -> None:
    assert "Request id" in reader.get(f"/models/{name}", status=404).text


# -- the choice in the submit forms --


def options(page: Page) -> list[str]:
    """Return the values that the field `model` offers."""
    start = next(
        n
        for n, (tag, a) in enumerate(page.tags)
        if tag == "select" and a.get("name") == "model"
    )
    rest = [tag for tag, _ in page.tags[start + 1 :]]
    count = next(n for n, tag in enumerate(rest) if tag != "option")
    return [a["value"] for _, a in page.tags[start + 1 : start + 1 + count]]


@pytest.mark.parametrize("kind", ["ilp", "compile", "sharding", "antenna"])
def test_kinds_offer_the_adopted_models_of_their_own(reader: Reader, kind: str) -> None:
    name = reader.register(1, card_of(target=kind))
    reader.register(2, card_of(target="ilp" if kind != "ilp" else "compile"))
    reader.register(3, card_of(target=kind, better=False))
    page = reader.get(f"/submit/{kind}")
    assert options(page) == ["auto", "shipped", name]
    assert dict(page.form(f"/submit/{kind}").values)["model"] == "auto"
    assert "Fitted model" in page.text


@pytest.mark.parametrize("kind", ["probe", "learn"])
def test_kinds_without_models_have_no_such_field(reader: Reader, kind: str) -> None:
    assert "model" not in dict(
        reader.get(f"/submit/{kind}").form(f"/submit/{kind}").values
    )


def submit(reader: Reader, path: str, model: str | None = None) -> Page | str:
    """Post the form as it is shown, or with another model; returns the id of the job."""
    form = reader.get(path).form("/submit/compile")
    changed = form.fill() if model is None else form.fill(model=model)
    answer = reader.post(form.action, changed)
    if answer.status_code == 303:
        return answer.headers["location"].removeprefix("/jobs/")
    assert answer.status_code == 422
    return Page(answer.text)


EXAMPLE = "/submit/compile?example=true"


def test_the_choice_is_kept_by_a_clone(reader: Reader) -> None:
    name = reader.register(1, card_of(target="compile"))
    for wanted in (name, "shipped", "auto"):
        job_id = submit(reader, EXAMPLE, wanted)
        assert isinstance(job_id, str)
        assert reader.do(reader.store.model_pins(job_id)).wanted == wanted
        again = submit(reader, f"/submit/compile?from={job_id}")
        assert isinstance(again, str)
        assert reader.do(reader.store.model_pins(again)).wanted == wanted


def test_a_clone_shows_a_model_that_was_retired_since(reader: Reader) -> None:
    name = reader.register(1, card_of(target="compile"))
    job_id = submit(reader, EXAMPLE, name)
    reader.post(f"/models/{name}/retire")
    assert options(reader.get("/submit/compile")) == ["auto", "shipped"]
    page = reader.get(f"/submit/compile?from={job_id}")
    assert options(page) == ["auto", "shipped", name]
    assert ", retired" in page.text
    refused = submit(reader, f"/submit/compile?from={job_id}")
    assert isinstance(refused, Page)
    assert "expected an adopted model for kind compile" in refused.text
    assert "which is retired" in refused.text
    assert dict(refused.form("/submit/compile").values)["model"] == name


@pytest.mark.parametrize("wanted", [model_id(9), EVIL, "newest"])
def test_a_model_that_is_not_offered_is_a_fault_of_its_field(
    reader: Reader, wanted: str
) -> None:
    reader.register(1, card_of(target="compile"))
    refused = submit(reader, EXAMPLE, wanted)
    assert isinstance(refused, Page)
    assert f"Fitted model : expected one of auto, shipped, {model_id(1)}" in refused.text
    assert options(refused) == ["auto", "shipped", model_id(1)]


# -- jobs --


def test_the_page_of_a_job_leads_to_its_model(reader: Reader) -> None:
    name = model_id(1)
    for summary, text in (
        ({"model": {"id": name, "state": "adopted"}}, f"Fitted model: {name} adopted"),
        (
            {"model_used": {"id": name, "sha256": "1" * 64, "reason": EVIL}},
            f"Model used: {name} {EVIL}",
        ),
        (
            {"model_used": {"id": "shipped", "reason": "the job asked for it"}},
            "Model used: shipped the job asked for it",
        ),
        ({"model_used": {"id": "../keys", "reason": ""}}, "Model used: ../keys"),
    ):
        job_id = reader.submit()
        job = reader.claim()
        reader.tell(job, (EventType.PHASE, {"phase": "search", "detail": ""}))
        result = {"termination": {"reason": "completed"}, "summary": summary}
        reader.complete(job, result=result)
        answer = reader.client.get(f"/jobs/{job_id}")
        page = Page(answer.text)
        assert text in page.text
        assert "<script>alert" not in answer.text
        linked = [href for href in page.hrefs if href.startswith("/models/")]
        assert linked == ([f"/models/{name}"] if name in text else [])
