"""Formatting of values and sentences on the pages."""

from __future__ import annotations

import pytest

from services.web import formatting
from services.web.formatting import flat, sentence
from services.web.job_page import as_rows, is_table
from services.web.render import local_path, prose
from trimtab.results import Limit, Reason


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.0, "0"), (26374.0, "26,374"), (-1.5, "-1.5"), (1234567, "1,234,567"),
     (1e-9, "1e-09"), (26373.84561234, "26,373.8456"), (1e300, "1e+300"), (float("inf"), "inf")],
)  # fmt: skip
def test_number(value: float | None, text: str) -> None:
    assert formatting.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0042, "4 ms"), (0.42, "0.42 s"), (12.34, "12.3 s"), (59.97, "1 min 00 s"),
     (247, "4 min 07 s"), (3599.9, "1 h 00 min"), (11_100, "3 h 05 min"),
     (90_000, "1 d 1 h"), (None, "–")],
)  # fmt: skip
def test_seconds(value: float | None, text: str) -> None:
    assert formatting.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 %"), (0.00117, "0.12 %"), (1e-7, "1.0e-05 %"), (1, "100.00 %")],
)
def test_percent(value: float, text: str) -> None:
    assert formatting.percent(value) == text


def test_size() -> None:
    assert [formatting.size(n) for n in (0, 1023, 1024, 5 * 2**20, None)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "5.0 MiB",
        "–",
    ]


@pytest.mark.parametrize("reason", Reason)
@pytest.mark.parametrize("limit", [None, *Limit])
def test_every_termination_is_a_sentence(reason: Reason, limit: Limit | None) -> None:
    sentence = formatting.termination(
        {"reason": reason.value, "limit": limit and limit.value}
    )
    assert sentence[0].isupper()
    assert sentence.endswith(".")
    assert ".." not in sentence
    assert ".:" not in sentence


def test_a_newer_servers_reason_is_shown_as_it_came() -> None:
    assert formatting.termination({"reason": "abducted"}) == "abducted"


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "evil",
        "/a\nb",
        "",
        None,
    ],
)
def test_next_stays_here(path: str | None) -> None:
    assert local_path(path) == "/"


def test_next_keeps_a_path_with_its_query() -> None:
    assert local_path("/jobs/job_1?x=1&y=%20") == "/jobs/job_1?x=1&y=%20"


def test_prose_escapes() -> None:
    assert prose("`a<b>` <script>") == "<code>a&lt;b&gt;</code> &lt;script&gt;"


def test_flat() -> None:
    assert (
        flat({"a": [1, 2.5, None, True], "b": {"c": "x"}}) == "a: 1, 2.5, –, yes, b: c: x"
    )


def test_sentence_joins_detail_and_remedy() -> None:
    assert sentence("seed: expected 1, got 2", "leave it out") == (
        "Seed: expected 1, got 2. Leave it out."
    )
    assert sentence("Done.") == "Done."
    assert sentence("") == ""


def test_objects_by_name_become_a_table() -> None:
    arms = {"rins": {"calls": 2}, "random": {"calls": 1, "size": 5}}
    rows = as_rows(arms)
    assert rows == [
        {"name": "rins", "calls": 2},
        {"name": "random", "calls": 1, "size": 5},
    ]
    assert is_table(rows)
    for value in (3, {"a": 1, "b": 2}, {"only": {"a": 1}}, [{"a": 1}]):
        assert as_rows(value) == value
