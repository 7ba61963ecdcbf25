"""Words of texts: content words, repetition, and the usual figures of repetition."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

_WORD = re.compile(r"[a-z']+")
_COMMON_WORDS = """
a an the and or but if so as at by for from in into of on to with without about over after
before between through under up down out off again then than that this these those there
here is are was were be been being am do does did has have had will would can could should
may might must not no nor he she it they we you i him her them us me his hers its their
our your my who whom whose which what when where why how all each every some any one two
her's it's also very just only even more most much many such own same other another them
"""
_COMMON = frozenset(_COMMON_WORDS.split())
_VERBATIM_WORDS, _RATIO = 10, 0.8


def words(text: str) -> list[str]:
    """Return the words of a text in lower case."""
    return _WORD.findall(text.lower())


def content(text: str) -> set[str]:
    """Return stems of the words that carry meaning."""
    return {_stem(word) for word in words(text) if word not in _COMMON and len(word) > 2}


def _stem(word: str) -> str:
    """Return a word without its usual endings: enough to match forms of one word."""
    for ending in ("'s", "ing", "ed", "es", "s", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def repeats(text: str, other: str) -> bool:
    """Return whether a text is nearly another one, or holds more than 10 of its words in a row."""
    if difflib.SequenceMatcher(None, text.lower(), other.lower()).ratio() > _RATIO:
        return True
    grams = _grams(words(text), _VERBATIM_WORDS + 1)
    return bool(set(grams) & set(_grams(words(other), _VERBATIM_WORDS + 1)))


def _grams(sequence: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(sequence[i : i + n]) for i in range(len(sequence) - n + 1)]


def rep(text: str, n: int) -> float:
    """Return rep-n: the share of a text's n-grams that it has said before."""
    grams = _grams(words(text), n)
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def distinct(text: str, n: int) -> float:
    """Return distinct-n: different n-grams over all of them."""
    return 1 - rep(text, n) if len(words(text)) >= n else 0.0


def overlap(text: str, before: str, n: int = 3) -> float:
    """Return the share of a text's n-grams that stand in an earlier text or twice in itself."""
    grams = _grams(words(text), n)
    earlier = set(_grams(words(before), n))
    seen: set[tuple[str, ...]] = set()
    again = 0
    for gram in grams:
        again += gram in earlier or gram in seen
        seen.add(gram)
    return again / len(grams) if grams else 0.0
