"""Spelling of words: stems that join inflections, and corrections of typing errors."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping

_NO_PLURALS = ("highs", "times", "does", "has", "this", "its", "less", "gaps", "news")
_VOWELS = frozenset("aeiouy")
_LEAST_FOR_ONE, _LEAST_FOR_TWO = 4, 8
_NEVER = 99.0
_MARGIN = 0.15  # of `error`; words that are as near as this to the nearest are as likely
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_VOWELS_AND_SOUNDS = ("aeiouy", "ck", "sz", "sc", "gj", "vw", "td", "mn", "lr")
_BESIDE: dict[str, str] = {}
for _r, _row in enumerate(_ROWS):
    for _i, _key in enumerate(_row):
        _BESIDE[_key] = _row[max(0, _i - 1) : _i] + _row[_i + 1 : _i + 2]
        for _other in _ROWS[max(0, _r - 1) : _r] + _ROWS[_r + 1 : _r + 2]:
            _BESIDE[_key] += _other[max(0, _i - 1) : _i + 2]
for _group in _VOWELS_AND_SOUNDS:  # letters that sound alike
    for _key in _group:
        _BESIDE[_key] += _group


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


def error(typed: str, meant: str) -> float:
    """Return how unlikely it is that a word is typed like this, in units of one wrong letter.

    Swapped neighbours (0.6) and a letter doubled or missing from a double (0.6) are likelier than a
    letter too few or too many (0.9) or a key beside the right one (0.8); another letter costs 1.2,
    and an error in the first letter 0.3 more.
    """
    rows: list[list[float]] = [[0.9 * j + 0.3 * (j > 0) for j in range(len(meant) + 1)]]
    for i, a in enumerate(typed, 1):
        row = [rows[0][0] + 0.9 * i + 0.3]
        for j, b in enumerate(meant, 1):
            first = 0.3 * (i == 1 or j == 1)
            extra = 0.6 if i > 1 and a == typed[i - 2] else 0.9
            missing = 0.6 if j > 1 and b == meant[j - 2] else 0.9
            other = 0.0 if a == b else first + (0.8 if b in _BESIDE.get(a, "") else 1.2)
            cost = min(
                rows[i - 1][j] + extra, row[j - 1] + missing, rows[i - 1][j - 1] + other
            )
            if i > 1 and j > 1 and a != b and a == meant[j - 2] and typed[i - 2] == b:
                cost = min(cost, rows[i - 2][j - 2] + 0.6 + 0.3 * (i == 2))
            row.append(cost)
        rows.append(row)
    return rows[-1][-1]


class Speller:
    """Corrections within a closed vocabulary, by deletions (as in SymSpell)."""

    def __init__(
        self,
        words: Iterable[str],
        *,
        right: Iterable[str],
        others: Iterable[str] = (),
    ) -> None:
        """Take the vocabulary, and further words that are spelt right and never corrected.

        others: words of which only swapped neighbours are an error; what else is near them is often
        another English word.
        """
        self._words = frozenset(words)
        self._right = frozenset(right) | self._words
        self._swapped: dict[str, set[str]] = {}
        for word in others:
            if len(word) >= _LEAST_FOR_ONE and word.isalpha():
                for i in range(len(word) - 1):
                    typed = word[:i] + word[i + 1] + word[i] + word[i + 2 :]
                    if typed != word:
                        self._swapped.setdefault(typed, set()).add(word)
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
        near = {
            candidate
            for key in _deletions(word)
            for candidate in self._deleted.get(key, ())
            if _may_be(word, candidate, limit)
        }
        costs = {candidate: error(word, candidate) for candidate in near}
        costs |= {c: error(word, c) for c in self._swapped.get(word, ())}
        best = min(costs.values(), default=_NEVER)
        chosen = sorted((cost, c) for c, cost in costs.items() if cost < best + _MARGIN)
        return chosen[0][1] if len({stem(c) for _, c in chosen}) == 1 else None


def _may_be(typed: str, meant: str, limit: int) -> bool:
    """Return whether a word is near enough; with two errors its first letter is right.

    "undivided" is no "divided".
    """
    same_start = typed[0] == meant[0]
    if same_start and sorted(typed) == sorted(meant):
        return True
    errors = distance(typed, meant, limit)
    return errors <= limit and (
        same_start or (errors < 2 and len(typed) > _LEAST_FOR_ONE)
    )


def _deletions(word: str) -> set[str]:
    once = {word[:i] + word[i + 1 :] for i in range(len(word))}
    keys = {word, *once}
    if len(word) >= _LEAST_FOR_TWO - 1:
        for shorter in once:
            keys |= {shorter[:i] + shorter[i + 1 :] for i in range(len(shorter))}
    return keys
