"""Ids of letters alone: no digit is ever legal in the text of a model."""

from __future__ import annotations

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Ids:
    """Counts a, b, ... z, aa, ab, ..."""

    def __init__(self, count: int = 0) -> None:
        """Begin after `count` ids."""
        self._count = count

    def next(self) -> str:
        """Return the next id."""
        self._count += 1
        number, text = self._count, ""
        while number:
            number, letter = divmod(number - 1, len(_LETTERS))
            text = _LETTERS[letter] + text
        return text
