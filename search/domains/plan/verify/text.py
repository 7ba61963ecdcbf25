"""Each sentence of a report, held against its template and the facts."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from search.domains.plan.reports import Entry, Passage, Piece, Report, Sentence
from search.domains.plan.verify import tables

_PART = re.compile(r"\{[a-z_.*]+#?\}")
_SCORE = {"antenna": "margin"}
Names = Mapping[str, Entry]


class Reader:
    """Looks up the facts that a passage may use, by the names of the templates."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.by_id = {entry.id: entry for entry in entries}
        self.leaves: dict[str, dict[str, Entry]] = {}
        for entry in entries:
            self.leaves.setdefault(entry.leaf, {})[entry.name] = entry

    def names(self, passage: Passage) -> Names:
        """Return the facts that a passage may name."""
        if passage.about != "comparison":
            return self.leaves.get(passage.leaf, {})
        stem = passage.id.removeprefix("comparison.") + "."
        plan = self.leaves.get("", {})
        facts = {n.removeprefix(stem): e for n, e in plan.items() if n.startswith(stem)}
        for name in list(facts):
            if name.startswith("behind."):
                leaf = self.leaves[name.removeprefix("behind.")]
                end = name.removeprefix("behind.")
                kind = str(leaf["kind"].value)
                facts[f"title.{end}"] = leaf["title"]
                facts[f"score.{end}"] = leaf[_SCORE.get(kind, "objective")]
        return facts

    def scope(self, passage: Passage) -> str:
        """Return which templates a passage may use."""
        if passage.about == "comparison":
            return "group"
        return "leaf" if passage.leaf else "plan"


def faults(report: Report) -> Iterator[str]:
    """Yield what is wrong with the text of a report."""
    reader = Reader(report.facts)
    if has_digit(report.title):
        yield "the title has a digit outside a slot"
    for section in report.sections:
        for heading in (section.heading, *(part.heading for part in section.parts)):
            yield from _slotted(heading, reader, f"heading of {section.id}")
        for part in section.parts:
            for passage in part.passages:
                yield from _passage(passage, reader)


def has_digit(text: str) -> bool:
    """Return True for a text with a digit or another character that stands for a number."""
    return any(c.isdigit() or unicodedata.numeric(c, None) is not None for c in text)


def prose_fault(pieces: Sequence[Piece]) -> str:
    """Return why a sentence of a language model may not stand; empty when it may."""
    if any(piece.fact is not None for piece in pieces):
        return "has a slot"
    rows = tables.prose()
    openings = "|".join(map(re.escape, rows["openings"].strip().splitlines()))
    telling = "|".join(word.replace("-", " ") for word in rows["telling"].split())
    text = "".join(piece.text for piece in pieces)
    match = re.fullmatch(rf"(?:{openings}) (?:{telling})((?:,? [a-z]+)+)\.", text)
    if match is None:
        return "does not say plainly what a part is about"
    allowed = set(rows["common"].split())
    for words in rows["words"].values():
        allowed |= set(words.split())
    for word in match[1].replace(",", " ").split():
        if word not in allowed or word in rows["banned"].split():
            return f"has the word {word!r}"
    return ""


def _slotted(pieces: Sequence[Piece], reader: Reader, where: str) -> Iterator[str]:
    for piece in pieces:
        if (piece.fact is None) == (not piece.text):
            yield f"{where}: a piece is not exactly one of text and slot"
        elif piece.fact is not None and piece.fact not in reader.by_id:
            yield f"{where}: the slot {piece.fact} has no fact"
        elif has_digit(piece.text):
            yield f"{where}: a digit outside a slot in {piece.text!r}"


def _passage(passage: Passage, reader: Reader) -> Iterator[str]:
    names = reader.names(passage)
    scope = reader.scope(passage)
    groups: Counter[tuple[str, str]] = Counter()
    for sentence in passage.sentences:
        where = f"{passage.id}, {sentence.template or sentence.source}"
        yield from _slotted(sentence.pieces, reader, where)
        if sentence.source == "model":
            fault = prose_fault(sentence.pieces)
            if fault:
                yield f"{where}: a sentence of the model {fault}"
            continue
        if sentence.template == "figures":
            yield from _figures(sentence, passage, reader, where)
            continue
        row = tables.templates().get(sentence.template)
        if row is None:
            yield f"{where}: no such template"
            continue
        groups[str(row["group"]), sentence.index] += 1
        fault = _template_fault(sentence, passage, row, scope, names)
        if fault:
            yield f"{where}: {fault}"
    for (group, index), count in groups.items():
        if count > 1:
            yield f"{passage.id}: contradiction, group {group} speaks {count} times {index}"
    in_slots = {p.fact for s in passage.sentences for p in s.pieces if p.fact is not None}
    for missing in set(passage.evidence) - in_slots:
        yield f"{passage.id}: evidence {missing} is not stated"


def _template_fault(
    sentence: Sentence, passage: Passage, row: tables.Row, scope: str, names: Names
) -> str:
    joins = row["file"] == "joiners"
    if joins != (sentence.source == "joiner"):
        return f"is no {sentence.source}"
    if row["passage"] != passage.about or row.get("scope", "leaf") != scope:
        return f"does not belong to {passage.about} of a {scope}"
    kind = row.get("kind", "")
    if kind and not _of_kind(kind, names):
        return f"is for kind {kind}"
    for condition in row.get("when", ()):
        if not holds(condition, sentence.index, names):
            return f"contradiction: {condition} does not hold"
    return _wording_fault(sentence, row, names)


def _of_kind(kind: str, names: Names) -> bool:
    own = str(names["kind"].value) if "kind" in names else ""
    kinds = {str(row.get("kind")) for row in tables.templates().values()}
    return own == kind or (kind == "other" and own not in kinds - {"other"})


def holds(condition: str, index: str, names: Names) -> bool:
    """Return whether a condition of a template is true of the facts."""
    mark, name = (
        (condition[0], condition[1:]) if condition[0] in "!~" else ("", condition)
    )
    if name.endswith(".*") and not index:
        match = any(one.startswith(name[:-1]) for one in names)
        return match is not (mark == "!")
    entry = names.get(name.replace("*", index))
    if mark == "!":
        return entry is None or entry.value is False
    if mark == "~":
        return entry is not None and entry.value is False
    return entry is not None and entry.value is not False


def _wording_fault(sentence: Sentence, row: tables.Row, names: Names) -> str:
    if not 0 <= sentence.wording < len(row["say"]):
        return "no such wording"
    text = str(row["say"][sentence.wording])
    expected: list[tuple[str, str, bool]] = []
    at = 0
    for match in _PART.finditer(text):
        if match.start() > at:
            expected.append((text[at : match.start()], "", False))
        slot = match[0].strip("{}")
        entry = names.get(slot.rstrip("#").replace("*", sentence.index))
        if entry is None:
            return f"there is no fact {slot}"
        expected.append(("", entry.id, slot.endswith("#")))
        at = match.end()
    if at < len(text):
        expected.append((text[at:], "", False))
    got = [(piece.text, piece.fact or "", piece.bare) for piece in sentence.pieces]
    return (
        "" if got == expected else "its text or its slots are not those of the template"
    )


def _figures(
    sentence: Sentence, passage: Passage, reader: Reader, where: str
) -> Iterator[str]:
    pieces = sentence.pieces
    if len(pieces) % 2 != 1 or pieces[-1].text != ".":
        yield f"{where}: is not a list of figures"
        return
    for number in range(0, len(pieces) - 1, 2):
        label, slot = pieces[number].text, pieces[number + 1].fact
        entry = reader.by_id.get(slot or "")
        opening = "; " if number else "Further figures: "
        if entry is None or label != f"{opening}{entry.label} ":
            yield f"{where}: a figure has the label of another"
        elif entry.leaf != passage.leaf and passage.leaf:
            yield f"{where}: a figure of another job"
