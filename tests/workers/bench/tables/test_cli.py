"""The pages under deploy/docs/measured equal the stored results; the README repeats them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from workers.bench.tables import cli
from workers.bench.tables.page import Headline, Page, Table, render
from workers.bench.tables.results import MEASURED, RESULTS, Source

ROOT = Path(__file__).resolve().parents[4]
SOURCE = Source(files=("2026-01-02-x",), machine="a machine", seeds="seed 0")


def table(**changes: object) -> Table:
    fields = {
        "title": "T",
        "columns": ("a", "b"),
        "rows": [("1", "2")],
        "command": "true",
        "source": SOURCE,
    }
    return Table(**{**fields, **changes})  # type: ignore[arg-type]


def test_the_pages_are_up_to_date() -> None:
    stale = [
        file.name for file, text in cli.contents().items() if file.read_text() != text
    ]
    assert not stale, "run python -m workers.bench tables"


def test_check_reports_a_stale_page_and_writes_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "ilp.md"
    page.write_text("old")
    monkeypatch.setattr(cli, "contents", lambda: {page: "new"})
    assert cli.main(["--check"]) == 1
    assert page.read_text() == "old"
    assert "out of date" in capsys.readouterr().err
    assert cli.main([]) == 0
    assert page.read_text() == "new"
    assert cli.main(["--check"]) == 0


def test_every_table_names_its_command_machine_seed_and_date() -> None:
    for page in cli.pages().values():
        assert page.tables
        for shown in page.tables:
            text = shown.source.sentence()
            assert re.search(r"Measured on 2\d{3}-\d\d-\d\d", text)
            assert "seed" in text
            assert "machine" in text or "AMD" in text
            assert shown.command
            assert all(
                (RESULTS / f"{file}.jsonl").is_file() for file in shown.source.files
            )


def test_tables_have_at_most_six_columns() -> None:
    wide = [
        t.title
        for page in cli.pages().values()
        for t in page.tables
        if len(t.columns) > 6
    ]
    assert not wide


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 2 cells, got 1"):
        table(rows=[("1",)])


def test_a_page_shows_title_table_command_and_source() -> None:
    page = Page(
        title="P", intro="", tables=[table()], headline=Headline(against="x", better="y")
    )
    text = render(page)
    assert "# P\n" in text
    assert "| a | b |\n| --- | --- |\n| 1 | 2 |" in text
    assert "```bash\ntrue\n```" in text
    assert "2026-01-02; a machine; seed 0." in text


def test_the_readme_repeats_the_headlines() -> None:
    headlines = json.loads((MEASURED / "headlines.json").read_text())
    rows = [
        row for row in (ROOT / "README.md").read_text().splitlines() if row[:1] == "|"
    ]
    for suite, headline in headlines.items():
        (row,) = (row for row in rows if headline["page"] in row)
        assert headline["better"] in row, suite
        assert headline["against"] in row, suite
