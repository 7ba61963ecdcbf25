"""The submit pages: forms, faults beside their fields, files, clones, examples."""

from __future__ import annotations

import json
from typing import Annotated, ClassVar, Literal

import pytest
from fastapi.testclient import TestClient
from pydantic import Field

from search.kinds import KINDS, Kind
from services.gateway.app import create_app
from services.settings import Settings
from tests.doubles.memory_store import MemoryStore
from tests.services.web.conftest import EVIL, ORIGIN, Reader
from tests.services.web.html import Page
from trimtab.specs.common import ArtifactRef, Spec, WireModel


def test_submit_by_form(reader: Reader) -> None:
    assert "/submit/probe" in reader.get("/submit").hrefs
    page = reader.get("/submit/probe")
    form = page.form("/submit/probe")
    assert (form.method, form.enctype) == ("post", "multipart/form-data")
    answer = reader.post(
        form.action,
        form.fill(spec__steps="7", labels="team=x\nnote=" + EVIL, priority="5"),
    )
    assert answer.status_code == 303, answer.text
    record = reader.do(
        reader.store.get(answer.headers["location"].removeprefix("/jobs/"))
    )
    assert record.spec["steps"] == 7
    assert record.labels == {"team": "x", "note": EVIL}
    assert record.priority == 5


def test_faults_come_back_with_every_answer(reader: Reader) -> None:
    form = reader.get("/submit/probe").form("/submit/probe")
    changed = form.fill(
        spec__steps="-1", budget__seconds="soon", labels="x=" + EVIL, seed="3"
    )
    answer = reader.post(form.action, changed)
    assert answer.status_code == 422
    page = Page(answer.text)
    assert "2 fields need a change" in page.text
    assert "expected a value of at least 0, got -1" in page.text
    assert "expected a number, got soon" in page.text
    again = page.form("/submit/probe").values
    assert ("seed", "3") in again
    assert ("labels", "x=" + EVIL) in again
    assert "<script>alert" not in answer.text
    assert (
        reader.do(reader.store.counts()) == {}
        or sum(reader.do(reader.store.counts()).values()) == 0
    )


def test_a_file_goes_with_the_form(reader: Reader) -> None:
    form = reader.get("/submit/ilp").form("/submit/ilp")
    assert form.files == ["spec.model", "spec.warm_start"]
    model = b"Minimize\n obj: x\nSubject To\n c: x >= 1\nEnd\n"
    answer = reader.post(
        form.action, form.fill(), files={"spec.model": (f"{EVIL}.lp", model)}
    )
    assert answer.status_code == 303, answer.text
    job_id = answer.headers["location"].removeprefix("/jobs/")
    ref = reader.do(reader.store.get(job_id)).spec["model"]
    assert ref["size_bytes"] == len(model)
    assert reader.client.get(f"/v1/artifacts/{ref['digest']}/content").content == model
    page = reader.get(f"/jobs/{job_id}")
    assert "<script>alert" not in reader.client.get(f"/jobs/{job_id}").text
    # clone: the same answers, the same file, nothing uploaded again
    cloned = reader.get(page.links["Clone"]).form("/submit/ilp")
    assert json.loads(dict(cloned.values)["spec.model@ref"])["digest"] == ref["digest"]
    answer = reader.post(cloned.action, cloned.fill(), files={"spec.model": ("", b"")})
    assert answer.status_code == 303, answer.text


def test_a_file_is_kept_when_another_answer_is_wrong(reader: Reader) -> None:
    form = reader.get("/submit/ilp").form("/submit/ilp")
    answer = reader.post(
        form.action,
        form.fill(budget__seconds="-1"),
        files={"spec.model": ("a.lp", b"Minimize\n")},
    )
    assert answer.status_code == 422
    page = Page(answer.text)
    assert "Uploaded: a.lp (9 B)" in page.text
    again = page.form("/submit/ilp")
    answer = reader.post(
        again.action, again.fill(budget__seconds="1"), files={"spec.model": ("", b"")}
    )
    assert answer.status_code == 303, answer.text


@pytest.mark.parametrize(
    "ref",
    ["{", '{"digest": "sha256:zz"}', '{"digest": "sha256:' + "0" * 64 + '"}', "[" * 5000],
)
def test_a_made_up_reference_is_a_fault_of_its_field(reader: Reader, ref: str) -> None:
    form = reader.get("/submit/ilp").form("/submit/ilp")
    answer = reader.post(
        form.action, form.fill(**{"spec.model@ref": ref}), files={"spec.model": ("", b"")}
    )
    assert answer.status_code in (404, 422)
    assert "Traceback" not in answer.text


def test_too_large_a_form_is_refused_unread(reader: Reader, settings: Settings) -> None:
    answer = reader.client.post(
        "/submit/ilp",
        content=b"x",
        headers={
            "origin": ORIGIN,
            "content-type": "multipart/form-data; boundary=x",
            "content-length": str(2**40),
        },
    )
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "body",
    [b"", b"--x", b"garbage", b"--x\r\nContent-Disposition: form-data\r\n\r\n\r\n--x--"],
)
def test_a_malformed_form_is_a_clear_4xx(reader: Reader, body: bytes) -> None:
    headers = {"origin": ORIGIN, "content-type": "multipart/form-data; boundary=x"}
    assert (
        400
        <= reader.client.post("/submit/probe", content=body, headers=headers).status_code
        < 500
    )


class Mesh(WireModel):
    size: Annotated[float, Field(gt=0)] = 1.0


class ToySpec(Spec):
    """A kind that exists in this test only."""

    KIND: ClassVar[str] = "toy"
    SUMMARY: ClassVar[str] = "A fifth kind."
    word: str
    shape: Literal["round", "square"] = "round"
    geometry: ArtifactRef | None = None
    mesh: Mesh = Field(default_factory=Mesh)


def test_a_fifth_kind_needs_no_template(settings: Settings) -> None:
    kinds = {**KINDS, "toy": Kind(spec=ToySpec, builder="nowhere:build")}
    store = MemoryStore()
    with TestClient(
        create_app(settings, store=store, kinds=kinds), base_url=ORIGIN
    ) as client:
        reader = Reader(
            client=client, store=store, key=settings.admin_key_file.read_text().strip()
        )
        reader.post("/login", [("key", reader.key)])
        assert "/submit/toy" in reader.get("/submit").hrefs
        form = reader.get("/submit/toy").form("/submit/toy")
        assert form.files == ["spec.geometry"]
        answer = reader.post(
            form.action,
            form.fill(spec__word="hull", spec__shape="square", spec__mesh__size="0.5"),
        )
        assert answer.status_code == 303, answer.text
        record = reader.do(store.get(answer.headers["location"].removeprefix("/jobs/")))
        assert record.spec["word"] == "hull"
        assert record.spec["mesh"] == {"size": 0.5}
        assert "hull" in reader.get(f"/jobs/{record.id}").text


def test_an_unknown_kind_is_told_what_there_is(reader: Reader) -> None:
    assert (
        "expected one of antenna, compile, ilp, learn, plan, probe, sharding, got 'nope'"
        in reader.get("/submit/nope", status=404).text
    )


def test_an_example_fills_the_form(reader: Reader) -> None:
    page = reader.get("/submit/compile")
    assert page.links["Fill in an example"] == "/submit/compile?example=true"
    values = dict(
        reader.get("/submit/compile?example=true").form("/submit/compile").values
    )
    assert "int main" in values["spec.source_text"]
    assert values["spec.runs.0.arguments"] == "10"
    assert values["budget.evaluations"] == "40"
    assert values["spec.objective"] == "loadable_bytes", "the rest keeps its defaults"


def test_an_untouched_optional_group_is_not_part_of_the_request(reader: Reader) -> None:
    form = reader.get("/submit/compile?example=true").form("/submit/compile")
    answer = reader.post(form.action, form.fill())
    assert answer.status_code == 303, answer.text
    job_id = answer.headers["location"].removeprefix("/jobs/")
    assert reader.do(reader.store.get(job_id)).spec["image"] is None


@pytest.mark.parametrize("target", ["ilp", "compile", "sharding", "antenna"])
def test_a_learn_job_by_form(reader: Reader, target: str) -> None:
    form = reader.get("/submit/learn").form("/submit/learn")
    answer = reader.post(
        form.action,
        form.fill(spec__target=target),
        files={"spec.archive": ("mine.zip", b"PK\x05\x06" + bytes(18))},
    )
    assert answer.status_code == 303, answer.text
    job_id = answer.headers["location"].removeprefix("/jobs/")
    spec = reader.do(reader.store.get(job_id)).spec
    assert (spec["target"], spec["archive"]["name"]) == (target, "mine.zip")
    assert spec["sharding"] is spec["compile"] is spec["antenna"] is None
    page = reader.get(f"/jobs/{job_id}")
    assert "Progress" in page.text
    assert "Incumbent and bound" not in page.text
