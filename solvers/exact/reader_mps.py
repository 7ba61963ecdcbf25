"""MPS, free and fixed, in exact rationals.

Strict where files are ambiguous: what other readers ignore with a warning, or take in different ways, is an error here.
Kept from practice (and checked against HiGHS): the first N row is the objective and further ones are dropped; the
objective's right-hand side is minus its constant; a variable between integer markers without any bound is binary; any
bound at all makes its default [0, ∞); bounds and sides from 1e20 on are infinite; names of RHS, RANGES and BOUNDS sets
may be left out; a $ before a row's name, or after the last number, begins a comment. An upper bound below 0 without a
lower one is refused, as readers disagree about it, and so is an entry that comes twice (HiGHS keeps the first, CPLEX fails).

Beyond linear rows, as CPLEX, Gurobi and SCIP write them: QUADOBJ (one triangle of Q, objective + ½ xᵀQx), QMATRIX (both
triangles, ½ xᵀQx), QSECTION of the objective (as QUADOBJ), QCMATRIX row (both triangles, xᵀQx without the half), SOS (kind and
name, then members with weights), INDICATORS (IF row column value), SC and SI bounds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import islice

from solvers.errors import ModelError
from solvers.exact.model import (
    Builder,
    ExactLimits,
    ExactModel,
    Products,
    parse_number,
    parse_side,
)

_OBJECTIVE, _DROPPED = -1, -2
_SECTIONS = (
    "NAME",
    "ROWS",
    "COLUMNS",
    "RHS",
    "RANGES",
    "BOUNDS",
    "OBJSENSE",
    "OBJNAME",
    "ENDATA",
)
_PRODUCTS = ("QUADOBJ", "QMATRIX", "QSECTION", "QCMATRIX")
_SPECIAL = (*_PRODUCTS, "SOS", "INDICATORS")
_MORE_ROWS = ("LAZYCONS", "USERCUTS")
_LEFT_OUT = {
    "SOS1": "the section SOS1 (for SOS sets write SOS)",
    "SOS2": "the section SOS2 (for SOS sets write SOS)",
    "SETS": "the section SETS (for SOS sets write SOS)",
    "CSECTION": "cones",
    "GENCONS": "general constraints",
    "PWLOBJ": "a piecewise linear objective",
}
_FIXED_FIELDS = ((1, 3), (4, 12), (14, 22), (24, 36), (39, 47), (49, 61))
_WITH_VALUE = ("UP", "LO", "FX", "LI", "UI", "SC", "SI")
_WITHOUT_VALUE = ("FR", "MI", "PL", "BV")
_SIDES_OF_BOUND = {
    "UP": "u",
    "UI": "u",
    "PL": "u",
    "SC": "u",
    "SI": "u",
    "LO": "l",
    "LI": "l",
    "MI": "l",
}


def read_mps(
    batches: Iterable[list[str]], limits: ExactLimits, *, fixed: bool
) -> ExactModel:
    """The model of the lines in `batches`."""
    return _Reader(limits, fixed=fixed).read(batches)


class _Reader:
    def __init__(self, limits: ExactLimits, *, fixed: bool) -> None:
        self._fixed = fixed
        self._build = Builder(limits=limits)
        self._row_types: list[str] = []
        self._rows: dict[str, int] = {}
        self._numbers: dict[
            str, int
        ] = {}  # what was written → its place in the builder's values
        self._known_sides: dict[str, tuple[Fraction | None, int]] = {}
        self._rhs: dict[int, Fraction | None] = {}
        self._rhs_sign: dict[int, int] = {}
        self._ranges: dict[int, Fraction] = {}
        self._sets: dict[str, str] = {}
        self._binary_by_marker: set[int] = (
            set()
        )  # integer by marker and still without any bound
        self._bound_sides: set[tuple[int, str]] = set()
        self._ranges_before_rhs: int | None = None  # line
        self._maximize_in_comment = False
        self._in_marker = False
        self._objective_name: str | None = None
        self._wanted_objective: str | None = None
        self._column: int = -1
        self._column_name: str | None = None
        self._last_column_of_row: list[int] = []
        self._triangle: Products = {}  # of the section of products that is being read, (i, j) as written
        self._products_of: int | None = None  # its row; _OBJECTIVE for the objective
        self._products_section = ""
        self._set: tuple[str, int, list[tuple[int, Fraction]], int] | None = (
            None  # name, kind, members, line
        )

    def read(self, batches: Iterable[list[str]]) -> ExactModel:
        section, line, ended = "", 0, False
        seen: set[str] = set()
        for lines in self._build.watched(batches):
            place = 0
            while place < len(lines):
                if section == "COLUMNS" and not self._fixed:
                    taken = self._plain_columns(lines, place)
                    place, line = place + taken, line + taken
                    if place == len(lines):
                        break
                text = lines[place]
                place, line = place + 1, line + 1
                first = text[:1]
                if first == "*" or not text or text.isspace():
                    self._maximize_in_comment |= text[:12].upper() == "*SENSE:MAXIM"
                    continue
                if first not in (" ", "\t"):
                    header = self._header(text)
                    if header is not None:
                        section = header
                        self._close(line)
                        if section == "ENDATA":
                            ended = True
                            break
                        if section in seen and section != "QCMATRIX":
                            raise ModelError(
                                f"expected one section {section}, got a second one",
                                line=line,
                            )
                        seen.add(section)
                        self._open(section, text.split(), line)
                        continue
                    if self._fixed:
                        raise ModelError(
                            f"expected a section, got {text.split()[0][:60]!r}", line=line
                        )
                if section == "COLUMNS":
                    self._columns_line(text, line)
                else:
                    self._line(section, text, line)
            if ended:
                break
        if not ended:
            raise ModelError("the file ends without ENDATA; it may be cut off", line=line)
        for wanted in ("ROWS", "COLUMNS"):
            if wanted not in seen:
                raise ModelError(f"the section {wanted} is missing")
        return self._finish()

    def _header(self, text: str) -> str | None:
        word = text.split(None, 1)[0].upper()
        return (
            word
            if word in (*_SECTIONS, *_SPECIAL, *_MORE_ROWS) or word in _LEFT_OUT
            else None
        )

    def _open(self, section: str, words: list[str], line: int) -> None:
        if section in _LEFT_OUT:
            self._build.refuse(_LEFT_OUT[section], line)
        elif section in _PRODUCTS:
            self._open_products(section, words, line)
        elif section in _MORE_ROWS:
            self._build.rule(f"the rows of {section} are rows like others", line)
        elif section == "NAME":
            self._build.name = " ".join(words[1:])[:200]
        elif section == "OBJSENSE" and len(words) == 2:
            if words[1].upper() not in ("MAX", "MIN"):
                self._build.rule(f"OBJSENSE {words[1]} on one line counts", line)
            self._sense(words[1], line)
        elif section == "RHS" and len(words) > 1:
            raise ModelError(
                "text after RHS; expected the entries on lines of their own, indented",
                line=line,
            )
        elif len(words) > 1 and section in (
            "ROWS",
            "COLUMNS",
            "RANGES",
            "BOUNDS",
            "OBJSENSE",
        ):
            raise ModelError(f"text after {section}: {words[1][:60]!r}", line=line)
        if section == "RANGES" and not self._rhs:
            self._ranges_before_rhs = line
        elif section == "RHS" and self._ranges_before_rhs is not None:
            self._build.rule(
                "RANGES before RHS: ranges are measured from the right-hand sides all the same",
                line,
            )
        if section == "COLUMNS":
            self._last_column_of_row = [-1] * (len(self._row_types) + 2)

    def _line(self, section: str, text: str, line: int) -> None:
        if section in _SPECIAL:
            self._special(section, text.split(), line)
            return
        words = self._fields(text, line, section)
        if section == "ROWS" or section in _MORE_ROWS:
            self._row(words, line)
        elif section == "RHS":
            self._pairs("RHS", words, line)
        elif section == "RANGES":
            self._pairs("RANGES", words, line)
        elif section == "BOUNDS":
            self._bound(words, line)
        elif section == "OBJSENSE":
            self._sense(words[0], line)
        elif section == "OBJNAME":
            self._wanted_objective = words[0]
            self._build.rule(f"OBJNAME makes {words[0][:60]!r} the objective", line)
        else:
            raise ModelError(
                f"expected a section such as ROWS, got {words[0][:60]!r}", line=line
            )

    def _fields(self, text: str, line: int, section: str) -> list[str]:
        if not self._fixed:
            return self._uncommented(text.split()) if "$" in text else text.split()
        if "\t" in text:
            raise ModelError("tabs in a file with fixed columns", line=line)
        fields = [text[start:end].strip() for start, end in _FIXED_FIELDS]
        if section in ("OBJSENSE", "OBJNAME"):
            return [text.strip()]
        if section == "ROWS":
            return [fields[0], fields[1]]
        if section == "BOUNDS":
            # The set's name may be blank; its columns say which field is which.
            return [fields[0], fields[1], fields[2], *([fields[3]] if fields[3] else [])]
        while len(fields) > 2 and not fields[-1]:
            fields.pop()
        return fields[1:]

    def _uncommented(self, words: list[str]) -> list[str]:
        """Without a comment, which begins with a $ at the second word or later. A row or column may still be called $r."""
        for place in range(1, len(words)):
            if (
                words[place][0] == "$"
                and words[place] not in self._rows
                and words[place] not in self._build.columns
            ):
                return words[:place]
        return words

    def _sense(self, word: str, line: int) -> None:
        senses = {
            "MAX": True,
            "MAXIMIZE": True,
            "MAXIMISE": True,
            "MIN": False,
            "MINIMIZE": False,
            "MINIMISE": False,
        }
        if word.upper() not in senses:
            raise ModelError(f"OBJSENSE wants MAX or MIN; {word[:60]!r} came", line=line)
        self._build.maximize = senses[word.upper()]

    def _row(self, words: list[str], line: int) -> None:
        if len(words) != 2 or words[0] not in ("N", "L", "G", "E") or not words[1]:
            raise ModelError(
                f"a row wants a type (N, L, G or E) and a name; {' '.join(words)[:60]!r} came",
                line=line,
            )
        kind, name = words
        if name in self._rows:
            raise ModelError(
                f"a second row has the name {name[:100]!r}; expected a name of its own for each",
                line=line,
            )
        if kind == "N":
            chosen = self._objective_name is None and self._wanted_objective in (None, name)
            self._rows[name] = _OBJECTIVE if chosen else _DROPPED
            if chosen:
                self._objective_name = name
            return
        self._rows[name] = len(self._row_types)
        self._row_types.append(kind)
        self._build.row_names.append(name)

    def _columns_line(self, text: str, line: int) -> None:
        words = (
            self._fields(text, line, "COLUMNS")
            if self._fixed or "$" in text
            else text.split()
        )
        count = len(words)
        if count >= 3 and words[1] == "'MARKER'":
            self._marker(words[-1], line)
            return
        if count not in (3, 5):
            raise ModelError(
                f"a line of COLUMNS wants a column and one or two pairs of row and number; {count} words came",
                line=line,
            )
        if words[0] != self._column_name:
            self._new_column(words[0], line)
        self._entry(words[1], words[2], line)
        if count == 5:
            self._entry(words[3], words[4], line)

    def _plain_columns(self, lines: list[str], begin: int) -> int:
        """Take the lines from `begin` on that hold known rows and known numbers and nothing odd; returns how many.

        Nearly all of most files is such lines, and here they cost a quarter of what they cost in `_columns_line`. Any other
        line ends the run with none of its entries taken: what is wrong with it is told in one place.
        """
        build, columns, values = self._build, self._build.columns, self._build.values
        row_of, number_of, last_column_of_row = (
            self._rows.get,
            self._numbers.get,
            self._last_column_of_row,
        )
        add_row, add_column, add_value = (
            build.entry_row.append,
            build.entry_col.append,
            build.entry_value.append,
        )
        zero = build.value_ids.get(Fraction(0), -1)
        name, column = self._column_name, self._column
        for taken, text in enumerate(islice(lines, begin, None)):
            words = text.split()
            count = len(words)
            if (count != 5 and count != 3) or text[0] not in " \t" or "$" in text:
                return taken
            if words[0] != name:
                if words[0] in columns or words[1] == "'MARKER'":
                    return taken
                self._new_column(words[0], 0)
                name, column = self._column_name, self._column
            row, number = row_of(words[1], _DROPPED), number_of(words[2], -1)
            if row == _DROPPED or number < 0 or last_column_of_row[row] == column:
                return taken
            if count == 5:
                other, other_number = row_of(words[3], _DROPPED), number_of(words[4], -1)
                if (
                    other in (_DROPPED, row)
                    or other_number < 0
                    or last_column_of_row[other] == column
                ):
                    return taken
            last_column_of_row[row] = column
            if row == _OBJECTIVE:
                build.objective[column] = values[number]
            elif number != zero:
                add_row(row)
                add_column(column)
                add_value(number)
            if count == 5:
                last_column_of_row[other] = column
                if other == _OBJECTIVE:
                    build.objective[column] = values[other_number]
                elif other_number != zero:
                    add_row(other)
                    add_column(column)
                    add_value(other_number)
        return len(lines) - begin

    def _new_column(self, name: str, line: int) -> None:
        if name in self._build.columns or not name:
            raise ModelError(
                f"column {name[:100]!r} comes a second time; expected its entries together",
                line=line,
            )
        self._column, self._column_name = self._build.add_column(name), name
        if self._in_marker:
            self._build.integer[self._column] = 1
            self._binary_by_marker.add(self._column)

    def _entry(self, row_name: str, token: str, line: int) -> None:
        row = self._rows.get(row_name)
        if row is None:
            raise ModelError(f"row {row_name[:100]!r} is not in ROWS", line=line)
        number = self._numbers.get(token)
        if number is None:
            number = self._numbers[token] = self._build.value_id(parse_number(token, line))
        column = self._column
        # The two last places stand for the objective and the dropped rows: -1 and -2 count from the end.
        if self._last_column_of_row[row] == column and row != _DROPPED:
            raise ModelError(
                f"column {self._column_name!r} has a second entry in row {row_name[:100]!r}",
                line=line,
            )
        self._last_column_of_row[row] = column
        build = self._build
        if row >= 0:
            if build.values[number]:
                build.entry_row.append(row)
                build.entry_col.append(column)
                build.entry_value.append(number)
        elif row == _OBJECTIVE:
            build.objective[column] = build.values[number]

    def _marker(self, word: str, line: int) -> None:
        if word == "'INTORG'":
            self._in_marker = True
        elif word == "'INTEND'":
            self._in_marker = False
        else:
            raise ModelError(
                f"a marker wants 'INTORG' or 'INTEND'; {word[:60]!r} came", line=line
            )
        self._column_name = None

    def _pairs(self, section: str, words: list[str], line: int) -> None:
        # With an even number of words the set's name was left out; in fixed columns its field is there, maybe blank.
        named = self._fixed or len(words) % 2 == 1
        if len(words) not in (2, 3, 4, 5) or (self._fixed and len(words) not in (3, 5)):
            raise ModelError(
                f"a line of {section} wants a set (or none) and one or two pairs of row and number; {len(words)} words came",
                line=line,
            )
        if named:
            self._one_set(section, words[0], line)
        pairs = words[1:] if named else words
        for row_name, token in _two_by_two(pairs):
            row = self._rows.get(row_name)
            if row is None:
                raise ModelError(
                    f"row {row_name[:100]!r} of {section} is not in ROWS", line=line
                )
            into = self._rhs if section == "RHS" else self._ranges
            if row in into and row != _DROPPED:
                raise ModelError(
                    f"row {row_name[:100]!r} comes a second time in {section}", line=line
                )
            if section == "RHS":
                if row == _DROPPED:
                    self._build.rule(
                        f"{row_name[:60]!r} is not the objective: its right-hand side says nothing",
                        line,
                    )
                self._rhs[row], self._rhs_sign[row] = self._side(token, line)
            elif row < 0:
                raise ModelError(
                    f"a range on {row_name[:100]!r}, a row of type N", line=line
                )
            else:
                self._ranges[row] = parse_number(token, line)

    def _one_set(self, section: str, name: str, line: int) -> None:
        known = self._sets.setdefault(section, name)
        if name and known and known != name:
            raise ModelError(
                f"a second set {name[:60]!r} in {section}; expected one, as {known[:60]!r} came first",
                line=line,
            )

    def _bound(self, words: list[str], line: int) -> None:
        kind, column, token = self._bound_parts(words, line)
        build = self._build
        if column in self._binary_by_marker:
            self._binary_by_marker.discard(column)
        sides = _SIDES_OF_BOUND.get(kind, "lu")
        for side in sides:
            if (column, side) in self._bound_sides:
                which = "a lower" if side == "l" else "an upper"
                raise ModelError(
                    f"variable {build.col_names[column][:100]!r} gets {which} bound twice",
                    line=line,
                )
            self._bound_sides.add((column, side))
        if kind in ("LI", "UI", "BV", "SI"):
            build.integer[column] = 1
        if kind in ("SC", "SI"):
            build.semicontinuous.add(column)
        if kind == "FR":
            build.lower[column] = build.upper[column] = None
        elif kind == "MI":
            build.lower[column] = None
        elif kind == "PL":
            build.upper[column] = None
        elif kind == "BV":
            build.lower[column], build.upper[column] = Fraction(0), Fraction(1)
        else:
            value, infinite = self._side(token, line)
            if (infinite > 0 and "l" in sides) or (infinite < 0 and "u" in sides):
                raise ModelError(
                    f"a bound {kind} of {token[:60]!r} leaves no value", line=line
                )
            if kind in ("SC", "SI") and value == 0:
                raise ModelError(
                    f"a bound {kind} of 0: readers take it as 0 or as none; say which",
                    line=line,
                )
            if "l" in sides:
                build.lower[column] = value
            if "u" in sides:
                build.upper[column] = value

    def _side(self, token: str, line: int) -> tuple[Fraction | None, int]:
        """`parse_side`, once for each way of writing: a hundred thousand bounds are mostly the same number."""
        known = self._known_sides.get(token)
        if known is None:
            known = self._known_sides[token] = parse_side(token, line)
        return known

    def _bound_parts(self, words: list[str], line: int) -> tuple[str, int, str]:
        """(type, column, number or '')."""
        kind, rest = words[0], words[1:]
        columns = self._build.columns
        token, set_name, name = "", "", ""
        if kind in _WITH_VALUE and len(rest) in (2, 3):
            *set_part, name, token = rest
            set_name = set_part[0] if set_part else ""
        elif kind in _WITHOUT_VALUE and 1 <= len(rest) <= 3:
            # `MI set x`, `MI x`, `MI set x 0` and `MI x 0` are all written; the known column's place decides.
            if len(rest) == 1:
                name = rest[0]
            elif len(rest) == 3 or rest[1] in columns:
                set_name, name = rest[0], rest[1]
            else:
                name = rest[0]
        elif kind not in _WITH_VALUE and kind not in _WITHOUT_VALUE:
            raise ModelError(
                f"a bound wants a type such as UP or LO; {kind[:60]!r} came", line=line
            )
        else:
            raise ModelError(
                f"a bound {kind} wants a set, a column and a number; {len(rest)} words came",
                line=line,
            )
        if set_name:
            self._one_set("BOUNDS", set_name, line)
        column = columns.get(name)
        if column is None:
            raise ModelError(
                f"column {name[:100]!r} of BOUNDS is not in COLUMNS", line=line
            )
        return kind, column, token

    def _open_products(self, section: str, words: list[str], line: int) -> None:
        self._products_section, self._triangle = section, {}
        if section == "QCMATRIX":
            row = self._rows.get(words[1]) if len(words) == 2 else None
            if row is None or row < 0:
                raise ModelError(
                    "QCMATRIX wants the name of a row of ROWS (not the objective) after it",
                    line=line,
                )
            if row in self._build.row_products:
                raise ModelError(f"a second QCMATRIX of row {words[1][:60]!r}", line=line)
            self._products_of = row
        else:
            if len(words) > 2 or (len(words) == 2 and words[1] != self._objective_name):
                raise ModelError(
                    f"{section} wants the objective; for a row write QCMATRIX", line=line
                )
            if self._build.objective_products:
                raise ModelError("a second section of products of the objective", line=line)
            self._products_of = _OBJECTIVE

    def _special(self, section: str, words: list[str], line: int) -> None:
        """Lines of sections whose names may hold no spaces, in fixed columns too."""
        if section in _PRODUCTS:
            if len(words) != 3:
                raise ModelError(
                    f"a line of {section} wants two columns and a number", line=line
                )
            key = (
                self._known_column(words[0], section, line),
                self._known_column(words[1], section, line),
            )
            value = parse_number(words[2], line)
            # SCIP writes squares as two halves, so what comes again is added.
            self._triangle[key] = self._triangle.get(key, Fraction(0)) + value
            self._build.products += 1
        elif section == "SOS":
            self._sos_line(words, line)
        else:
            if len(words) != 4 or words[0].upper() != "IF":
                raise ModelError(
                    "a line of INDICATORS wants IF, a row, a column and 0 or 1", line=line
                )
            row = self._rows.get(words[1])
            if row is None or row < 0:
                raise ModelError(
                    f"row {words[1][:100]!r} of INDICATORS is not in ROWS", line=line
                )
            column = self._known_column(words[2], section, line)
            self._build.add_indicator(row, column, parse_number(words[3], line), line)

    def _sos_line(self, words: list[str], line: int) -> None:
        """`S1 name` or `S1 SOS name` begins a set; `column weight` or `SOS column weight` is a member."""
        if words[0].upper() in ("S1", "S2") and not (
            len(words) == 2 and words[0] in self._build.columns
        ):
            self._close(line)
            name = (
                words[2]
                if len(words) > 2
                else words[1]
                if len(words) == 2
                else f"SOS{len(self._build.sets) + 1}"
            )
            if any(known.name == name for known in self._build.sets):
                raise ModelError(f"a second SOS set has the name {name[:60]!r}", line=line)
            self._set = (name, int(words[0][1]), [], line)
            return
        if self._set is None or len(words) not in (2, 3):
            raise ModelError(
                "a line of SOS wants S1 or S2 and a name, or a column and its weight",
                line=line,
            )
        self._set[2].append(
            (self._known_column(words[-2], "SOS", line), parse_number(words[-1], line))
        )

    def _known_column(self, name: str, section: str, line: int) -> int:
        column = self._build.columns.get(name)
        if column is None:
            raise ModelError(
                f"column {name[:100]!r} of {section} is not in COLUMNS", line=line
            )
        return column

    def _close(self, line: int) -> None:
        """End the SOS set or the section of products in hand."""
        if self._set is not None:
            name, kind, members, began = self._set
            self._build.add_set(name, kind, members, began)
            self._set = None
        if self._products_of is None:
            return
        of, self._products_of = self._products_of, None
        into = (
            self._build.objective_products
            if of == _OBJECTIVE
            else self._build.row_products.setdefault(of, {})
        )
        half = Fraction(1, 1 if of != _OBJECTIVE else 2)
        both = self._products_section in ("QMATRIX", "QCMATRIX")
        for (i, j), value in self._triangle.items():
            other = self._triangle.get((j, i))
            if both and i != j and other != value:
                raise ModelError(
                    f"{self._products_section} wants both triangles of a symmetric matrix; the entries of columns "
                    f"{self._build.col_names[i][:60]!r} and {self._build.col_names[j][:60]!r} differ",
                    line=line,
                )
            if not both and i != j and other is not None:
                raise ModelError(
                    f"{self._products_section} wants one triangle; both came", line=line
                )
            twice = 1 if both or i == j else 2
            self._build.add_product(into, i, j, half * twice * value)

    def _finish(self) -> ExactModel:
        build = self._build
        if (
            self._wanted_objective is not None
            and self._wanted_objective != self._objective_name
        ):
            raise ModelError(
                f"OBJNAME: expected the name of a row of type N, before ROWS, got {self._wanted_objective[:60]!r}"
            )
        for column, upper in enumerate(build.upper):
            if (
                upper is not None
                and upper < 0
                and build.lower[column] == 0
                and (column, "l") not in self._bound_sides
            ):
                build.lower[column] = None
                build.rule(
                    f"variable {build.col_names[column][:60]!r} has the upper bound {float(upper):g} and no lower bound: "
                    "its lower bound is -infinity"
                )
        if self._maximize_in_comment and not build.maximize:
            build.remark(
                "the comment *SENSE:Maximize says nothing to readers of MPS: the objective is minimised. "
                "In PuLP write writeMPS(path, with_objsense=True)"
            )
        for column in self._binary_by_marker:
            build.upper[column] = Fraction(1)
        if _OBJECTIVE in self._rhs:
            constant = self._rhs[_OBJECTIVE]
            if constant is None:
                raise ModelError("the objective's right-hand side is infinite")
            build.offset = -constant
        for row, kind in enumerate(self._row_types):
            lower, upper = self._sides(row, kind)
            build.row_lower.append(lower)
            build.row_upper.append(upper)
        return build.finish()

    def _sides(self, row: int, kind: str) -> tuple[Fraction | None, Fraction | None]:
        rhs, infinite = self._rhs.get(row, Fraction(0)), self._rhs_sign.get(row, 0)
        spread = self._ranges.get(row)
        if rhs is None:
            if spread is None and (
                (infinite > 0 and kind == "L") or (infinite < 0 and kind == "G")
            ):
                return None, None
            raise ModelError(
                f"row {self._build.row_names[row][:100]!r} of type {kind} has an infinite right-hand side"
            )
        if spread is None:
            return (rhs if kind != "L" else None), (rhs if kind != "G" else None)
        if kind == "L":
            return rhs - abs(spread), rhs
        if kind == "G":
            return rhs, rhs + abs(spread)
        return (rhs, rhs + spread) if spread >= 0 else (rhs + spread, rhs)


def _two_by_two(words: list[str]) -> Iterator[tuple[str, str]]:
    return zip(words[::2], words[1::2], strict=True)
