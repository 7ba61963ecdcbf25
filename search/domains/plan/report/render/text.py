"""Text of a report's pieces, for every output format."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from search.domains.plan.reports import Entry, Passages, Piece, Report

NO_BREAK = "\u00a0"
RUN_IN: Mapping[Passages, str] = {
    "asked": "Request",
    "outcome": "Result",
    "check": "Check",
    "limits": "Limits",
}
_SHORT = 3  # units of up to so many letters have no plural


@dataclass(frozen=True, kw_only=True)
class Run:
    """A stretch of text; a figure has a place to link to."""

    text: str
    fact: str = ""
    figure: bool = False  # a number, in contrast to words of the outline or of a run
    href: str = ""
    title: str = ""


class Facts:
    """The facts of a report, with their texts and links."""

    def __init__(self, report: Report) -> None:
        self.by_id = {fact.id: fact for fact in report.facts}
        self._site = report.site

    @property
    def whole(self) -> bool:
        """True where addresses have a host, so that they work in a file by itself."""
        return bool(self._site)

    def runs(self, pieces: Sequence[Piece]) -> Iterator[Run]:
        """Yield the text of some pieces in order."""
        for piece in pieces:
            if piece.fact is None:
                yield Run(text=piece.text)
                continue
            fact = self.by_id[piece.fact]
            yield Run(
                text=fact.shown if piece.bare else with_unit(fact),
                fact=fact.id,
                figure=is_figure(fact),
                href=self.href(fact),
                title=self.origin(fact),
            )

    def plain(self, pieces: Sequence[Piece]) -> str:
        """Return the text of some pieces."""
        return "".join(run.text for run in self.runs(pieces))

    def source(self, fact: Entry) -> Entry | None:
        """Return the first measured fact that a fact rests on; itself, if it was measured."""
        seen = set()
        while fact.job is None:
            if not fact.of or fact.id in seen:
                return None
            seen.add(fact.id)
            fact = self.by_id[fact.of[0]]
        return fact

    def href(self, fact: Entry) -> str:
        """Return the address of the job that measured a fact, or what it rests on."""
        source = self.source(fact)
        if source is None or source.job is None:
            return ""
        return f"{self.job(source.job)}#{quote(source.pointer, safe='/')}"

    def job(self, job: str) -> str:
        """Return the address of a job: whole where the server's is known."""
        return f"{self._site}/jobs/{quote(job, safe='')}"

    def origin(self, fact: Entry) -> str:
        """Return where a fact comes from, in a few words."""
        if fact.op:
            return f"fact {fact.id}: {fact.op.replace('_', ' ')} of {', '.join(fact.of)}"
        return f"fact {fact.id}: {fact.pointer}, {fact.verified}"

    def appendix(self, report: Report) -> list[Entry]:
        """Return the facts that the text states, and those that they rest on, in their order."""
        pending = [
            piece.fact
            for section in report.sections
            for part in section.parts
            for passage in part.passages
            for sentence in passage.sentences
            for piece in sentence.pieces
            if piece.fact is not None
        ]
        listed: set[str] = set()
        arguments: set[str] = set()
        while pending:
            one = pending.pop()
            if one not in listed:
                listed.add(one)
                pending += self.by_id[one].of
                arguments |= set(self.by_id[one].of)
        return [
            fact
            for fact in report.facts
            if fact.id in listed and (fact.id in arguments or is_figure(fact))
        ]


def is_figure(fact: Entry) -> bool:
    """Return True for a number."""
    return isinstance(fact.value, str) and bool(
        re.fullmatch(r"-?\d+(\.\d*)?([eE][+-]?\d+)?", fact.value)
    )


def with_unit(fact: Entry) -> str:
    """Return a fact's text with its unit, in the singular for one."""
    unit = fact.unit
    if not unit:
        return fact.shown
    if fact.shown == "1" and unit.endswith("s") and len(unit) > _SHORT:
        unit = unit[:-1]
    return f"{fact.shown}{NO_BREAK}{unit}"
