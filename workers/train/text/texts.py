"""Texts that the language model reads for training: prefixes, and completions that fit or drift.

As in DOC (arXiv 2212.10077, appendix on the controller): a visible prefix comes from one section,
the completion from the same one, from an earlier or later section of the same document (*repeat*,
*shuffle*), or from another document (*other*). Only tokens after the boundary carry a label. Each
text is judged against several items, so that one reading gives positives and negatives:

| text | item | label |
|---|---|---|
| A goes on | A | 1 |
| A goes on | another of the document, of other documents | 0 |
| A, then B | B | 1: hard positive, recovers after a foreign prefix |
| A, then B | A | 0: hard negative, fluent and on topic before it drifts |
| A, then B | another of B's document, of another document | 0 |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from workers.train.text.passages import Part, Section, documents

PREFIX_TOKENS, COMPLETION_TOKENS = 32, 48
_LEAST_PREFIX = 4
_SAME_PACKAGE = 0.8
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
LEAD = "Section: "
Encode = Callable[[str], Sequence[int]]


@dataclass(frozen=True, kw_only=True)
class Text:
    """Tokens of a text: a lead that only the language model sees, a prefix and a completion."""

    lead: tuple[int, ...]
    prefix: tuple[int, ...]
    completion: tuple[int, ...]
    prefix_item: int  # number of the section that the prefix comes from
    item: int  # of the completion

    @property
    def spliced(self) -> bool:
        """True where the completion comes from another section than the prefix."""
        return self.prefix_item != self.item


class Drawer:
    """Draws texts from the sections of one part of the data."""

    def __init__(self, found: Sequence[Section], part: Part, encode: Encode) -> None:
        self._found = found
        self._encode = encode
        self._numbers = [i for i, section in enumerate(found) if section.part == part]
        self._of_document = {
            key: numbers
            for key, numbers in documents(found).items()
            if found[numbers[0]].part == part
        }
        self._of_package: dict[str, list[int]] = {}
        for number in self._numbers:
            self._of_package.setdefault(found[number].package, []).append(number)

    def draw(self, rng: np.random.Generator) -> Text:
        """Return a text: half of them go on, half are spliced."""
        first = self._any(self._numbers, rng)
        second = first
        if rng.random() < 0.5:
            second = self.other(first, rng, same_document=rng.random() < 0.5)
        slots = rng.random() < 0.5
        prefix, rest = self._cut(first, rng, slots=slots)
        if second != first:
            rest = self._from_sentence(second, rng, slots=slots)
        # Half of the texts follow a lead, which names the item of either part, or a third one.
        lead: tuple[int, ...] = ()
        if rng.random() < 0.5 or len(prefix) < _LEAST_PREFIX:
            kind = rng.integers(3)
            named = (first, second, self.other(second, rng, same_document=False))[kind]
            lead = tuple(self._encode(f"{LEAD}{self._found[named].item}\n\n"))
        return Text(
            lead=lead,
            prefix=prefix,
            completion=rest[:COMPLETION_TOKENS],
            prefix_item=first,
            item=second,
        )

    def together(self, first: int, second: int) -> bool:
        """Return whether two sections are of one document."""
        one, two = self._found[first], self._found[second]
        return (one.package, one.document) == (two.package, two.document)

    def other(self, number: int, rng: np.random.Generator, *, same_document: bool) -> int:
        """Return another section: of the same document where it has one, else of another one."""
        section = self._found[number]
        near = self._of_document[(section.package, section.document)]
        if same_document and len(near) > 1:
            return self._any([i for i in near if i != number], rng)
        inside = rng.random() < _SAME_PACKAGE
        pool = self._of_package[section.package] if inside else self._numbers
        for _ in range(64):
            drawn = self._any(pool, rng)
            if self._found[drawn].document != section.document:
                return drawn
        return self._any([i for i in self._numbers if i != number], rng)

    def _cut(
        self, number: int, rng: np.random.Generator, *, slots: bool
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Cut a section at a sentence into a prefix and what follows; either is not empty."""
        parts = self._found[number].sentences
        at = int(rng.integers(0, len(parts)))
        before, after = " ".join(parts[:at]), " ".join(parts[at:])
        if slots:
            before, after = with_slots(before, rng), with_slots(after, rng)
        prefix = tuple(self._encode(before))[-PREFIX_TOKENS:]
        return prefix, tuple(self._encode(f" {after}" if prefix else after))

    def _from_sentence(
        self, number: int, rng: np.random.Generator, *, slots: bool
    ) -> tuple[int, ...]:
        parts = self._found[number].sentences
        text = " ".join(parts[int(rng.integers(0, len(parts))) :])
        return tuple(self._encode(" " + (with_slots(text, rng) if slots else text)))

    @staticmethod
    def _any(numbers: Sequence[int], rng: np.random.Generator) -> int:
        return numbers[int(rng.integers(len(numbers)))]


def with_slots(text: str, rng: np.random.Generator) -> str:
    """Replace numbers by ids in letters, as they stand in a report before they are filled."""

    def slot(match: re.Match[str]) -> str:
        letters = rng.integers(0, 26, 2) + ord("a")
        return "{" + "".join(map(chr, letters)) + "}"

    return _NUMBER.sub(slot, text)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """An item that a text is judged against, and the label of the tokens after the boundary."""

    item: int
    label: int
    hard: bool  # a spliced text against the item of its prefix or of its completion
    near: bool = False  # another item of the completion's document


def judged(
    drawer: Drawer, text: Mapping[str, int], rng: np.random.Generator
) -> list[Judged]:
    """Return one positive and three negatives of a text with `prefix_item` and `item`."""
    first, second = text["prefix_item"], text["item"]
    spliced = first != second
    rows = [Judged(item=second, label=1, hard=spliced)]
    if spliced:
        rows.append(Judged(item=first, label=0, hard=True))
    for same in (True, False, False)[: 4 - len(rows)]:
        item = drawer.other(second, rng, same_document=same)
        if item not in {row.item for row in rows}:
            near = drawer.together(item, second)
            rows.append(Judged(item=item, label=0, hard=False, near=near))
    return rows
