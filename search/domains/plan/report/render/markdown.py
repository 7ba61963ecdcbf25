"""A report as Markdown: each figure is a link to its job. Text of users is escaped."""

from __future__ import annotations

import re
from collections.abc import Iterator

from search.domains.plan.report.render.text import RUN_IN, Facts, Run, with_unit
from search.domains.plan.reports import Entry, Part, Passage, Piece, Report

# Marks of CommonMark, and those that make links of addresses; text never begins a line.
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#!|~&$@^]|:(?! )|(?<=www)\.)", re.IGNORECASE)


def markdown_of(report: Report) -> str:
    """Return the Markdown of a report."""
    return "\n".join(_lines(report)).rstrip() + "\n"


def escape(text: str) -> str:
    """Return text that CommonMark and its common extensions show as it is."""
    return _SPECIAL.sub(r"\\\1", text)


def _lines(report: Report) -> Iterator[str]:
    facts = Facts(report)
    yield f"# {report.title}"
    yield ""
    goal = next((fact for fact in report.facts if fact.name == "goal"), None)
    if goal is not None:
        yield f"> “{escape(goal.shown)}”"
        yield ""
    for section in report.sections:
        yield f"## {_inline(section.heading, facts)}"
        yield ""
        for part in section.parts:
            yield from _part(part, facts)
    yield from _table(facts.appendix(report), facts)


def _part(part: Part, facts: Facts) -> Iterator[str]:
    if part.heading:
        yield f"### {_inline(part.heading, facts)}"
        yield ""
    if part.job:
        yield f"Job [{escape(part.job)}](<{facts.job(part.job)}>)"
        yield ""
    listed = [
        passage
        for passage in part.passages
        if passage.leaf and passage.about in ("summary", "not_done")
    ]
    for passage in part.passages:
        if passage not in listed:
            yield _passage(passage, facts)
            yield ""
    for passage in listed:
        yield f"- {_passage(passage, facts)}"
    if listed:
        yield ""


def _passage(passage: Passage, facts: Facts) -> str:
    text = " ".join(_inline(s.pieces, facts) for s in passage.sentences)
    label = RUN_IN.get(passage.about)
    return f"**{label}.** {text}" if label else text


def _inline(pieces: tuple[Piece, ...], facts: Facts) -> str:
    return "".join(map(_run, facts.runs(pieces)))


def _run(run: Run) -> str:
    if not run.fact:
        return run.text
    text = escape(run.text)
    return f"[{text}](<{run.href}>)" if run.figure and run.href else text


def _table(rows: list[Entry], facts: Facts) -> Iterator[str]:
    yield "## Table of facts"
    yield ""
    yield "| Fact | What | Value | Shown | How far checked | Source |"
    yield "|---|---|---|---|---|---|"
    for fact in rows:
        cells = (
            fact.id,
            fact.label or fact.name,
            str(fact.value),
            with_unit(fact),
            fact.verified,
            _source(fact, facts),
        )
        yield f"| {' | '.join([*map(escape, cells[:-1]), cells[-1]])} |"


def _source(fact: Entry, facts: Facts) -> str:
    if fact.op:
        return escape(f"{fact.op.replace('_', ' ')} of {', '.join(fact.of)}")
    text = f"{fact.job or 'outline'} {fact.pointer}"
    href = facts.href(fact)
    return f"[{escape(text)}](<{href}>)" if href else escape(text)
