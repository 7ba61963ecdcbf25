"""Names, searches, orders, saved views, comparison, timeline and examples on the pages."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import pytest

from services.web import kind_results, start
from services.web.start import SAMPLES
from tests.services.web.conftest import EVIL, Reader
from tests.services.web.html import Page
from trimtab.comparison import differences
from trimtab.results import EventType
from trimtab.specs import ShardingSpec


def jobs_of(page: Page) -> list[str]:
    return [href.removeprefix("/jobs/") for href in page.hrefs if "/jobs/job_" in href]


def test_a_list_is_searched_ordered_and_kept_as_a_view(reader: Reader) -> None:
    names = ["beta", EVIL, "Älpha", ""]
    ids = [reader.submit(name=name) for name in names]
    page = reader.get("/?q=ÄLPHA")
    assert jobs_of(page) == [ids[2]]
    assert jobs_of(reader.get("/?sort=name")) == [ids[1], ids[0], ids[2], ids[3]]
    assert jobs_of(reader.get("/?sort=-name&kind=probe"))[-1] == ids[3]
    assert "No job matches" in reader.get("/?q=nothing+like+this").text
    for query in ("sort=colour", "state=OPEN", "model=x", "created_after=yesterday"):
        assert "expected" in reader.get("/?" + query, status=400).text
    saved = reader.post("/views", [("name", EVIL), ("query", "q=beta&sort=name")])
    assert saved.headers["location"] == "/?q=beta&sort=name"
    page = reader.get("/?q=beta&sort=name")
    assert jobs_of(page) == [ids[0]]
    assert EVIL in page.text
    assert reader.post("/views/delete", [("name", EVIL)]).status_code == 303
    assert EVIL not in reader.get("/?q=beta").text
    for name, query in (("", "q=a"), ("x\u202ey", "q=a"), ("x", "colour=red")):
        answer = reader.post("/views", [("name", name), ("query", query)])
        assert answer.status_code in (400, 422), (name, query)


def test_pages_of_an_order_have_each_job_once(reader: Reader) -> None:
    ids = [reader.submit(name=f"n{n % 7}") for n in range(53)]
    page = reader.get("/?sort=name")
    seen = jobs_of(page)
    seen += jobs_of(reader.get(page.links["Next page"]))
    assert sorted(seen) == sorted(ids)
    other = page.links["Next page"].replace("sort=name", "sort=-gap")
    reader.get(other, status=400)  # a cursor of another order


def test_a_job_is_renamed(reader: Reader) -> None:
    job = reader.submit(name="first")
    assert (
        reader.post(f"/jobs/{job}/rename", [("name", "  second 🦀 ")]).status_code == 303
    )
    assert "second 🦀" in reader.get(f"/jobs/{job}").text
    assert reader.post(f"/jobs/{job}/rename", [("name", "x" * 121)]).status_code == 422
    answer = reader.post(f"/jobs/{job}/rename", [("name", "a\nb")])
    assert answer.status_code == 422
    assert "U+000A" in answer.text
    cross = reader.post(f"/jobs/{job}/rename", [("name", "x")], origin="http://evil.test")
    assert cross.status_code == 403


def test_jobs_are_compared_without_scripts(reader: Reader) -> None:
    ids = [reader.submit(name=f"<b>{n}</b>", seed=n) for n in range(2)]
    for n in range(2):
        job = reader.claim()
        point = {"elapsed_s": 0.5 + n, "objective": 9.0 - n, "bound": 1.0}
        reader.tell(job, (EventType.INCUMBENT, point))
        result = {"trace": [point], "objective": 9.0 - n, "summary": {"nodes": n}}
        reader.complete(job, result=result, best=point)
    page = reader.get(f"/compare?jobs={ids[0]}&jobs={ids[1]}")
    for words in ("seed", "summary.nodes", "best", "A: from 9 to 9", "<b>0</b>"):
        assert words in page.text
    picture = reader.client.get(f"/compare/curves.svg?jobs={','.join(ids)}")
    assert picture.headers["content-type"] == "image/svg+xml"
    assert "<b>" not in picture.text
    nine = ",".join(f"job_{n:026}" for n in range(9))
    for query in (ids[0], ids[0] + "," + ids[0], nine, ""):
        reader.get(f"/compare?jobs={query}", status=400)
    reader.get(f"/compare?jobs={ids[0]},job_{'0' * 26}", status=404)
    reader.get(f"/compare?jobs={ids[0]},{quote('<script>')}", status=404)


def test_a_job_that_has_not_begun_says_so(reader: Reader) -> None:
    first = reader.submit()
    waiting = reader.submit(after=[first])
    page = reader.get(f"/jobs/{waiting}")
    (label,) = [a["aria-label"] for tag, a in page.tags if a.get("class") == "timeline"]
    assert label.startswith("Waiting: ")
    assert "The run has not begun." in page.text


def test_the_timeline_says_what_happened(reader: Reader) -> None:
    job_id = reader.submit()
    job = reader.claim()
    reader.tell(job, (EventType.PHASE, {"phase": "search"}))
    page = reader.get(f"/jobs/{job_id}")
    (label,) = [a["aria-label"] for tag, a in page.tags if a.get("class") == "timeline"]
    assert label.startswith("Queued: ")
    assert "Attempt 1" in label
    reader.complete(job, result={"timings_s": {"search": 1.0}})
    assert "succeeded after" in str(reader.get(f"/jobs/{job_id}").tags)


def test_every_example_is_a_valid_request_and_runs_with_one_click(reader: Reader) -> None:
    page = reader.get("/start")
    kinds = [a["value"] for tag, a in page.tags if a.get("name") == "kind"]
    assert {"ilp", "sharding", "compile", "antenna", "plan", "learn"} <= set(kinds)
    for kind in kinds:
        answer = reader.post("/start", [("kind", kind)])
        assert answer.status_code == 303, kind
        assert answer.headers["location"].startswith("/jobs/job_")
        job = reader.client.get(f"/v1{answer.headers['location']}").json()
        assert job["kind"] == kind
    assert reader.post("/start", [("kind", "nope")]).status_code == 404


def test_samples_are_the_measurements_that_are_stored() -> None:
    (name,) = SAMPLES["learn"].files
    sample = Path(start.__file__).parent / "samples" / name
    results = Path(__file__).resolve().parents[3] / "deploy/docs/measured/results"
    stored = results / "2026-11-23-tbe-cpu.jsonl"
    assert sample.read_bytes() == stored.read_bytes()


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("cost_ms", 2.528632866506231, "2.53 ms"),
        ("memory_gib", 0.45678, "0.457 GiB"),
        ("gap", 0.01764, "1.76 %"),
        ("planning_s", 6.6156, "6.62 s"),
        ("interval_ms", [2.4748, 2.6264], "2.47 to 2.63 ms"),
        ("cost_ms", float("nan"), "nan"),
        ("devices", 8, "8"),
        ("ok", True, "yes"),
        ("note", None, "–"),
    ],
)
def test_values_have_three_digits_and_units(name: str, value: object, text: str) -> None:
    assert kind_results.measured(name, value) == text


def test_differences_show_where_long_texts_differ() -> None:
    one, other = "x" * 500 + "A" + "y" * 500, "x" * 500 + "B" + "y" * 500
    found = differences([{"a": {"b": one, "c": 1}}, {"a": {"b": other, "c": 1}, "d": []}])
    assert found.same == 1
    rows = {row.path: row.values for row in found.rows}
    assert rows["d"] == ("–", "[]")
    assert "A" in rows["a.b"][0]
    assert "B" in rows["a.b"][1]
    deep: object = 1
    for _ in range(5_000):
        deep = [deep]
    assert differences([deep, deep]).rows == ()
    assert len(differences([list(range(500)), [json.dumps({})]]).rows) == 200


def test_objectives_of_kinds_with_one_unit_have_it(reader: Reader) -> None:
    answer = reader.client.post(
        "/v1/jobs",
        json=dict(ShardingSpec.EXAMPLE or {}),
        headers={"authorization": f"Bearer {reader.key}"},
    )
    assert answer.status_code == 202, answer.text
    claims = reader.do(reader.store.claim("host", kinds=["sharding"], lease_s=30))
    point = {"elapsed_s": 0.5, "objective": 0.92, "bound": 0.9, "gap": 0.02}
    reader.tell(claims[0].job, (EventType.INCUMBENT, point))
    text = reader.get("/").text
    assert "0.92 ms" in text
    assert "0.9 ms" in text
