"""Spelling of words: stems that join inflections, and corrections of typing errors."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping

_NO_PLURALS = ("highs", "times", "does", "has", "this", "its", "less", "gaps", "news")
_VOWELS = frozenset("aeiouy")
_LEAST_FOR_ONE, _LEAST_FOR_TWO = 4, 8


def vocabulary(words: str) -> frozenset[str]:
    """Return the words of a list that is written as text."""
    return frozenset(listed(words))


def listed(words: str) -> tuple[str, ...]:
    """Return the words of a list that is written as text, in its order."""
    return tuple(words.split(" "))


@functools.lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """Return a key that inflections and British and American spellings share."""
    word = word.removesuffix("'s")
    if word in _NO_PLURALS:
        return word
    if len(word) <= 3:
        return word
    word = (
        word.replace("isation", "ization").replace("ise", "ize").replace("ising", "izing")
    )
    word = word.replace("our", "or") if len(word) > 5 else word
    word = word.replace("metre", "meter")
    for ending in ("ings", "ing", "ed", "es", "s"):
        if (
            word.endswith(ending)
            and len(word) - len(ending) >= 3
            and not word.endswith("ss")
        ):
            word = word[: -len(ending)]
            break
    else:
        ending = ""
    if ending == "es" and word.endswith(("i",)):
        word = word[:-1] + "y"
    if (
        len(word) > 3
        and word[-1] == word[-2]
        and word[-1].isalpha()
        and word[-1] not in _VOWELS
        and ending[:1] != "s"
    ):
        word = word[:-1]
    return word.removesuffix("e")


def distance(left: str, right: str, limit: int) -> int:
    """Return the Damerau-Levenshtein distance (adjacent transpositions), or limit + 1 if above."""
    if abs(len(left) - len(right)) > limit:
        return limit + 1
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        older, before = before, row
        row = [i]
        for j, b in enumerate(right, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
        if min(row) > limit:
            return limit + 1
    return min(row[-1], limit + 1)


class Speller:
    """Corrections within a closed vocabulary, by deletions (as in SymSpell)."""

    def __init__(self, words: Iterable[str], *, right: Iterable[str]) -> None:
        """Take the vocabulary, and further words that are spelt right and never corrected."""
        self._words = frozenset(words)
        self._right = frozenset(right) | self._words
        deleted: dict[str, set[str]] = {}
        for word in self._words:
            if len(word) >= _LEAST_FOR_ONE:
                for key in _deletions(word):
                    deleted.setdefault(key, set()).add(word)
        self._deleted: Mapping[str, set[str]] = deleted

    def knows(self, word: str) -> bool:
        """Return whether a word is spelt right as far as the tables go."""
        return word in self._right

    def correct(self, word: str) -> str | None:
        """Return the only word of the vocabulary near a misspelt one; None for none or several."""
        if len(word) < _LEAST_FOR_ONE or len(word) > 24 or self.knows(word):
            return None
        limit = 2 if len(word) >= _LEAST_FOR_TWO else 1
        near: dict[str, float] = {}
        for key in _deletions(word):
            for candidate in self._deleted.get(key, ()):
                if candidate not in near:
                    near[candidate] = distance(word, candidate, limit)
                    # Letters in the wrong order are the likelier error.
                    near[candidate] -= 0.3 * (sorted(word) == sorted(candidate))
        best = min(near.values(), default=limit + 1)
        if best > limit:
            return None
        chosen = sorted(c for c, d in near.items() if d == best)
        if len(word) == _LEAST_FOR_ONE or best == 2:
            chosen = [c for c in chosen if c[0] == word[0]]
        stems = {stem(c) for c in chosen}
        return chosen[0] if len(stems) == 1 else None


def _deletions(word: str) -> set[str]:
    once = {word[:i] + word[i + 1 :] for i in range(len(word))}
    keys = {word, *once}
    if len(word) >= _LEAST_FOR_TWO - 1:
        for shorter in once:
            keys |= {shorter[:i] + shorter[i + 1 :] for i in range(len(shorter))}
    return keys
