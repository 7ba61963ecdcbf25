"""Regular expressions as grammars: the part of ECMAScript's that has no context.

Literals, classes, groups, alternatives and repeats, greedy or lazy. The whole text must match: `^`
and `$` stand only at the ends, and may be left out. Look-around, back references, word boundaries
and flags are refused by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from workers.llm import characters
from workers.llm.characters import Ranges
from workers.llm.grammar_error import BadGrammar

MAX_CHARACTERS = 4096  # of an expression
MAX_REPEATS = 10_000
_MAX_DEPTH = 16
_INFINITE = 1 << 40
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "0": "\0"}
_CLASSES: dict[str, Ranges] = {
    "d": characters.DIGITS,
    "w": characters.WORD,
    "s": characters.SPACE,
    # Implementations differ beyond ASCII: what all of them take.
    "D": characters.intersection(characters.complement(characters.DIGITS), ((0, 127),)),
    "W": characters.intersection(characters.complement(characters.WORD), ((0, 127),)),
    "S": characters.complement(characters.SPACE),
}


@dataclass(frozen=True)
class Class:
    """One character."""

    ranges: Ranges


@dataclass(frozen=True)
class Sequence:
    """Parts one after another."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Choice:
    """One of several parts."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Repeat:
    """A part several times."""

    part: Node
    least: int
    most: int | None


Node = Class | Sequence | Choice | Repeat


def parse(expression: str, *, field: str) -> Node:
    """Return the tree of an expression. Raises BadGrammar, naming the field."""
    if len(expression) > MAX_CHARACTERS:
        raise BadGrammar(
            f"{field}: expected at most {MAX_CHARACTERS} characters, got {len(expression)}; "
            "shorten it"
        )
    return _Parser(expression, field).tree()


def lengths(node: Node) -> tuple[int, int]:
    """Return the least and the greatest number of characters; 2^40 and more is unlimited."""
    match node:
        case Class():
            return 1, 1
        case Sequence(parts):
            pairs = [lengths(part) for part in parts]
            return sum(low for low, _ in pairs), min(_INFINITE, sum(h for _, h in pairs))
        case Choice(parts):
            pairs = [lengths(part) for part in parts]
            return min(low for low, _ in pairs), max(high for _, high in pairs)
        case Repeat(part, least, most):
            low, high = lengths(part)
            bound = _INFINITE if most is None and high else high * (most or 0)
            return low * least, min(_INFINITE, bound)


def within(node: Node, least: int, most: int | None, *, field: str) -> Node:
    """Return a tree whose texts have `least` to `most` characters and match the given one.

    Repeats are cut to one common bound, so that not every such text is matched. Raises BadGrammar
    when none is found.
    """
    if most is not None and lengths(node)[1] > most:
        low, high = 0, most
        while low < high:
            middle = (low + high + 1) // 2
            if lengths(_capped(node, middle))[1] <= most:
                low = middle
            else:
                high = middle - 1
        node = _capped(node, low)
    node = _lengthened(node, least - lengths(node)[0])
    low, high = lengths(node)
    if low < least or (most is not None and high > most):
        raise BadGrammar(
            f"{field}: expected a pattern with texts of {least} to "
            f"{'any number of' if most is None else most} characters, got one of {low} to "
            f"{'any number' if high >= _INFINITE else high}; put the lengths into the pattern"
        )
    return node


def _capped(node: Node, bound: int) -> Node:
    match node:
        case Repeat(part, least, most):
            high = max(least, bound if most is None else min(most, bound))
            return Repeat(_capped(part, bound), least, high)
        case Sequence(parts):
            return Sequence(tuple(_capped(part, bound) for part in parts))
        case Choice(parts):
            return Choice(tuple(_capped(part, bound) for part in parts))
    return node


def _lengthened(node: Node, missing: int) -> Node:
    """Raise the least count of the first repeat on the path so that texts are longer."""
    if missing <= 0:
        return node
    match node:
        case Repeat(part, least, most) if lengths(part)[0] > 0:
            more = least + -(-missing // lengths(part)[0])
            return node if most is not None and more > most else Repeat(part, more, most)
        case Sequence(parts):
            for i, part in enumerate(parts):
                longer = _lengthened(part, missing)
                if longer != part:
                    return Sequence((*parts[:i], longer, *parts[i + 1 :]))
    return node


def grammar_text(node: Node, *, json: bool, field: str) -> str:
    """Return the tree as an expression of a grammar.

    json: the text stands within a JSON string. Characters that need an escape there are written so
    when they are literals; from classes they are left out.
    """
    match node:
        case Class(ranges):
            if not json:
                return characters.class_text(ranges)
            plain = characters.intersection(ranges, characters.JSON_PLAIN)
            if plain:
                return characters.class_text(plain)
            escaped = _json_escape(ranges)
            if escaped is None:
                raise BadGrammar(
                    f"{field}: expected characters that JSON can hold unescaped, got none at one "
                    "place; change the pattern"
                )
            return characters.literal_text(escaped)
        case Sequence(parts):
            texts = [grammar_text(part, json=json, field=field) for part in parts]
            return "(" + " ".join(texts) + ")" if texts else '""'
        case Choice(parts):
            texts = [grammar_text(part, json=json, field=field) for part in parts]
            return "(" + " | ".join(texts) + ")"
        case Repeat(part, least, most):
            text = grammar_text(part, json=json, field=field)
            if isinstance(part, Repeat):
                text = f"({text})"
            return (
                f"{text}{{{least},{'' if most is None else most}}}" if most != 0 else '""'
            )


def _json_escape(ranges: Ranges) -> str | None:
    """Return the first character that has a short escape, escaped."""
    short = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    short |= {"\b": "\\b", "\f": "\\f"}
    for character, escaped in short.items():
        if any(first <= ord(character) <= last for first, last in ranges):
            return escaped
    return None


class _Parser:
    """Recursive descent over an expression."""

    def __init__(self, expression: str, field: str) -> None:
        self._text, self._field = expression, field
        self._at = 0
        self._depth = 0

    def tree(self) -> Node:
        if self._text.startswith("^"):
            self._at = 1
        node = self._choice()
        if self._at < len(self._text):
            self._refuse(f"{self._text[self._at]!r} without its partner")
        return node

    def _refuse(self, what: str) -> NoReturn:
        raise BadGrammar(
            f"{self._field}: expected a regular expression of literals, classes, groups and "
            f"repeats, got {what} at character {self._at}; leave it out"
        )

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        character = self._peek()
        if not character:
            self._refuse("the end")
        self._at += 1
        return character

    def _choice(self) -> Node:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            self._refuse(f"more than {_MAX_DEPTH} groups within one another")
        parts = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            parts.append(self._sequence())
        self._depth -= 1
        return parts[0] if len(parts) == 1 else Choice(tuple(parts))

    def _sequence(self) -> Node:
        parts: list[Node] = []
        while self._peek() not in ("", "|", ")"):
            if self._peek() == "$" and self._at == len(self._text) - 1:
                self._at += 1
                break
            parts.append(self._repeated(self._atom()))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _repeated(self, node: Node) -> Node:
        while self._peek() in ("*", "+", "?", "{") and self._peek():
            least, most = self._bounds()
            if most is not None and (most > MAX_REPEATS or most < least):
                self._refuse(f"{least} to {most} repeats, of at most {MAX_REPEATS},")
            node = Repeat(node, least, most)
            if self._peek() == "?":  # lazy: the same texts
                self._at += 1
            if _written_out(node) > MAX_REPEATS:
                self._refuse(f"repeats of repeats, of at most {MAX_REPEATS} characters,")
        return node

    def _bounds(self) -> tuple[int, int | None]:
        mark = self._take()
        if mark != "{":
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[mark]
        inside, closed, _ = self._text[self._at :].partition("}")
        low, comma, high = inside.partition(",")
        if not closed or not low.isdecimal() or len(inside) > 12:
            self._refuse("'{' that begins no repeat")
        if comma and high and not high.isdecimal():
            self._refuse("'{' that begins no repeat")
        self._at += len(inside) + 1
        least = int(low)
        if least > MAX_REPEATS:
            self._refuse(f"{least} repeats, of at most {MAX_REPEATS},")
        return least, int(high) if high else None if comma else least

    def _atom(self) -> Node:
        character = self._take()
        if character == "(":
            if self._peek() == "?":
                if self._text[self._at : self._at + 2] != "?:":
                    self._refuse("a look-around, a name or a flag")
                self._at += 2
            node = self._choice()
            if self._take() != ")":
                self._refuse("'(' without ')'")
            return node
        if character == "[":
            return Class(self._class())
        if character == ".":
            return Class(characters.complement(characters.of("\n\r\u2028\u2029")))
        if character == "\\":
            return Class(self._escape())
        if character in "^$*+?{":
            self._refuse(f"{character!r}")
        return Class(characters.of(character))

    def _escape(self) -> Ranges:
        character = self._take()
        if character in _CLASSES:
            return _CLASSES[character]
        if character in _ESCAPES:
            return characters.of(_ESCAPES[character])
        if character in ("x", "u"):
            width = 2 if character == "x" else 4
            digits = self._text[self._at : self._at + width]
            self._at += width
            try:
                point = int(digits, 16) if len(digits) == width else -1
            except ValueError:
                point = -1
            if point < 0 or 0xD800 <= point <= 0xDFFF:
                self._refuse(f"the escape \\{character}{digits}")
            return ((point, point),)
        if character.isalnum():
            self._refuse(f"the escape \\{character}")
        return characters.of(character)

    def _class(self) -> Ranges:
        negated = self._peek() == "^"
        self._at += negated
        ranges: list[tuple[int, int]] = []
        while self._peek() != "]" or (not ranges and not negated and self._empty_class()):
            first = self._member()
            if self._peek() != "-" or self._text[self._at + 1 : self._at + 2] == "]":
                ranges += first
                continue
            self._at += 1
            last = self._member()
            if len(first) != 1 or len(last) != 1 or last[0][1] < first[0][0]:
                self._refuse("a range without order")
            ranges.append((first[0][0], last[0][1]))
        self._at += 1
        members = characters.normal(ranges)
        members = (
            characters.complement(members)
            if negated
            else characters.intersection(members, characters.ANY)
        )
        if not members:
            self._refuse("a class without characters")
        return members

    def _empty_class(self) -> bool:
        self._refuse("a class without characters")

    def _member(self) -> Ranges:
        character = self._take()
        if character == "\\":
            if self._peek() == "b":
                self._at += 1
                return characters.of("\b")
            return self._escape()
        return characters.of(character)


def _written_out(node: Node) -> int:
    """Return the characters that a tree has when all its bounded repeats are written out."""
    match node:
        case Class():
            return 1
        case Sequence(parts) | Choice(parts):
            return sum(map(_written_out, parts))
        case Repeat(part, least, most):
            return _written_out(part) * max(1, least, most or 0)
