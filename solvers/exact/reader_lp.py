"""CPLEX LP format in exact rationals.

Rules, as the field has them: a variable is [0, ∞) until Bounds says otherwise, the last bound counts; Binary adds [0, 1] to the
bounds given before it; terms of one variable in one row are summed; terms and constants may stand on both sides of a row
and are moved; lazy constraints and user cuts are rows; bounds and sides from 1e20 on are infinite. Where readers are known
to differ, `Builder.rule` notes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from solvers.errors import ModelError
from solvers.exact.lp_tokens import SECTION_NAMES, Token, tokens
from solvers.exact.model import (
    INFINITE,
    Builder,
    ExactLimits,
    ExactModel,
    Products,
    parse_number,
    parse_side,
)

_INFINITE_NAMES = ("inf", "infinity")
_LEFT_OUT = {"other": "general constraints"}
_TURNED = {"<": ">", ">": "<", "=": "="}
_ZERO = Fraction(0)


def read_lp(batches: Iterable[list[str]], limits: ExactLimits) -> ExactModel:
    """The model of the lines in `batches`."""
    build = Builder(limits=limits)
    return _Reader(tokens(build.watched(batches)), build).read()


@dataclass(kw_only=True)
class _Side:
    """One side of a comparison."""

    terms: dict[int, Fraction] = field(default_factory=dict)
    products: Products = field(default_factory=dict)
    constant: Fraction = _ZERO
    infinite: int = 0  # ±1 for an infinity alone

    @property
    def value(self) -> Fraction | None:
        """The constant; None for an infinity."""
        return None if self.infinite else self.constant

    def minus(self, other: _Side) -> _Side:
        """Terms and products of this side less those of the other."""
        if not other.terms and not other.products:
            return self
        terms, products = dict(self.terms), dict(self.products)
        for column, value in other.terms.items():
            terms[column] = terms.get(column, _ZERO) - value
        for pair, value in other.products.items():
            products[pair] = products.get(pair, _ZERO) - value
        return _Side(terms=terms, products=products)


class _Reader:
    def __init__(self, words: Iterator[Token], build: Builder) -> None:
        self._words = words
        self._build = build
        self._row_names: set[str] = set()
        self._numbers: dict[str, Fraction] = {}
        self._now = next(words)
        self._next: Token | None = None
        self._after_next: Token | None = None  # only ever read ahead among SOS sets

    def read(self) -> ExactModel:
        if self._now.kind != "section" or self._now.text not in ("maximize", "minimize"):
            raise self._unexpected("Minimize or Maximize at the start")
        self._build.maximize = self._now.text == "maximize"
        self._advance()
        self._objective()
        while self._now.kind == "section":
            section = self._now.text
            if section == "end":
                self._advance()
                if self._now.kind != "end":
                    raise self._unexpected("nothing after End")
                return self._build.finish()
            if section in ("maximize", "minimize"):
                raise self._unexpected("one objective")
            self._advance()
            if section in ("rows", "lazy"):
                self._rows()
            elif section == "bounds":
                self._bounds()
            elif section == "sos":
                self._sets()
            elif section in _LEFT_OUT:
                self._build.refuse(_LEFT_OUT[section], self._now.line)
            else:
                self._typed(section)
        raise self._unexpected(
            "End at the end (the file may be cut off)"
            if self._now.kind == "end"
            else "a section"
        )

    # words

    def _advance(self) -> Token:
        taken = self._now
        if self._next is not None:
            self._now, self._next, self._after_next = self._next, self._after_next, None
        elif taken.kind != "end":
            self._now = next(self._words)
        return taken

    def _peek(self) -> Token:
        if self._next is None:
            self._next = (
                next(self._words, self._now) if self._now.kind != "end" else self._now
            )
        return self._next

    def _unexpected(self, expected: str) -> ModelError:
        token = self._now
        if token.kind == "end":
            got = "the end of the file"
        elif token.kind == "section":
            got = f"the section {SECTION_NAMES.get(token.text, token.text)!r}"
        else:
            got = repr(token.text[:60])
        return ModelError(f"expected {expected}, got {got}", line=token.line)

    def _number(self, token: Token) -> Fraction:
        value = self._numbers.get(token.text)
        if value is None:
            value = self._numbers[token.text] = parse_number(token.text, token.line)
        return value

    def _column(self, name: str) -> int:
        column = self._build.columns.get(name)
        return self._build.add_column(name) if column is None else column

    def _is_label(self) -> bool:
        return (
            self._now.kind == "name"
            and self._peek().kind == "other"
            and self._peek().text == ":"
        )

    # sections

    def _objective(self) -> None:
        if self._now.kind == "other" and self._now.text == ":":
            self._advance()
        elif self._is_label():
            self._advance()
            self._advance()
        whole = self._expression(halved=True)
        if self._now.kind == "compare" or whole.infinite:
            raise self._unexpected("Subject To after the objective")
        self._build.objective = whole.terms
        self._build.objective_products.update(whole.products)
        self._build.offset = whole.constant

    def _rows(self) -> None:
        while self._now.kind not in ("section", "end"):
            self._row()

    def _row(self) -> None:
        build = self._build
        name = self._row_name()
        line = self._now.line
        sides = [self._expression()]
        compares: list[str] = []
        while self._now.kind == "compare" and len(compares) < 2:
            compares.append(self._compare())
            sides.append(self._expression(after=True))
            if self._now.kind == "other" and self._now.text == "->" and len(compares) == 1:
                self._indicator(sides[0], compares[0], sides[1], line)
                sides, compares = [self._expression()], []
        if not compares or self._now.kind == "compare":
            raise self._unexpected(
                "a row with one comparison, or between two numbers: 2 <= x + y <= 10"
            )
        if self._now.kind not in ("section", "end") and self._now.line == self._last_line:
            raise self._unexpected("the next row on a line of its own")
        if len(compares) == 1:
            left, right, compare = *sides, compares[0]
            if left.infinite or (
                (right.terms or right.products) and not (left.terms or left.products)
            ):  # 10 >= x + y
                left, right, compare = right, left, _TURNED[compare]
            whole = left.minus(right)
            lower, upper = _sides(compare, right.value, right.infinite, left.constant, line)
        else:
            whole = sides[1]
            lower, upper = self._between(sides, compares, line)
        row = len(build.row_names)
        build.row_names.append(name or f"R{row + 1}")
        build.row_lower.append(lower)
        build.row_upper.append(upper)
        products = {pair: value for pair, value in whole.products.items() if value}
        if products:
            build.row_products[row] = products
        for column, coefficient in whole.terms.items():
            if coefficient:
                build.entry_row.append(row)
                build.entry_col.append(column)
                build.entry_value.append(build.value_id(coefficient))

    def _row_name(self) -> str:
        """The label of the row; empty without one. One that comes again is made different: rows are told by place."""
        if not self._is_label():
            return ""
        name = self._advance().text
        self._advance()
        if name in self._row_names:
            self._build.rule(
                f"a second row is named {name[:60]!r}: both are kept", self._now.line
            )
            name = f"{name}_{len(self._build.row_names) + 1}"
        self._row_names.add(name)
        return name

    def _between(
        self, sides: list[_Side], compares: list[str], line: int
    ) -> tuple[Fraction | None, Fraction | None]:
        """Lower and upper side of a row between two numbers."""
        left, middle, right = sides
        if compares[0] != compares[1] or compares[0] == "=":
            raise ModelError(
                "a row between two numbers: expected the same comparison twice, < or >",
                line=line,
            )
        if left.terms or left.products or right.terms or right.products or middle.infinite:
            raise ModelError(
                "a row between two numbers: expected the variables in the middle", line=line
            )
        outer = _sides(
            _TURNED[compares[0]], left.value, left.infinite, middle.constant, line
        )
        other = _sides(compares[1], right.value, right.infinite, middle.constant, line)
        lower = other[0] if other[0] is not None else outer[0]
        return lower, other[1] if other[1] is not None else outer[1]

    def _indicator(self, left: _Side, compare: str, right: _Side, line: int) -> None:
        """What stands before `->` must be one binary and its value; the row after it is the one that is being built."""
        plain = not (
            left.products
            or left.constant
            or left.infinite
            or right.terms
            or right.products
            or right.infinite
        )
        if (
            not plain
            or len(left.terms) != 1
            or compare != "="
            or 1 not in left.terms.values()
        ):
            raise ModelError(
                "an indicator: expected one binary variable and its value before ->, as in z = 1 -> x <= 3",
                line=line,
            )
        self._advance()
        build = self._build
        row, column = len(build.row_names), next(iter(left.terms))
        build.row_names.append(
            ""
        )  # for the message about a second indicator; the row itself comes next
        build.add_indicator(row, column, right.constant, line)
        build.row_names.pop()

    def _compare(self) -> str:
        if self._now.kind != "compare":
            raise self._unexpected("a comparison (<=, >= or =)")
        return self._advance().text

    def _side(self) -> tuple[Fraction | None, int]:
        """A number with signs, or an infinity, of a bound: (value, 0) or (None, ±1)."""
        negative = self._signs()
        self._last_line = self._now.line
        if self._now.kind == "name" and self._now.text.lower() in _INFINITE_NAMES:
            self._advance()
            return None, -1 if negative else 1
        if self._now.kind != "number":
            raise self._unexpected("a number")
        token = self._advance()
        return parse_side("-" + token.text if negative else token.text, token.line)

    def _signs(self) -> bool:
        negative = False
        while self._now.kind == "sign":
            negative ^= self._advance().text == "-"
        return negative

    _last_line = 0

    def _expression(self, *, halved: bool = False, after: bool = False) -> _Side:
        """One side of a row, or the objective: up to a comparison, a section, a label, or the beginning of the next row.

        Products of the objective are written twice as large and halved: `[ 2 x^2 ] / 2`. `after`: the side stands right of a
        comparison, where a number alone ends with its line.
        """
        side = _Side()
        first = True
        while True:
            if not first and self._row_has_ended(side, after):
                return side
            signed = self._now.kind == "sign"
            negative = self._signs()
            kind = self._now.kind
            if kind == "other" and self._now.text == "[":
                self._quadratic(side.products, negative=negative, halved=halved)
            elif kind == "name" and first and self._is_infinity() and not self._is_label():
                side.infinite = -1 if negative else 1
                self._last_line = self._advance().line
                return side
            elif kind == "number":
                self._number_term(side, negative, after)
            elif after and self._is_not_a_number():
                raise self._unexpected(
                    "a number, or a variable that the file has used before"
                )
            elif (
                kind == "name"
                and (signed or first)
                and not (self._is_label() and not signed)
            ):
                self._add(side.terms, Fraction(-1) if negative else Fraction(1))
            elif signed:
                raise self._unexpected("a number or a variable after the sign")
            elif kind in ("compare", "section", "end") or (
                kind == "other" and self._now.text == "->"
            ):
                if after and first:
                    raise self._unexpected("a number or a variable after the comparison")
                return side
            elif first or kind != "name" or not self._is_label():
                raise self._unexpected("+ or - between terms, or a comparison")
            else:
                return side
            first = False
            if self._now.kind in ("number", "name") and not (
                self._now.kind == "name" and self._is_label()
            ):
                if self._now.line > self._last_line and (after or not side.terms):
                    return side
                raise self._unexpected("+ or - between terms, or a comparison")

    def _is_not_a_number(self) -> bool:
        """Whether a writer printed a NaN here: right of a comparison the word is no new variable."""
        word = self._now.text
        return (
            self._now.kind == "name"
            and word.lower() == "nan"
            and word not in self._build.columns
        )

    def _row_has_ended(self, side: _Side, after: bool) -> bool:
        """Whether what comes begins the next row: on a new line, after a side that is complete without it."""
        return (
            after
            and self._now.line > self._last_line
            and not side.terms
            and not side.products
            and self._now.kind in ("sign", "number", "name", "other")
        )

    def _number_term(self, side: _Side, negative: bool, after: bool) -> None:
        """A number: a variable's coefficient, or a constant."""
        token = self._advance()
        self._last_line = token.line
        value = -self._number(token) if negative else self._number(token)
        if self._now.kind == "other" and self._now.text == "*":
            self._advance()
            if self._now.kind != "name":
                raise self._unexpected("a variable after *")
        if self._now.kind == "name" and not self._starts_next_row(token, after):
            self._add(side.terms, value)
        else:
            side.constant += value

    def _starts_next_row(self, number: Token, after: bool) -> bool:
        """Whether the name in hand, after a number, is a row's: its label, or its first variable."""
        return self._now.line > number.line and (after or self._is_label())

    def _add(self, terms: dict[int, Fraction], value: Fraction) -> None:
        token = self._advance()
        self._last_line = token.line
        if token.text.lower() in _INFINITE_NAMES:
            raise ModelError(
                f"expected a variable among the terms of a row, got {token.text!r}",
                line=token.line,
            )
        if self._now.kind == "other" and self._now.text in ("^", "*"):
            raise ModelError(
                "expected products between [ and ], got one outside", line=token.line
            )
        column = self._column(token.text)
        known = terms.get(column)
        terms[column] = value if known is None else known + value

    def _quadratic(self, into: Products, *, negative: bool, halved: bool) -> None:
        """`[ 3 x^2 + 2 x * y ]`, in the objective followed by `/ 2`."""
        self._advance()
        found: list[tuple[int, int, Fraction]] = []
        first = True
        while not (self._now.kind == "other" and self._now.text == "]"):
            signed = self._now.kind == "sign"
            minus = self._signs()
            if not signed and not first:
                raise self._unexpected("+ or - between products, or ]")
            first = False
            value = (
                self._number(self._advance()) if self._now.kind == "number" else Fraction(1)
            )
            if self._now.kind == "other" and self._now.text == "*":
                self._advance()
            found.append((*self._pair(), -value if minus else value))
        self._last_line = self._advance().line
        divided = self._now.kind == "other" and self._now.text == "/"
        if divided != halved:
            raise self._unexpected(
                "/ 2 after the objective's products"
                if halved
                else "no / after the products of a row"
            )
        if divided:
            self._advance()
            if self._now.kind != "number" or self._number(self._now) != 2:
                raise self._unexpected("2 after /")
            self._last_line = self._advance().line
        factor = (Fraction(-1) if negative else Fraction(1)) / (2 if halved else 1)
        for one, other, value in found:
            self._build.add_product(into, one, other, factor * value)

    def _pair(self) -> tuple[int, int]:
        """`x^2` or `x * y`."""
        if self._now.kind != "name":
            raise self._unexpected("a variable")
        one = self._column(self._advance().text)
        if self._now.kind != "other" or self._now.text not in ("^", "*"):
            raise self._unexpected("^2 or * and a variable")
        if self._advance().text == "^":
            if self._now.kind != "number" or self._number(self._now) != 2:
                raise self._unexpected("the power 2")
            self._advance()
            return one, one
        if self._now.kind != "name":
            raise self._unexpected("a variable after *")
        return one, self._column(self._advance().text)

    def _sets(self) -> None:
        """`name: S1:: x:1 y:2 z:3`, one after the other."""
        build = self._build
        names: set[str] = set()
        while self._now.kind not in ("section", "end"):
            line, name = self._now.line, f"SOS{len(build.sets) + 1}"
            if self._is_label():
                name = self._advance().text
                self._advance()
            if name in names:
                raise ModelError(f"a second SOS set has the name {name[:60]!r}", line=line)
            names.add(name)
            if self._now.kind != "name" or self._now.text.upper() not in ("S1", "S2"):
                raise self._unexpected("S1:: or S2:: and the members of the set")
            kind = int(self._advance().text[1])
            if not (self._now.kind == "other" and self._now.text == "::"):
                raise self._unexpected(":: after the kind of the set")
            self._advance()
            members: list[tuple[int, Fraction]] = []
            # `a: S1::` begins the next set; `a:3` is a member of this one.
            while self._is_label() and not self._begins_set():
                members.append(self._member())
            build.add_set(name, kind, members, line)

    def _member(self) -> tuple[int, Fraction]:
        column = self._column(self._advance().text)
        self._advance()
        negative = self._signs()
        if self._now.kind != "number":
            raise self._unexpected("a weight")
        weight = self._number(self._advance())
        return column, -weight if negative else weight

    def _begins_set(self) -> bool:
        """Whether the label in hand is a set's: a name comes after its colon, not a weight."""
        if self._after_next is None:
            self._after_next = next(self._words, self._peek())
        return self._after_next.kind == "name"

    def _bounds(self) -> None:
        while self._now.kind not in ("section", "end"):
            self._bound()

    def _bound(self) -> None:
        build, line = self._build, self._now.line
        if self._now.kind == "name" and not self._is_infinity():
            column = self._column(self._advance().text)
            if self._now.kind == "name" and self._now.text.lower() == "free":
                self._advance()
                build.lower[column] = build.upper[column] = None
                return
            self._apply(column, self._compare(), *self._side(), line)
        else:
            value, infinite = self._side()
            first = self._compare()
            if self._now.kind != "name":
                raise self._unexpected("a variable")
            column = self._column(self._advance().text)
            self._apply(column, _TURNED[first], value, infinite, line)
            if self._now.kind == "compare":
                second = self._compare()
                if second != first or first == "=":
                    raise ModelError(
                        "a variable between two numbers wants the same comparison twice",
                        line=line,
                    )
                self._apply(column, second, *self._side(), line)
        if self._now.kind not in ("section", "end") and self._now.line == self._last_line:
            raise self._unexpected("the next bound on a line of its own")

    def _is_infinity(self) -> bool:
        return self._now.text.lower() in _INFINITE_NAMES

    def _apply(
        self, column: int, compare: str, value: Fraction | None, infinite: int, line: int
    ) -> None:
        build = self._build
        if (infinite > 0 and compare in "=>") or (infinite < 0 and compare in "=<"):
            raise ModelError(
                f"a bound of {'' if infinite > 0 else '-'}infinity that leaves no value",
                line=line,
            )
        if compare in "=>":
            build.lower[column] = value
        if compare in "=<":
            build.upper[column] = value

    def _typed(self, section: str) -> None:
        build = self._build
        while self._now.kind not in ("section", "end"):
            if self._now.kind != "name":
                raise self._unexpected("a variable")
            column = self._column(self._advance().text)
            if section == "semi":
                build.semicontinuous.add(column)
                continue
            build.integer[column] = 1
            if section == "binaries":
                self._binary(column)

    def _binary(self, column: int) -> None:
        """[0, 1] and the bounds given before: `x = 1` before Binary stays."""
        build = self._build
        lower, upper = build.lower[column], build.upper[column]
        if (lower is not None and lower < 0) or (upper is not None and upper > 1):
            build.rule(
                f"{build.col_names[column][:60]!r} has bounds beyond [0, 1] before Binary: cut to [0, 1]"
            )
        build.lower[column] = _ZERO if lower is None or lower < 0 else lower
        build.upper[column] = Fraction(1) if upper is None or upper > 1 else upper


def _sides(
    compare: str, value: Fraction | None, infinite: int, constant: Fraction, line: int
) -> tuple[Fraction | None, Fraction | None]:
    """Lower and upper side of `terms + constant (compare) value`."""
    if value is None:
        if (infinite > 0 and compare == "<") or (infinite < 0 and compare == ">"):
            return None, None
        raise ModelError("a row compared with an infinity that leaves no value", line=line)
    if abs(value) >= INFINITE:
        return _sides(compare, None, 1 if value > 0 else -1, constant, line)
    value -= constant
    return (None if compare == "<" else value), (None if compare == ">" else value)
