"""CPLEX LP format in exact rationals.

Rules of the field: a variable is [0, ∞) until Bounds says otherwise, and the last bound counts;
Binary adds [0, 1] to the bounds before it; terms of one variable in one row are summed; terms and
constants may stand on both sides of a row and are moved; lazy constraints and user cuts are rows;
bounds and sides from 1e20 on are infinite. Where readers are known to differ, `Builder.rule` notes
the choice.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from solvers.errors import ModelError
from solvers.exact.lp_cursor import Cursor
from solvers.exact.lp_expression import Expressions, Side
from solvers.exact.lp_tokens import tokens
from solvers.exact.model import INFINITE, Builder, ExactLimits, ExactModel

_MIRRORED = {"<": ">", ">": "<", "=": "="}
_ZERO, _ONE = Fraction(0), Fraction(1)


def read_lp(batches: Iterable[list[str]], limits: ExactLimits) -> ExactModel:
    """Read the model from batches of lines. Raises ModelError."""
    build = Builder(limits=limits)
    return _Reader(Cursor(tokens(build.watched(batches)), build), build).read()


class _Reader:
    def __init__(self, cursor: Cursor, build: Builder) -> None:
        self._cursor, self._build = cursor, build
        self._expressions = Expressions(cursor, build)
        self._row_names: set[str] = set()

    def read(self) -> ExactModel:
        cursor, build = self._cursor, self._build
        if cursor.now.kind != "section" or cursor.now.text not in (
            "maximize",
            "minimize",
        ):
            raise cursor.unexpected("Minimize or Maximize at the start")
        build.maximize = cursor.advance().text == "maximize"
        self._objective()
        while cursor.now.kind == "section":
            section = cursor.now.text
            if section in ("maximize", "minimize"):
                raise cursor.unexpected("one objective")
            cursor.advance()
            if section == "end":
                if cursor.now.kind != "end":
                    raise cursor.unexpected("nothing after End")
                return build.finish()
            self._read_section(section)
        raise cursor.unexpected(
            "End at the end (the file may be cut off)"
            if cursor.now.kind == "end"
            else "a section"
        )

    def _read_section(self, section: str) -> None:
        if section == "sos":
            self._sets()
            return
        if section == "other":
            self._build.refuse("general constraints", self._cursor.now.line)
        while not self._cursor.at_section_end():
            if section in ("rows", "lazy"):
                self._row()
            elif section == "bounds":
                self._bound()
            else:
                self._typed(section)

    def _objective(self) -> None:
        cursor, build = self._cursor, self._build
        if cursor.at(":"):
            cursor.advance()
        elif cursor.at_label():
            cursor.label()
        whole = self._expressions.read(halved=True)
        if cursor.now.kind == "compare" or whole.infinite:
            raise cursor.unexpected("Subject To after the objective")
        build.objective = whole.terms
        build.objective_products.update(whole.products)
        build.offset = whole.constant

    # rows

    def _row(self) -> None:
        cursor, build = self._cursor, self._build
        name = self._row_name()
        line = cursor.now.line
        sides, compares = self._comparison(line)
        if not cursor.at_section_end() and cursor.now.line == cursor.last_line:
            raise cursor.unexpected("the next row on a new line")
        if len(compares) == 1:
            whole, lower, upper = _one_sided(sides, compares[0], line)
        else:
            whole = sides[1]
            lower, upper = _between(sides, compares, line)
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
        """Read the label of a row, empty without one. A name in use is changed: both rows count."""
        cursor = self._cursor
        if not cursor.at_label():
            return ""
        name = cursor.label()
        if name in self._row_names:
            self._build.rule(
                f"a second row is named {name[:60]!r}: both are kept", cursor.now.line
            )
            name = f"{name}_{len(self._build.row_names) + 1}"
        self._row_names.add(name)
        return name

    def _comparison(self, line: int) -> tuple[list[Side], list[str]]:
        """Read two or three sides and the comparisons between them, after an indicator if any."""
        cursor, read = self._cursor, self._expressions.read
        sides: list[Side] = [read()]
        compares: list[str] = []
        while cursor.now.kind == "compare" and len(compares) < 2:
            compares.append(cursor.compare())
            sides.append(read(after=True))
            if cursor.at("->") and len(compares) == 1:
                self._indicator(sides[0], compares[0], sides[1], line)
                sides, compares = [read()], []
        if not compares or cursor.now.kind == "compare":
            raise cursor.unexpected(
                "a row with one comparison, or between two numbers: 2 <= x + y <= 10"
            )
        return sides, compares

    def _indicator(self, left: Side, compare: str, right: Side, line: int) -> None:
        """Attach the condition before `->`, a binary and its value, to the row that follows."""
        is_variable = list(left.terms.values()) == [1] and not (
            left.products or left.constant or left.infinite
        )
        if not is_variable or compare != "=" or right.variable or right.infinite:
            raise ModelError(
                "an indicator: expected one binary variable and its value before ->, "
                "as in z = 1 -> x <= 3",
                line=line,
            )
        self._cursor.advance()
        build = self._build
        row, column = len(build.row_names), next(iter(left.terms))
        # A placeholder for the message about a second indicator; the row itself comes next.
        build.row_names.append("")
        build.add_indicator(row, column, right.constant, line)
        build.row_names.pop()

    # the other sections

    def _bound(self) -> None:
        cursor, build, line = self._cursor, self._build, self._cursor.now.line
        if cursor.now.kind == "name" and not cursor.at_infinity():
            column = cursor.column()
            if cursor.now.kind == "name" and cursor.now.text.lower() == "free":
                cursor.advance()
                build.lower[column] = build.upper[column] = None
                return
            self._apply(column, cursor.compare(), *cursor.side(), line)
        else:
            value, infinite = cursor.side()
            first = cursor.compare()
            column = cursor.column()
            self._apply(column, _MIRRORED[first], value, infinite, line)
            if cursor.now.kind == "compare":
                second = cursor.compare()
                if second != first or first == "=":
                    raise ModelError(
                        "a variable between two numbers: expected the same comparison twice, "
                        "< or >",
                        line=line,
                    )
                self._apply(column, second, *cursor.side(), line)
        if not cursor.at_section_end() and cursor.now.line == cursor.last_line:
            raise cursor.unexpected("the next bound on a new line")

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
        """Read one variable of General, Binary or Semi-Continuous."""
        build = self._build
        column = self._cursor.column()
        if section == "semi":
            build.semicontinuous.add(column)
            return
        build.integer[column] = 1
        if section == "binaries":
            self._binary(column)

    def _binary(self, column: int) -> None:
        """Cut the bounds so far to [0, 1]: `x = 1` before Binary stays."""
        build = self._build
        lower, upper = build.lower[column], build.upper[column]
        if (lower is not None and lower < 0) or (upper is not None and upper > 1):
            build.rule(
                f"{build.col_names[column][:60]!r} has bounds beyond [0, 1] before Binary: "
                "cut to [0, 1]"
            )
        build.lower[column] = _ZERO if lower is None or lower < 0 else lower
        build.upper[column] = _ONE if upper is None or upper > 1 else upper

    def _sets(self) -> None:
        """Read sets `name: S1:: x:1 y:2 z:3`, one after the other."""
        cursor, build = self._cursor, self._build
        names: set[str] = set()
        while not cursor.at_section_end():
            line, name = cursor.now.line, f"SOS{len(build.sets) + 1}"
            if cursor.at_label():
                name = cursor.label()
            if name in names:
                raise ModelError(
                    f"expected a distinct name for each SOS set, got {name[:60]!r} again",
                    line=line,
                )
            names.add(name)
            if cursor.now.kind != "name" or cursor.now.text.upper() not in ("S1", "S2"):
                raise cursor.unexpected("S1:: or S2:: and the members of the set")
            kind = int(cursor.advance().text[1])
            if not cursor.at("::"):
                raise cursor.unexpected(":: after the kind of the set")
            cursor.advance()
            members: list[tuple[int, Fraction]] = []
            # `a: S1::` begins the next set; `a:3` is a member of this one.
            while cursor.at_label() and not cursor.at_label_before_name():
                members.append(self._member())
            build.add_set(name, kind, members, line)

    def _member(self) -> tuple[int, Fraction]:
        cursor = self._cursor
        column = cursor.column_of(cursor.label())
        negative = cursor.signs()
        weight = cursor.number("a weight")
        return column, -weight if negative else weight


def _one_sided(
    sides: list[Side], compare: str, line: int
) -> tuple[Side, Fraction | None, Fraction | None]:
    """Return the terms and both sides of a row with one comparison."""
    left, right = sides
    if left.infinite or (right.variable and not left.variable):  # 10 >= x + y
        left, right, compare = right, left, _MIRRORED[compare]
    lower, upper = _limits(compare, right, left.constant, line)
    return left.minus(right), lower, upper


def _between(
    sides: list[Side], compares: list[str], line: int
) -> tuple[Fraction | None, Fraction | None]:
    """Return both sides of a row between two numbers."""
    left, middle, right = sides
    if compares[0] != compares[1] or compares[0] == "=":
        raise ModelError(
            "a row between two numbers: expected the same comparison twice, < or >",
            line=line,
        )
    if left.variable or right.variable or middle.infinite:
        raise ModelError(
            "a row between two numbers: expected the variables in the middle", line=line
        )
    outer = _limits(_MIRRORED[compares[0]], left, middle.constant, line)
    other = _limits(compares[1], right, middle.constant, line)
    lower = other[0] if other[0] is not None else outer[0]
    return lower, other[1] if other[1] is not None else outer[1]


def _limits(
    compare: str, side: Side, constant: Fraction, line: int
) -> tuple[Fraction | None, Fraction | None]:
    """Return lower and upper side of `terms + constant (compare) side`."""
    value, infinite = side.value, side.infinite
    if value is not None and abs(value) >= INFINITE:
        infinite, value = (1 if value > 0 else -1), None
    if value is None:
        if (infinite > 0 and compare == "<") or (infinite < 0 and compare == ">"):
            return None, None
        raise ModelError(
            "a row compared with an infinity that leaves no value", line=line
        )
    value -= constant
    return (None if compare == "<" else value), (None if compare == ">" else value)
