"""Sentences that a language model may write: their grammar, and a filter that does not trust it.

A ban on digits is not enough: "twice as fast" and "proved" have none. So a sentence is made of
words of a closed list for its kind (`prose.toml`), which has no number word, comparison, verdict,
negation, unit or name, and opens by saying what a part of the report is about. It can state nothing
of a run.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from search.text_model import Grammar

FILE = Path(__file__).with_name("prose.toml")
LEAST_WORDS, MOST_WORDS = 6, 26
_MOST_REPEATS = 2  # of a word that is no common one
_TEXT = re.compile(r"[A-Z][a-z]+(,? [a-z]+)+\.")


@dataclass(frozen=True, kw_only=True)
class Lexicon:
    """Words for one kind, or for comparisons."""

    topic: str
    openings: tuple[str, ...]
    telling: tuple[str, ...]
    common: frozenset[str]
    own: frozenset[str]
    banned: frozenset[str]

    @property
    def words(self) -> list[str]:
        """Words that may follow the opening."""
        return sorted((self.common | self.own) - self.banned)

    def grammar(self) -> Grammar:
        """Return the grammar of a sentence."""
        opening, telling = "|".join(self.openings), "|".join(self.telling)
        words = "|".join(self.words)
        return Grammar(regex=rf"({opening}) ({telling})(,? ({words}))+\.")


@functools.cache
def lexicons() -> Mapping[str, Lexicon]:
    """Return the words of each kind that has some."""
    data = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return {
        kind: Lexicon(
            topic=data["topics"][kind],
            openings=tuple(data["openings"].strip().splitlines()),
            telling=tuple(w.replace("-", " ") for w in data["telling"].split()),
            common=frozenset(data["common"].split()),
            own=frozenset(words.split()),
            banned=frozenset(data["banned"].split()),
        )
        for kind, words in data["words"].items()
    }


def fault_of(text: str, lexicon: Lexicon) -> str:
    """Return why a sentence is refused; empty for one that may stand in a report."""
    if not _TEXT.fullmatch(text):
        return "it is not one plain sentence"
    opening = next((one for one in lexicon.openings if text.startswith(one + " ")), "")
    if not opening:
        return "it does not open by naming its part"
    rest = text[len(opening) + 1 : -1]
    telling = next((one for one in lexicon.telling if rest.startswith(one + " ")), "")
    if not telling:
        return "it does not say what its part is about"
    words = rest[len(telling) + 1 :].replace(",", "").split()
    if not LEAST_WORDS <= len(words) + len(opening.split()) + 1 <= MOST_WORDS:
        return "it is too short or too long"
    for word in words:
        if word in lexicon.banned:
            return f"the word {word!r} may state a number or a verdict"
        if word not in lexicon.common and word not in lexicon.own:
            return f"the word {word!r} is not in the list"
    for word, count in Counter(words).items():
        if count > _MOST_REPEATS and word in lexicon.own:
            return f"it repeats {word!r}"
    if any(a == b for a, b in pairwise(words)):
        return "it repeats a word"
    return ""
