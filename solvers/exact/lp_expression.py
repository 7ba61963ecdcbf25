"""Expressions of LP files: one side of a row, or the objective."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from solvers.errors import ModelError
from solvers.exact.lp_cursor import Cursor
from solvers.exact.lp_tokens import Token
from solvers.exact.model import Builder, Products

_ZERO, _ONE = Fraction(0), Fraction(1)


@dataclass(kw_only=True)
class Side:
    """One side of a comparison."""

    terms: dict[int, Fraction] = field(default_factory=dict)
    products: Products = field(default_factory=dict)
    constant: Fraction = _ZERO
    infinite: int = 0  # ±1 for an infinity alone

    @property
    def value(self) -> Fraction | None:
        """The constant; None for an infinity."""
        return None if self.infinite else self.constant

    @property
    def variable(self) -> bool:
        """True when the side holds terms or products."""
        return bool(self.terms or self.products)

    def minus(self, other: Side) -> Side:
        """Subtract terms and products of the other side."""
        if not other.variable:
            return self
        terms, products = dict(self.terms), dict(self.products)
        for column, value in other.terms.items():
            terms[column] = terms.get(column, _ZERO) - value
        for pair, value in other.products.items():
            products[pair] = products.get(pair, _ZERO) - value
        return Side(terms=terms, products=products)


class Expressions:
    """Reads expressions at a cursor, up to a comparison, a section, a label or the next row."""

    def __init__(self, cursor: Cursor, build: Builder) -> None:
        self._cursor, self._build = cursor, build

    def read(self, *, halved: bool = False, after: bool = False) -> Side:
        """Read one expression.

        halved: the products are those of the objective, written twice as large: `[ 2 x^2 ] / 2`.
        after: the side stands right of a comparison, where a number alone ends with its line.
        """
        side, first = Side(), True
        while first or not self._row_has_ended(side, after):
            if not self._term(side, first=first, halved=halved, after=after):
                break
            if side.infinite or self._next_row_follows(side, after):
                break
            first = False
        return side

    def _term(self, side: Side, *, first: bool, halved: bool, after: bool) -> bool:
        """Read a term into the side. Return False where the expression ends."""
        cursor = self._cursor
        signed = cursor.now.kind == "sign"
        negative = cursor.signs()
        kind = cursor.now.kind
        if kind == "number":
            self._number_term(side, negative, after)
        elif cursor.at("["):
            self._quadratic(side.products, negative=negative, halved=halved)
        elif first and kind == "name" and cursor.at_infinity() and not cursor.at_label():
            side.infinite = -1 if negative else 1
            cursor.last_line = cursor.advance().line
        elif after and self._at_nan():
            raise cursor.unexpected(
                "a number, or a variable that the file has used before"
            )
        elif kind == "name" and (signed or (first and not cursor.at_label())):
            self._add(side.terms, -_ONE if negative else _ONE)
        else:
            self._check_end(signed=signed, first=first, after=after)
            return False
        return True

    def _check_end(self, *, signed: bool, first: bool, after: bool) -> None:
        """Raise ModelError unless the expression may end at the current word."""
        cursor = self._cursor
        if signed:
            raise cursor.unexpected("a number or a variable after the sign")
        if cursor.now.kind in ("compare", "section", "end") or cursor.at("->"):
            if after and first:
                raise cursor.unexpected("a number or a variable after the comparison")
        elif first or not cursor.at_label():
            raise cursor.unexpected("+ or - between terms, or a comparison")

    def _next_row_follows(self, side: Side, after: bool) -> bool:
        """Return True when a term without a sign begins the next row. Raise where it cannot."""
        cursor = self._cursor
        if cursor.now.kind not in ("number", "name") or cursor.at_label():
            return False
        if cursor.now.line > cursor.last_line and (after or not side.terms):
            return True
        raise cursor.unexpected("+ or - between terms, or a comparison")

    def _row_has_ended(self, side: Side, after: bool) -> bool:
        """Return True when the next row begins: on a new line, after a complete side."""
        now = self._cursor.now
        return (
            after
            and now.line > self._cursor.last_line
            and not side.variable
            and now.kind in ("sign", "number", "name", "other")
        )

    def _at_nan(self) -> bool:
        """Return True at a NaN by a writer: right of a comparison it is not a new variable."""
        now = self._cursor.now
        return (
            now.kind == "name"
            and now.text.lower() == "nan"
            and now.text not in self._build.columns
        )

    def _number_term(self, side: Side, negative: bool, after: bool) -> None:
        """Read a number: the coefficient of a variable, or a constant."""
        cursor = self._cursor
        token = cursor.now
        cursor.last_line = token.line
        value = -cursor.number() if negative else cursor.number()
        if cursor.at("*"):
            cursor.advance()
            if cursor.now.kind != "name":
                raise cursor.unexpected("a variable after *")
        if cursor.now.kind == "name" and not self._starts_next_row(token, after):
            self._add(side.terms, value)
        else:
            side.constant += value

    def _starts_next_row(self, number: Token, after: bool) -> bool:
        """Return True when the name after a number is the next row's label or first variable."""
        return self._cursor.now.line > number.line and (after or self._cursor.at_label())

    def _add(self, terms: dict[int, Fraction], value: Fraction) -> None:
        """Add value times the current variable."""
        cursor = self._cursor
        if cursor.at_infinity():
            token = cursor.now
            raise ModelError(
                f"expected a variable among the terms of a row, got {token.text!r}",
                line=token.line,
            )
        token = cursor.advance()
        cursor.last_line = token.line
        if cursor.at("^") or cursor.at("*"):
            raise ModelError(
                "expected products between [ and ], got one outside", line=token.line
            )
        column = cursor.column_of(token.text)
        before = terms.get(column)
        terms[column] = value if before is None else before + value

    def _quadratic(self, products: Products, *, negative: bool, halved: bool) -> None:
        """Read `[ 3 x^2 + 2 x * y ]`, in the objective followed by `/ 2`."""
        cursor = self._cursor
        cursor.advance()
        parts: list[tuple[int, int, Fraction]] = []
        while not cursor.at("]"):
            signed = cursor.now.kind == "sign"
            minus = cursor.signs()
            if parts and not signed:
                raise cursor.unexpected("+ or - between products, or ]")
            value = cursor.number() if cursor.now.kind == "number" else _ONE
            if cursor.at("*"):
                cursor.advance()
            parts.append((*self._pair(), -value if minus else value))
        cursor.last_line = cursor.advance().line
        if cursor.at("/") != halved:
            raise cursor.unexpected(
                "/ 2 after the objective's products"
                if halved
                else "no / after the products of a row"
            )
        if halved:
            cursor.advance()
            cursor.last_line = cursor.now.line
            cursor.two("2 after /")
        factor = (-_ONE if negative else _ONE) / (2 if halved else 1)
        for one, other, value in parts:
            self._build.add_product(products, one, other, factor * value)

    def _pair(self) -> tuple[int, int]:
        """Read `x^2` or `x * y`."""
        cursor = self._cursor
        one = cursor.column()
        if cursor.at("^"):
            cursor.advance()
            cursor.two("the power 2")
            return one, one
        if not cursor.at("*"):
            raise cursor.unexpected("^2 or * and a variable")
        cursor.advance()
        return one, cursor.column("a variable after *")
