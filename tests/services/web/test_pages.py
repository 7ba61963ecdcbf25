"""Every page and action without JavaScript, with hostile text in every value."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from services.web.render import CSP
from tests.services.web.conftest import EVIL, PATHS, Reader
from tests.services.web.html import Page
from tests.trimtab.test_pictures import CELLS, PLOT
from trimtab.results import EventType, JobState, Reason, Termination


def result(**more: Any) -> dict[str, Any]:
    return {
        "kind": "probe",
        "termination": {"reason": "feasible", "limit": "stopped", "detail": EVIL},
        "objective": 26374.0,
        "bound": 26000.5,
        "gap": 0.0142,
        "primal_integral": 1.25,
        "trace": [
            {
                "elapsed_s": 0.5,
                "objective": 26374.0,
                "bound": 26000.5,
                "gap": 0.0142,
                "source": EVIL,
            }
        ],
        "verification": {
            "status": "valid",
            "method": EVIL,
            "claimed_objective": 26374.25,
            "objective": 26374.0,
            "objective_exact": "52748/2",
            "max_violation": 0.0,
            "checks": {"rows": 12, EVIL: EVIL},
            "detail": EVIL,
        },
        "summary": {EVIL: {"deep": [EVIL]}},
        "timings_s": {"parse": 0.1, "search": 0.9},
        "seed": 0,
        "versions": {"highs": EVIL},
        **more,
    }


# -- every page --


@pytest.mark.parametrize("path", PATHS)
def test_pages_are_well_made(reader: Reader, path: str) -> None:
    answer = reader.client.get(path)
    assert answer.headers["content-security-policy"] == CSP
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    page = Page(answer.text)
    names = [tag for tag, _ in page.tags]
    assert names.count("h1") == 1
    assert {"main", "header", "nav"} <= set(names)
    assert len(page.ids) == len(set(page.ids))
    assert not [
        a
        for _, a in page.tags
        if "style" in a or any(name.startswith("on") for name in a)
    ]
    assert all(
        a.get("src", "/static/").startswith("/static/")
        for tag, a in page.tags
        if tag == "script"
    )
    controls = [
        a
        for tag, a in page.tags
        if tag in ("input", "select", "textarea") and a.get("type") != "hidden"
    ]
    labelled = {a["for"] for tag, a in page.tags if tag == "label" and "for" in a}
    assert all(a.get("id") in labelled or a.get("type") == "checkbox" for a in controls)
    for tag, a in page.tags:
        for ref in (
            a.get("aria-describedby", "") + " " + a.get("aria-labelledby", "")
        ).split():
            assert ref in page.ids, (tag, ref)


def test_static_files_are_cached_by_content(reader: Reader) -> None:
    page = reader.get("/")
    urls = [
        a.get("src") or a.get("href", "")
        for tag, a in page.tags
        if tag in ("script", "link")
    ]
    for url in urls:
        answer = reader.client.get(url)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert reader.client.get("/static/../pages.py").status_code == 404
    assert reader.client.get("/static/%2e%2e/pages.py").status_code == 404


def test_an_unknown_job_is_a_page_with_a_request_id(reader: Reader) -> None:
    page = reader.get("/jobs/job_nothing", status=404)
    assert "Request id" in page.text


# -- the list --


def test_filters_and_counts(reader: Reader) -> None:
    first = reader.submit(labels={"team": "a"})
    second = reader.submit(labels={"team": "b"})
    assert reader.claim().id == first
    page = reader.get("/")
    # Newest first.
    assert page.hrefs.index(f"/jobs/{second}") < page.hrefs.index(f"/jobs/{first}")
    assert page.links["Running 1"] == "/?state=RUNNING"
    page = reader.get(page.links["Running 1"])
    assert f"/jobs/{first}" in page.hrefs
    assert f"/jobs/{second}" not in page.hrefs
    assert f"/jobs/{second}" in reader.get("/?label=team%3Db").hrefs
    assert f"/jobs/{first}" not in reader.get("/?label=team%3Db").hrefs
    assert "No job matches" in reader.get("/?kind=ilp").text
    assert "Expected key=value" in reader.get("/?label=nonsense").text
    reader.get("/?state=nonsense", status=400)


def test_pages_of_the_list(reader: Reader) -> None:
    ids = [reader.submit() for _ in range(55)]
    page = reader.get("/")
    seen = [href for href in page.hrefs if href.startswith("/jobs/")]
    page = reader.get(page.links["Next page"])
    seen += [href for href in page.hrefs if href.startswith("/jobs/")]
    assert seen == [f"/jobs/{job}" for job in reversed(ids)]
    assert "Next page" not in page.links
    assert page.links["First page"] == "/"


# -- one job --


def test_a_job_from_queue_to_result(reader: Reader) -> None:
    job_id = reader.submit(labels={"note": EVIL})
    page = reader.get(f"/jobs/{job_id}")
    assert "waiting for a free worker" in page.text
    job = reader.claim()
    reader.tell(
        job,
        (EventType.PHASE, {"phase": "search", "detail": EVIL}),
        (EventType.LOG, {"level": "warning", "message": EVIL}),
        (
            EventType.INCUMBENT,
            {
                "elapsed_s": 0.5,
                "objective": 30000.0,
                "bound": None,
                "gap": None,
                "source": EVIL,
            },
        ),
    )
    page = reader.get(f"/jobs/{job_id}")
    assert "phase search" in page.text
    assert "30,000" in page.text
    assert "last heartbeat 0 s ago" in page.text
    answer = reader.post(page.form(f"/jobs/{job_id}/stop").action)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/jobs/{job_id}")
    page = reader.get(f"/jobs/{job_id}")
    assert "stopping" in page.text
    assert f"/jobs/{job_id}/stop" not in [form.action for form in page.forms]
    reader.complete(
        job,
        termination=result()["termination"],
        result=result(),
        best=result()["trace"][0],
    )
    answer = reader.client.get(f"/jobs/{job_id}")
    page = Page(answer.text)
    for text in (
        "Ended with a feasible solution: its owner stopped it and kept the best solution.",
        "Valid",
        "52748/2",
        "0 (exactly feasible)",
        "26,374.25",
        "returned a result",
        "1.25 s",
    ):
        assert text in page.text
    assert {f"/v1/jobs/{job_id}/result", f"/v1/jobs/{job_id}/input"} <= set(page.hrefs)
    assert "<script>alert" not in answer.text
    assert "<b>7</b>" not in answer.text
    assert page.text.count("alert('x')") >= 10  # shown, as text, everywhere it came from


def test_pictures_of_the_incumbent_are_drawn_until_the_result_has_its_own(
    reader: Reader,
) -> None:
    job_id = reader.submit()
    job = reader.claim()
    evil = {**PLOT, "title": EVIL, "alt": EVIL}
    point = {"elapsed_s": 0.5, "objective": 1.0, "pictures": [CELLS, evil]}
    reader.tell(job, (EventType.INCUMBENT, point))
    answer = reader.client.get(f"/jobs/{job_id}")
    assert "<script>alert" not in answer.text
    images = [a for tag, a in Page(answer.text).tags if tag == "img" and "id" in a]
    assert [image["alt"] for image in images] == ["metal. a cell", f"{EVIL}. {EVIL}"]
    for image in images:
        drawing = reader.client.get(image["src"])
        assert drawing.headers["content-type"] == "image/svg+xml"
        assert "sandbox" in drawing.headers["content-security-policy"]
        assert "<script" not in drawing.text
    missing = reader.client.get(f"/v1/jobs/{job_id}/pictures/2")
    assert missing.status_code == 404
    assert "which has 2, got 2" in missing.json()["detail"]
    assert "pictures" not in reader.client.get(f"/v1/jobs/{job_id}").json()["best"]
    events = reader.client.get(f"/v1/jobs/{job_id}/events?format=json").json()
    assert events[-1]["data"]["pictures"] == [CELLS, evil]
    artifact = {"digest": "sha256:" + "0" * 64, "media_type": "image/svg+xml"}
    done = result(artifacts={"a.svg": artifact}, alts={"a.svg": EVIL})
    reader.complete(job, termination=done["termination"], result=done, best=None)
    answer = reader.client.get(f"/jobs/{job_id}")
    assert "<script>alert" not in answer.text
    images = [a for tag, a in Page(answer.text).tags if tag == "img" and "id" in a]
    assert not images
    files = [a for tag, a in Page(answer.text).tags if a.get("alt") == EVIL]
    assert [file["src"] for file in files] == [f"/v1/jobs/{job_id}/artifacts/a.svg"]


@pytest.mark.parametrize(
    ("verb", "state"), [("cancel", JobState.CANCELLED), ("stop", JobState.CANCELLED)]
)
def test_a_queued_job_is_ended_at_once(
    reader: Reader, verb: str, state: JobState
) -> None:
    job_id = reader.submit()
    reader.post(f"/jobs/{job_id}/{verb}")
    assert reader.do(reader.store.get(job_id)).state is state


def test_retry_and_delete(reader: Reader) -> None:
    job_id = reader.submit()
    job = reader.claim()
    reader.complete(
        job,
        verb="fail",
        outcome="failed",
        termination={"reason": "invalid_input", "detail": "line 3"},
    )
    page = reader.get(f"/jobs/{job_id}")
    assert "The input is invalid. line 3" in page.text
    reader.post(page.form(f"/jobs/{job_id}/retry").action)
    assert reader.do(reader.store.get(job_id)).state is JobState.QUEUED
    assert reader.post(f"/jobs/{job_id}/delete").status_code == 409
    reader.post(f"/jobs/{job_id}/cancel")
    page = reader.get(f"/jobs/{job_id}")
    assert (
        reader.post(page.form(f"/jobs/{job_id}/delete").action).headers["location"] == "/"
    )
    reader.get(f"/jobs/{job_id}", status=404)


def test_the_list_says_why_a_job_failed(reader: Reader) -> None:
    reader.submit()
    ended = {"reason": "invalid_input", "detail": f"line 3: {EVIL}\n" + "x" * 300}
    reader.complete(reader.claim(), verb="fail", outcome="failed", termination=ended)
    reader.submit()
    reader.complete(reader.claim())
    page = reader.get("/")
    assert f"invalid input: line 3: {EVIL} xxx" in page.text
    assert "x" * 160 not in page.text, "the job's page has all of it"
    assert page.text.count("completed") == 0, "only failures have a reason"


@pytest.mark.parametrize("verb", ["stop", "cancel", "retry", "delete"])
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example", "sec-fetch-site": "cross-site"},
        {"origin": "null", "sec-fetch-site": "cross-site"},
        {"origin": "http://127.0.0.1:9", "sec-fetch-site": "same-site"},
        {"origin": "http://evil.example"},
    ],
)
def test_another_site_cannot_act(
    reader: Reader, verb: str, headers: dict[str, str]
) -> None:
    job_id = reader.submit()
    answer = reader.client.post(
        f"/jobs/{job_id}/{verb}", headers=headers, follow_redirects=False
    )
    assert answer.status_code == 403
    assert reader.do(reader.store.get(job_id)).state is JobState.QUEUED


def test_another_site_cannot_sign_a_browser_in_or_out(reader: Reader) -> None:
    for path in ("/login", "/logout"):
        answer = reader.post(
            path,
            [("key", reader.key)],
            origin="http://evil.example",
            **{"sec-fetch-site": "cross-site"},
        )
        assert answer.status_code == 403


# -- workers and keys --


def test_leases_are_shown(reader: Reader) -> None:
    job_id = reader.submit()
    reader.claim()
    page = reader.get("/workers")
    assert f"/jobs/{job_id}" in page.hrefs
    assert "host-1:<b>7</b>" in page.text  # as text


def test_a_key_is_made_shown_once_and_revoked(reader: Reader) -> None:
    form = reader.get("/keys").form("/keys")
    answer = reader.post(
        "/keys", form.fill(name=EVIL, tenant="team-b", days="30", scopes=["viewer"])
    )
    assert answer.status_code == 201, answer.text
    assert "<script>alert" not in answer.text
    secret = next(
        word for word in Page(answer.text).text.split() if word.startswith("tt_")
    )
    page = reader.get("/keys")
    assert secret not in page.text
    other = {"authorization": f"Bearer {secret}"}
    assert reader.client.get("/v1/jobs", headers=other).status_code == 200
    revoke = next(
        form
        for form in page.forms
        if form.action.endswith("/revoke") and secret.split("_")[1] in form.action
    )
    assert reader.post(revoke.action).status_code == 303
    reader.client.cookies.clear()
    assert reader.client.get("/v1/jobs", headers=other).status_code == 401


@pytest.mark.parametrize(
    ("name", "value"),
    [("name", ""), ("days", "0"), ("days", "9" * 50), ("scopes", "root")],
)
def test_a_wrong_key_form_is_told(reader: Reader, name: str, value: str) -> None:
    form = reader.get("/keys").form("/keys")
    good: dict[str, Any] = {"name": "n", "tenant": "t", "scopes": ["viewer"]}
    answer = reader.post("/keys", form.fill(**{**good, name: value}))
    assert answer.status_code == 422
    assert len(reader.do(reader.store.list_keys())) == 1


def test_a_viewer_sees_and_cannot_act(reader: Reader) -> None:
    job_id = reader.submit()
    form = reader.get("/keys").form("/keys")
    answer = reader.post(
        "/keys", form.fill(name="v", tenant="default", scopes=["viewer"])
    )
    secret = next(
        word for word in Page(answer.text).text.split() if word.startswith("tt_")
    )
    reader.client.cookies.clear()
    assert reader.post("/login", [("key", secret)]).status_code == 303
    page = reader.get("/")
    assert not {"/keys", "/submit"} & set(page.hrefs)
    assert [form.action for form in reader.get(f"/jobs/{job_id}").forms] == ["/logout"]
    reader.get("/keys", status=403)
    reader.get("/submit/probe", status=403)
    assert reader.post(f"/jobs/{job_id}/cancel").status_code == 403
    assert reader.do(reader.store.get(job_id)).state is JobState.QUEUED


def test_another_tenants_job_is_not_there(reader: Reader) -> None:
    job_id = reader.submit()
    form = reader.get("/keys").form("/keys")
    answer = reader.post(
        "/keys", form.fill(name="o", tenant="other", scopes=["viewer", "submitter"])
    )
    secret = next(
        word for word in Page(answer.text).text.split() if word.startswith("tt_")
    )
    reader.client.cookies.clear()
    reader.post("/login", [("key", secret)])
    assert "No jobs yet" in reader.get("/").text
    reader.get(f"/jobs/{job_id}", status=404)
    reader.get(f"/submit/probe?from={job_id}", status=404)
    assert reader.post(f"/jobs/{job_id}/cancel").status_code == 404


def test_a_certificate_fills_bound_and_gap_and_says_whose_they_are(
    reader: Reader,
) -> None:
    """A sharding result has no bound of its own: pages show the certificate's."""
    from services.dispatcher.recording import completion_of
    from workers.types import Outcome, OutcomeStatus

    certificate = {
        "model_ms": 2.0,
        "lower_bound_ms": 1.5,
        "gap": 0.25,
        "statement": "no plan can be more than 25.0 % cheaper",
    }
    outcome_json = result(
        bound=None, gap=None, trace=[], summary={"certificate": certificate}
    )
    ended = Termination(reason=Reason.COMPLETED)
    outcome = Outcome(status=OutcomeStatus.RESULT, termination=ended, result=outcome_json)
    completion = completion_of(outcome, retry_delay_s=0.0)
    job_id = reader.submit()
    reader.complete(reader.claim(), result=outcome_json, best=completion.best)
    page = reader.get(f"/jobs/{job_id}")
    assert "Bound 1.5 certified model" in page.text
    assert "Gap 25.00 % certified model" in page.text
    assert "no plan can be more than 25.0 % cheaper" in page.text
    listed = reader.get("/")
    assert "25.00 %" in listed.text


def test_lists_in_a_check_are_tables(reader: Reader) -> None:
    job_id = reader.submit()
    job = reader.claim()
    rows = [{"band": "bands[0]", "verdict": "pass", "worst_db": -12.5}]
    checks = {"bands": rows, "second_solver": {"verdict": "fail", "bands": rows}}
    done = result(verification={"status": "valid", "checks": checks})
    reader.complete(job, termination=done["termination"], result=done, best=None)
    page = reader.get(f"/jobs/{job_id}")
    for words in ("Bands", "Second solver: bands", "Second solver: Verdict fail"):
        assert words in page.text
    titles = [a for _, a in page.tags if (a.get("id") or "").startswith("h-check-")]
    assert len(titles) == 2
    assert page.text.count("-12.5") == 2
    assert "verdict: pass" not in page.text


def test_the_engines_log_is_shown_escaped_and_by_its_end(reader: Reader) -> None:
    job_id = reader.submit()
    assert "Engine log" not in reader.get(f"/jobs/{job_id}").text
    job = reader.claim()
    printed = {"level": "printed", "message": f"Running HiGHS\n{EVIL}"}
    lines = [
        {"level": "printed", "message": "\n".join(f"{n} line {m}" for m in range(90))}
        for n in range(100)
    ]
    reader.tell(job, (EventType.LOG, printed))
    page = reader.get(f"/jobs/{job_id}")
    assert f"Running HiGHS {EVIL}" in page.text, "as text, not as markup"
    reader.tell(job, *((EventType.LOG, line) for line in lines))
    page = reader.get(f"/jobs/{job_id}")
    assert "99 line 89" in page.text
    assert "Running HiGHS" not in page.text
    link = page.links["Whole log as text"]
    whole = reader.client.get(link)
    assert whole.headers["content-type"] == "text/plain; charset=utf-8"
    assert whole.text.splitlines()[:2] == ["Running HiGHS", *EVIL.splitlines()[:1]]
    assert whole.text.splitlines()[-1] == "99 line 89"
    path = f"/v1/jobs/{job_id}/log"
    assert reader.client.get(f"{path}?max_bytes=30").text == "99 line 88\n99 line 89"
    assert reader.client.get(f"{path}?max_bytes=4").text == "e 89"
    assert reader.client.get(f"{path}?max_bytes=0").status_code == 422


def test_static_files_are_compressed_for_those_who_read_it(stranger: Reader) -> None:
    def styles(**headers: str) -> httpx2.Response:
        (link,) = [
            a["href"]
            for name, a in stranger.get("/login").tags
            if name == "link" and a.get("rel") == "stylesheet"
        ]
        return stranger.client.get(link, headers=headers)

    plain = styles(**{"accept-encoding": "identity"})
    packed = styles(**{"accept-encoding": "br, gzip"})
    assert packed.content == plain.content
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < 0.4 * len(plain.content)
    for answer in (plain, packed):
        assert "accept-encoding" in answer.headers["vary"].lower()
        assert answer.headers["content-type"].startswith("text/css")
        assert "immutable" in answer.headers["cache-control"]
    for refused in (
        {"accept-encoding": "gzip;q=0"},
        {"accept-encoding": "gzip", "range": "bytes=0-9"},
    ):
        assert "content-encoding" not in styles(**refused).headers
    again = styles(
        **{
            "accept-encoding": "gzip",
            "if-modified-since": packed.headers["last-modified"],
        }
    )
    assert again.status_code == 304
