"""Files of a report: Markdown, HTML, PDF, ledger and outline."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from search.domains.plan.report.render.html import html_of
from search.domains.plan.report.render.markdown import markdown_of
from search.domains.plan.report.render.pdf import pdf_of
from search.domains.plan.reports import Report
from search.types import Extra, Produced
from trimtab.plans import Outline


def report_files(
    report: Report, workdir: Path, *, outline: Outline
) -> Sequence[Produced | Extra]:
    """Write the files of a report into `workdir` and return them.

    The PDF is written last and by itself: without the package `typst` there is none, and the result
    says so.
    """
    ledger = {
        "format": report.format,
        "facts": [fact.model_dump(mode="json") for fact in report.facts],
        "report": report.model_dump(mode="json", exclude={"facts"}),
    }
    texts = {
        "report.md": (markdown_of(report), "text/markdown"),
        "report.html": (html_of(report), "text/html"),
        "ledger.json": (_json(ledger), "application/json"),
        "outline.json": (_json(outline.model_dump(mode="json")), "application/json"),
    }
    files: list[Produced | Extra] = []
    for name, (text, media_type) in texts.items():
        path = workdir / name
        path.write_text(text, encoding="utf-8")
        files.append(Produced(name=name, path=path, media_type=media_type))
    files.append(
        Extra(
            name="report.pdf",
            write=lambda path: path.write_bytes(pdf_of(report)),
            media_type="application/pdf",
        )
    )
    return files


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"
