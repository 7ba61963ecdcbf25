"""Pages become sections of prose; documents, and not sections, are split into parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from workers.train.text.passages import Section, page_sections, sections, sentences

PAGE = """<html><head><title>No</title></head><body>
<div class="navheader"><p>Go to the previous page or to the next page now.</p></div>
<h1>3.2. Backups<a class="headerlink">¶</a></h1>
<p>A <b>backup</b> is a copy of the data of one server, made while it runs.
<p>It is read again when the server has failed in some way.</p>
<pre>code that is longer than six words and is not read</pre>
<table><tr><td>a table with more than six words in one cell</td></tr></table>
<dl><dt>term</dt><dd><p>The meaning of a term with more than six words.</p></dd></dl>
<h2>Restore &amp; check</h2>
<p>Short one.</p>
<p>A restore reads the copy &ndash; and then the log of changes.</p>
<p>x = {1, 2, 3}; y[0] = (x + 4) * 5 / 6 - 7</p>
</body></html>"""


def test_prose_is_kept_under_its_heading() -> None:
    got = dict(page_sections(PAGE))
    assert got["Backups"] == (
        "A backup is a copy of the data of one server, made while it runs. "
        "It is read again when the server has failed in some way."
    )
    assert (
        got["Restore & check"]
        == "A restore reads the copy – and then the log of changes."
    )


@pytest.mark.parametrize("cut", range(0, len(PAGE), 37))
def test_a_page_that_is_cut_anywhere_is_read(cut: int) -> None:
    whole = " ".join(text for _, text in page_sections(PAGE))
    assert all(text in whole or cut for _, text in page_sections(PAGE[:cut]))


def test_sentences() -> None:
    assert sentences("One, e.g. this. Two is 3.5 long! (Three) ends") == [
        "One, e.g. this.",
        "Two is 3.5 long!",
        "(Three) ends",
    ]


def page(heading: str, word: str) -> str:
    text = " ".join(f"The {word} number {'x' * i} is made." for i in range(1, 20))
    return f"<h1>{heading}</h1><p>{text}</p>"


def test_repetitions_and_lists_of_changes_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(page("First", "thing"))
    (tmp_path / "b.html").write_text(page("Again", "thing"))
    (tmp_path / "c.html").write_text(page("Other", "item"))
    (tmp_path / "genindex-A.html").write_text(page("Index", "entry"))
    found = sections({"toy": str(tmp_path)})
    assert [section.document for section in found] == ["a.html", "c.html"]
    assert found[0].item == "First: The thing number x is made."
    assert found[0].sentences[0] == "The thing number xx is made."
    assert sections({"toy": str(tmp_path / "absent")}) == []
    few = sections({"toy": str(tmp_path)}, share=0.0)
    assert few == []


def test_all_sections_of_a_document_are_in_one_part() -> None:
    def section(document: int, number: int) -> Section:
        return Section(
            package="p", document=f"{document}", item=f"{number}", sentences=("a",)
        )

    parts = {d: {section(d, n).part for n in range(5)} for d in range(300)}
    assert all(len(found) == 1 for found in parts.values())
    held = sum(found != {"train"} for found in parts.values())
    assert 30 < held < 90
