"""Output formats: links, no markup of users, nothing to fetch, the same bytes twice."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from search.domains.plan.report import report_files
from search.domains.plan.report.render.html import html_of
from search.domains.plan.report.render.markdown import escape, markdown_of
from search.domains.plan.report.render.pdf import pdf_of
from search.domains.plan.reports import Report
from search.types import Extra
from tests.search.domains.plan.ended import hostile_plan, plan_of, report_of
from workers.bench.plan.results import HOSTILE

PLAN = plan_of()
REPORT = report_of(PLAN)


class Tags(HTMLParser):
    """Collects the elements of a page, their attributes and the ids."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


def shape(report: Report) -> tuple[list[str], list[str]]:
    page = Tags(html_of(report))
    return page.tags, [name for name, _ in page.attributes]


def test_html_loads_nothing_and_runs_nothing() -> None:
    page = Tags(html_of(REPORT))
    assert "default-src 'none'" in html_of(REPORT)
    assert not {"script", "link", "iframe", "object", "img"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    links = [value for name, value in page.attributes if name in ("href", "src")]
    assert links
    assert all(
        re.match(r"(/jobs/[\w%]+(#[\w/%.~-]*)?|#[\w.-]+)$", link) for link in links
    )
    assert page.tags.count("svg") == sum(
        len(part.plots) for section in REPORT.sections for part in section.parts
    )


def test_links_are_whole_where_the_server_is_known() -> None:
    site = "https://opt.example/trimtab"
    known = REPORT.model_copy(update={"site": site})
    links = [
        value
        for name, value in Tags(html_of(known)).attributes
        if name == "href" and not value.startswith("#")
    ]
    assert links
    assert all(link.startswith(f"{site}/jobs/") for link in links)
    assert "](</jobs/" not in markdown_of(known)
    assert f"](<{site}/jobs/" in markdown_of(known)
    assert f"({site}/jobs/".encode() in pdf_of(known)
    # A link without a host is dead in a file that stands alone.
    assert b"/URI" not in pdf_of(REPORT)


def test_plots_of_a_page_keep_their_styles_to_themselves() -> None:
    page = html_of(REPORT)
    scopes = re.findall(r'<svg class="(plot-\d+)"', page)
    assert len(scopes) == len(set(scopes)) == page.count("<svg ")
    styles = re.findall(r"<svg.*?<style>(.*?)</style>", page, re.DOTALL)
    for scope, style in zip(scopes, styles, strict=True):
        own = re.findall(rf"(?:svg)?\.{scope}[^,{{}}]*{{color:", style)
        assert len(own) == style.count("{color:")


def test_links_inside_the_page_have_a_target() -> None:
    page = Tags(html_of(REPORT))
    ids = {value for name, value in page.attributes if name == "id"}
    inside = {v[1:] for n, v in page.attributes if n == "href" and v.startswith("#")}
    assert inside <= ids


@pytest.mark.parametrize("text", HOSTILE)
def test_text_of_users_changes_no_format(text: str) -> None:
    """A report with hostile texts has the structure of one with harmless ones."""
    plain, hostile = (report_of(hostile_plan(t)) for t in ("harmless", text))
    assert shape(plain) == shape(hostile)
    blocks = [
        [(token.type, token.tag) for token in parsed]
        for parsed in map(_tokens, (plain, hostile))
    ]
    assert blocks[0] == blocks[1]
    inline = [
        [
            child.type
            for token in _tokens(report)
            for child in token.children or ()
            if child.type not in ("text", "text_special", "softbreak")
        ]
        for report in (plain, hostile)
    ]
    assert inline[0] == inline[1]
    assert pdf_of(hostile).startswith(b"%PDF-")


def _tokens(report: Report) -> list[Any]:
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    return parser.parse(markdown_of(report))


def test_numbers_of_the_markdown_link_to_their_jobs() -> None:
    text = markdown_of(REPORT)
    assert "[1,824](</jobs/job_highs#/result/objective>)" in text
    outside = re.sub(r"\[[^\]]*\]\(<[^>]*>\)|^\|.*|^#.*|“[^”]*”", "", text, flags=re.M)
    body = outside.partition("## Table of facts")[0]
    # What is left of digits: names of levels, versions and words of runs.
    assert not re.findall(r"(?<![\w-])\d+(?:\.\d+)? (?:ms|s|%|dB|GHz)\b", body)


def test_the_pdf_is_the_same_twice_and_links_its_figures() -> None:
    first = pdf_of(REPORT)
    assert first == pdf_of(REPORT)
    assert first.count(b"/Link") > 100


def test_files_are_written_and_named(tmp_path: Path) -> None:
    files = report_files(REPORT, tmp_path, outline=PLAN[0])
    for file in files:
        if isinstance(file, Extra):
            file.write(tmp_path / file.name)
    assert {file.name for file in files} == {path.name for path in tmp_path.iterdir()}
    assert {"report.md", "report.html", "report.pdf", "ledger.json", "outline.json"} == {
        file.name for file in files
    }


def test_a_note_is_escaped_only_where_it_must_be() -> None:
    assert escape("language model: not ready") == "language model: not ready"
    assert escape("http://evil.example :x:") == r"http\://evil.example \:x\:"
