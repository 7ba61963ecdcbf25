"""Conditions on a job and its result, in a closed language: no names but paths, no calls.

    condition := ["not"] path [ operator operand ]
    operator  := "==" | "!=" | "<" | "<=" | ">" | ">=" | "covers"
    operand   := path | number | 'word' | true | false | null

A path alone holds when its value is present, not null, not false and not empty. `a covers b` holds
when each element of `b` occurs in `a`: in a list, among the keys of an object, or as a value of an
object in a list. A comparison with a value that is not there does not hold.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from search.domains.plan.outline.paths import MISSING, get

_TOKEN = re.compile(
    r"\s*(?:(?P<op>==|!=|<=|>=|<|>)|'(?P<word>[^']*)'"
    r"|(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.])|(?P<path>[a-z_][\w.]*))"
)
_ORDERED: Mapping[str, Callable[[Any, Any], bool]] = MappingProxyType(
    {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
)
_OPERATORS = ("==", "!=", *_ORDERED, "covers")
_WORDS: Mapping[str, Any] = MappingProxyType({"true": True, "false": False, "null": None})
ROOTS = ("spec", "budget", "seed", "result", "files", "group")


@dataclass(frozen=True, kw_only=True)
class _Operand:
    path: str | None = None
    value: Any = None

    def of(self, context: Mapping[str, Any]) -> Any:
        """Return the operand's value; `MISSING` for a path that leads nowhere."""
        return self.value if self.path is None else get(context, self.path)


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A parsed condition."""

    text: str
    left: _Operand
    operator: str = ""  # empty: `left` alone
    right: _Operand | None = None
    negated: bool = False

    def holds(self, context: Mapping[str, Any]) -> bool:
        """Return whether it holds. context: the objects of `ROOTS`; any may be missing."""
        return self._holds(context) is not self.negated

    def _holds(self, context: Mapping[str, Any]) -> bool:
        left = self.left.of(context)
        if self.right is None:
            return left is not MISSING and left not in (None, False, "", [], {}, ())
        right = self.right.of(context)
        if left is MISSING or right is MISSING:
            return False
        if self.operator == "covers":
            parts = right if isinstance(right, list | tuple) else [right]
            return all(_occurs(part, left) for part in parts)
        if self.operator in ("==", "!="):
            return _equal(left, right) is (self.operator == "==")
        both = (left, right)
        if any(isinstance(v, bool) or not isinstance(v, int | float) for v in both):
            return False
        return _ORDERED[self.operator](left, right)


def parse(text: str) -> Condition:
    """Return the condition that a text states. Raises ValueError."""
    tokens = _tokens(text)
    negated = tokens[:1] == [("path", "not")]
    tokens = tokens[negated:]
    if len(tokens) not in (1, 3) or tokens[0][0] != "path":
        raise ValueError(f"condition: expected `path [operator operand]`, got {text!r}")
    left = _operand(tokens[0], text)
    if len(tokens) == 1:
        return Condition(text=text, left=left, negated=negated)
    if tokens[1][1] not in _OPERATORS:
        raise ValueError(
            f"condition: expected one of {', '.join(_OPERATORS)}, got {tokens[1][1]!r} in {text!r}"
        )
    return Condition(
        text=text,
        left=left,
        operator=tokens[1][1],
        right=_operand(tokens[2], text),
        negated=negated,
    )


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    place = 0
    while place < len(text.rstrip()):
        match = _TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            raise ValueError(
                f"condition: expected a path, number, 'word' or operator, got {text[place:]!r}"
            )
        tokens.append((match.lastgroup, match[match.lastgroup]))
        place = match.end()
    return tokens


def _operand(token: tuple[str, str], text: str) -> _Operand:
    sort, value = token
    if sort == "number":
        return _Operand(value=float(value))
    if sort == "word":
        return _Operand(value=value)
    if sort == "path" and value in _WORDS:
        return _Operand(value=_WORDS[value])
    if sort == "path" and value.partition(".")[0] in ROOTS:
        return _Operand(path=value)
    raise ValueError(
        f"condition: expected a path below {', '.join(ROOTS)} or a value, got {value!r} in {text!r}"
    )


def _equal(one: Any, other: Any) -> bool:
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


def _occurs(part: Any, whole: Any) -> bool:
    if isinstance(whole, Mapping):
        return str(part) in whole
    if not isinstance(whole, list | tuple):
        return _equal(part, whole)
    return any(
        any(_equal(part, value) for value in item.values())
        if isinstance(item, Mapping)
        else _equal(part, item)
        for item in whole
    )
