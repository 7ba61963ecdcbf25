"""Cursor over the words of an LP file, with look-ahead and errors for unexpected words."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from solvers.errors import ModelError
from solvers.exact.lp_tokens import SECTION_NAMES, Token
from solvers.exact.model import Builder, parse_number, parse_side

_INFINITE_NAMES = ("inf", "infinity")


class Cursor:
    """The current word (`now`), with a look-ahead of two words."""

    def __init__(self, words: Iterator[Token], build: Builder) -> None:
        self._words, self._build = words, build
        self._numbers: dict[str, Fraction] = {}
        self.now = next(words)
        self._next: Token | None = None
        self._after_next: Token | None = None  # only ever read among SOS sets
        self.last_line = 0  # line of the last word of a term or side

    def advance(self) -> Token:
        """Return the current word and go on to the next one."""
        taken = self.now
        if self._next is not None:
            self.now, self._next, self._after_next = self._next, self._after_next, None
        elif taken.kind != "end":
            self.now = next(self._words)
        return taken

    def _peek(self) -> Token:
        if self._next is None:
            self._next = (
                next(self._words, self.now) if self.now.kind != "end" else self.now
            )
        return self._next

    def unexpected(self, expected: str) -> ModelError:
        """Return the error for the current word."""
        token = self.now
        if token.kind == "end":
            got = "the end of the file"
        elif token.kind == "section":
            got = f"the section {SECTION_NAMES.get(token.text, token.text)!r}"
        else:
            got = repr(token.text[:60])
        return ModelError(f"expected {expected}, got {got}", line=token.line)

    def at(self, text: str) -> bool:
        """Return True when the current word is this sign, one of : :: [ ] ^ * / -> <->."""
        return self.now.kind == "other" and self.now.text == text

    def at_section_end(self) -> bool:
        """Return True when the current section ends here."""
        return self.now.kind in ("section", "end")

    def at_label(self) -> bool:
        """Return True when the current word is a name before a colon."""
        if self.now.kind != "name":
            return False
        following = self._peek()
        return following.kind == "other" and following.text == ":"

    def at_label_before_name(self) -> bool:
        """Return True when a name follows the current label, which so begins a SOS set."""
        following = self._peek()
        if self._after_next is None:
            self._after_next = next(self._words, following)
        return self._after_next.kind == "name"

    def at_infinity(self) -> bool:
        """Return True when the current word is a word for infinity."""
        return self.now.text.lower() in _INFINITE_NAMES

    def label(self) -> str:
        """Return the current label and go on behind its colon."""
        name = self.advance().text
        self.advance()
        return name

    def number(self, expected: str = "a number") -> Fraction:
        """Return the current number and go on."""
        token = self.now
        if token.kind != "number":
            raise self.unexpected(expected)
        self.advance()
        value = self._numbers.get(token.text)
        if value is None:
            value = self._numbers[token.text] = parse_number(token.text, token.line)
        return value

    def two(self, expected: str) -> None:
        """Go on behind the number 2."""
        token = self.now
        if token.kind != "number" or self.number() != 2:
            self.now = token
            raise self.unexpected(expected)

    def column(self, expected: str = "a variable") -> int:
        """Return the column named by the current word, a new one if need be, and go on."""
        if self.now.kind != "name":
            raise self.unexpected(expected)
        return self.column_of(self.advance().text)

    def column_of(self, name: str) -> int:
        """Return the column of that name, a new one if need be."""
        column = self._build.columns.get(name)
        return self._build.add_column(name) if column is None else column

    def signs(self) -> bool:
        """Go on behind the current signs. Return True when they are negative together."""
        negative = False
        while self.now.kind == "sign":
            negative ^= self.advance().text == "-"
        return negative

    def compare(self) -> str:
        """Return the current comparison (<, > or =) and go on."""
        if self.now.kind != "compare":
            raise self.unexpected("a comparison (<=, >= or =)")
        return self.advance().text

    def side(self) -> tuple[Fraction | None, int]:
        """Return a bound, signs and a number or an infinity, as (value, 0) or (None, ±1)."""
        negative = self.signs()
        self.last_line = self.now.line
        if self.now.kind == "name" and self.at_infinity():
            self.advance()
            return None, -1 if negative else 1
        if self.now.kind != "number":
            raise self.unexpected("a number")
        token = self.advance()
        return parse_side("-" + token.text if negative else token.text, token.line)
