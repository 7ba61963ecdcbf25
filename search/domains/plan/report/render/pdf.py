"""A report as PDF, set by Typst, which needs no library of the system.

The document is a constant program; the report reaches it as data, so that no text of a user or of
a run is ever read as markup. Nothing is fetched: the program names no package and no file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from search.domains.plan.report.render.drawing import svg_of
from search.domains.plan.report.render.text import RUN_IN, Facts, with_unit
from search.domains.plan.reports import Part, Passage, Piece, Report, Section

_PROGRAM = Path(__file__).parent / "report.typ"
Json = dict[str, Any]


def pdf_of(report: Report) -> bytes:
    """Return the PDF of a report: the same bytes for the same report.

    Raises ModuleNotFoundError without the package `typst`.
    """
    import typst  # only where a PDF is written: the package has 34 MB

    data = json.dumps(_data(report), ensure_ascii=False)
    made: bytes = typst.compile(
        _PROGRAM.read_bytes(),
        format="pdf",
        sys_inputs={"report": data},
        ignore_system_fonts=True,
        timestamp=0,
    )
    return made


def _data(report: Report) -> Json:
    facts = Facts(report)
    goal = next((fact.shown for fact in report.facts if fact.name == "goal"), "")
    rows = facts.appendix(report)
    listed = {fact.id for fact in rows}
    return {
        "title": report.title,
        "goal": goal,
        "sections": [_section(section, facts, listed) for section in report.sections],
        "facts": [
            {
                "id": fact.id,
                "href": facts.href(fact) if facts.whole and not fact.op else "",
                "cells": [
                    fact.id,
                    fact.label or fact.name,
                    str(fact.value),
                    with_unit(fact),
                    fact.verified,
                    f"{fact.op.replace('_', ' ')} of {', '.join(fact.of)}"
                    if fact.op
                    else f"{fact.job or 'outline'} {fact.pointer}",
                ],
            }
            for fact in rows
        ],
    }


def _section(section: Section, facts: Facts, listed: set[str]) -> Json:
    lines = section.id in ("summary", "not_done")
    return {
        "heading": facts.plain(section.heading),
        "parts": [_part(part, facts, listed, lines) for part in section.parts],
    }


def _part(part: Part, facts: Facts, listed: set[str], lines: bool) -> Json:
    return {
        "heading": facts.plain(part.heading),
        "job": part.job,
        "href": facts.job(part.job) if facts.whole else "",
        "passages": [
            {
                "item": lines and bool(passage.leaf),
                "label": RUN_IN.get(passage.about, ""),
                "runs": _runs(passage, facts, listed),
            }
            for passage in part.passages
        ],
        "plots": [{"svg": _still(svg_of(plot)), "alt": plot.alt} for plot in part.plots],
    }


def _runs(passage: Passage, facts: Facts, listed: set[str]) -> list[Json]:
    pieces: list[Piece] = []
    for sentence in passage.sentences:
        if pieces:
            pieces.append(Piece(text=" "))
        pieces += sentence.pieces
    return [
        {"text": run.text, "fact": run.fact if run.fact in listed else ""}
        for run in facts.runs(pieces)
    ]


def _still(svg: str) -> str:
    """Return a drawing without its rules for dark pages, which a page of paper has not."""
    head, _, rest = svg.partition("@media")
    return svg if not rest else head + rest[rest.index("</style>") :]
