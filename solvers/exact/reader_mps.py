"""MPS, free and fixed, in exact rationals.

Strict where files are ambiguous: what other readers ignore with a warning, or read in different
ways, is an error here. Customs that hold (and were checked against HiGHS): the first N row is the
objective and further ones are dropped; the objective's right-hand side is minus its constant; a
variable between integer markers without any bound is binary; with any bound its default is [0, ∞);
bounds and sides from 1e20 on are infinite; names of RHS, RANGES and BOUNDS sets may be left out; a
$ before the name of a row, or after the last number, begins a comment. A duplicate entry is refused
(HiGHS takes the first, CPLEX fails). An upper bound below 0 without a lower one makes the lower
bound -infinity, noted as a rule because readers differ.

Beyond linear rows, as CPLEX, Gurobi and SCIP write them: QUADOBJ (one triangle of Q, objective + ½
xᵀQx), QMATRIX (both triangles, ½ xᵀQx), QSECTION of the objective (as QUADOBJ), QCMATRIX row (both
triangles, xᵀQx without the half), SOS (kind and name, then members with weights), INDICATORS (IF
row column value), SC and SI bounds.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import islice

from solvers.errors import ModelError
from solvers.exact.model import Builder, ExactLimits, ExactModel, parse_number
from solvers.exact.mps_bounds import Bounds
from solvers.exact.mps_fields import (
    SetNames,
    SideCache,
    fixed_fields,
    pairs_of,
    without_comment,
)
from solvers.exact.mps_special import OBJECTIVE, PRODUCTS, SPECIAL, SpecialSections

_DROPPED = -2  # in place of a row: an N row that is not the objective
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
_MORE_ROWS = ("LAZYCONS", "USERCUTS")
_REFUSED = {
    "SOS1": "the section SOS1 (for SOS sets write SOS)",
    "SOS2": "the section SOS2 (for SOS sets write SOS)",
    "SETS": "the section SETS (for SOS sets write SOS)",
    "CSECTION": "cones",
    "GENCONS": "general constraints",
    "PWLOBJ": "a piecewise linear objective",
}
_HEADERS = frozenset((*_SECTIONS, *SPECIAL, *_MORE_ROWS, *_REFUSED))
# Nothing may follow these headers.
_WITHOUT_TEXT = ("ROWS", "COLUMNS", "RANGES", "BOUNDS", "OBJSENSE")
_SENSES = {
    **dict.fromkeys(("MAX", "MAXIMIZE", "MAXIMISE"), True),
    **dict.fromkeys(("MIN", "MINIMIZE", "MINIMISE"), False),
}


def read_mps(
    batches: Iterable[list[str]], limits: ExactLimits, *, fixed: bool
) -> ExactModel:
    """Read the model from batches of lines. Raises ModelError."""
    return _Reader(limits, fixed=fixed).read(batches)


class _Reader:
    def __init__(self, limits: ExactLimits, *, fixed: bool) -> None:
        self._fixed = fixed
        self._build = Builder(limits=limits)
        self._rows: dict[str, int] = {}
        self._row_types: list[str] = []
        self._sets, self._sides = SetNames(), SideCache()
        self._bounds = Bounds(self._build, self._sets, self._sides)
        self._special = SpecialSections(self._build, self._rows)
        # The section being read, those read so far, and the number of the line.
        self._section, self._seen, self._at = "", set[str](), 0
        self._numbers: dict[str, int] = {}  # spelling → its place in the builder's values
        self._rhs: dict[int, tuple[Fraction | None, int]] = {}
        self._ranges: dict[int, Fraction] = {}
        self._ranges_before_rhs = False
        self._maximize_in_comment = False
        self._in_marker = False
        self._objective_name: str | None = None
        self._objname: str | None = None
        self._column = -1
        self._column_name: str | None = None
        # The two last places stand for the objective and the dropped rows: -1 and -2.
        self._last_column_of_row: list[int] = []

    def read(self, batches: Iterable[list[str]]) -> ExactModel:
        for lines in self._build.watched(batches):
            if self._read_until_end(lines):
                break
        else:
            raise ModelError(
                "expected ENDATA, got the end of the file; it may be cut off",
                line=self._at,
            )
        for section in ("ROWS", "COLUMNS"):
            if section not in self._seen:
                raise ModelError(f"the section {section} is missing")
        return self._finish()

    def _read_until_end(self, lines: list[str]) -> bool:
        """Read the lines up to ENDATA. Return False when they hold none."""
        place = 0
        while place < len(lines):
            if self._section == "COLUMNS" and not self._fixed:
                taken = self._plain_columns(lines, place)
                place, self._at = place + taken, self._at + taken
                if place == len(lines):
                    break
            text = lines[place]
            place, self._at = place + 1, self._at + 1
            if text[:1] == "*" or not text or text.isspace():
                self._maximize_in_comment |= text[:12].upper() == "*SENSE:MAXIM"
            elif not self._opens_section(text):
                self._line(self._section, text, self._at)
            elif self._section == "ENDATA":
                return True
        return False

    def _opens_section(self, text: str) -> bool:
        """Open a section if `text` is its header. Return False for other lines."""
        if text[0] in " \t":
            return False
        words, line = text.split(), self._at
        section = words[0].upper()
        if section not in _HEADERS:
            if self._fixed:
                raise ModelError(f"expected a section, got {words[0][:60]!r}", line=line)
            return False
        self._special.close(line)
        self._section = section
        if section != "ENDATA":
            if section in self._seen and section != "QCMATRIX":
                raise ModelError(
                    f"expected one section {section}, got a second one", line=line
                )
            self._seen.add(section)
            self._open(section, words, line)
        return True

    def _open(self, section: str, words: list[str], line: int) -> None:
        if section in _REFUSED:
            self._build.refuse(_REFUSED[section], line)
        elif section in PRODUCTS:
            self._special.open_products(section, words, self._objective_name, line)
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
                "text after RHS; expected the entries on indented lines below it",
                line=line,
            )
        elif len(words) > 1 and section in _WITHOUT_TEXT:
            raise ModelError(f"text after {section}: {words[1][:60]!r}", line=line)
        if section == "RANGES":
            self._ranges_before_rhs = not self._rhs
        elif section == "RHS" and self._ranges_before_rhs:
            self._build.rule(
                "RANGES before RHS: ranges are still measured from the right-hand sides",
                line,
            )
        elif section == "COLUMNS":
            self._last_column_of_row = [-1] * (len(self._row_types) + 2)

    def _line(self, section: str, text: str, line: int) -> None:
        if section == "COLUMNS":
            self._columns_line(text, line)
            return
        if section in SPECIAL:
            self._special.line(section, text.split(), line)
            return
        words = self._fields(text, section, line)
        if section == "ROWS" or section in _MORE_ROWS:
            self._row(words, line)
        elif section in ("RHS", "RANGES"):
            self._pairs(section, words, line)
        elif section == "BOUNDS":
            self._bounds.line(words, line)
        elif section == "OBJSENSE":
            self._sense(words[0], line)
        elif section == "OBJNAME":
            self._objname = words[0]
            self._build.rule(f"OBJNAME makes {words[0][:60]!r} the objective", line)
        else:
            raise ModelError(
                f"expected a section such as ROWS, got {words[0][:60]!r}", line=line
            )

    def _fields(self, text: str, section: str, line: int) -> list[str]:
        if self._fixed:
            return fixed_fields(text, section, line)
        words = text.split()
        return (
            without_comment(words, self._rows, self._build.columns)
            if "$" in text
            else words
        )

    def _sense(self, word: str, line: int) -> None:
        if word.upper() not in _SENSES:
            raise ModelError(
                f"OBJSENSE: expected MAX or MIN, got {word[:60]!r}", line=line
            )
        self._build.maximize = _SENSES[word.upper()]

    def _row(self, words: list[str], line: int) -> None:
        if len(words) != 2 or words[0] not in ("N", "L", "G", "E") or not words[1]:
            raise ModelError(
                f"expected a row's type (N, L, G or E) and name, got {' '.join(words)[:60]!r}",
                line=line,
            )
        kind, name = words
        if name in self._rows:
            raise ModelError(
                f"expected a distinct name for each row, got {name[:100]!r} again",
                line=line,
            )
        if kind == "N":
            chosen = self._objective_name is None and self._objname in (None, name)
            self._rows[name] = OBJECTIVE if chosen else _DROPPED
            if chosen:
                self._objective_name = name
            return
        self._rows[name] = len(self._row_types)
        self._row_types.append(kind)
        self._build.row_names.append(name)

    def _columns_line(self, text: str, line: int) -> None:
        plain = not self._fixed and "$" not in text
        words = text.split() if plain else self._fields(text, "COLUMNS", line)
        count = len(words)
        if count >= 3 and words[1] == "'MARKER'":
            self._marker(words[-1], line)
            return
        if count not in (3, 5):
            raise ModelError(
                "COLUMNS: expected a column and one or two pairs of row and number, "
                f"got {count} words",
                line=line,
            )
        if words[0] != self._column_name:
            self._new_column(words[0], line)
        self._entry(words[1], words[2], line)
        if count == 5:
            self._entry(words[3], words[4], line)

    def _plain_columns(self, lines: list[str], begin: int) -> int:
        """Read the plain lines from `begin` on and return their number.

        They hold rows and numbers that occurred before, and nothing odd.
        Nearly all lines of most files are plain, and here they take a quarter of the time that they
        take in `_columns_line`. The first other line ends this, with none of its entries read:
        errors are reported there.
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
            if row == OBJECTIVE:
                build.objective[column] = values[number]
            elif number != zero:
                add_row(row)
                add_column(column)
                add_value(number)
            if count == 5:
                last_column_of_row[other] = column
                if other == OBJECTIVE:
                    build.objective[column] = values[other_number]
                elif other_number != zero:
                    add_row(other)
                    add_column(column)
                    add_value(other_number)
        return len(lines) - begin

    def _new_column(self, name: str, line: int) -> None:
        if name in self._build.columns or not name:
            raise ModelError(
                f"expected the entries of column {name[:100]!r} together, got some more",
                line=line,
            )
        self._column, self._column_name = self._build.add_column(name), name
        if self._in_marker:
            self._build.integer[self._column] = 1
            self._bounds.integer_by_marker(self._column)

    def _entry(self, row_name: str, token: str, line: int) -> None:
        row = self._rows.get(row_name)
        if row is None:
            raise ModelError(f"row {row_name[:100]!r} is not in ROWS", line=line)
        number = self._numbers.get(token)
        if number is None:
            number = self._numbers[token] = self._build.value_id(
                parse_number(token, line)
            )
        column = self._column
        if self._last_column_of_row[row] == column and row != _DROPPED:
            raise ModelError(
                f"expected one entry of column {self._column_name!r} in row "
                f"{row_name[:100]!r}, got a second one",
                line=line,
            )
        self._last_column_of_row[row] = column
        build = self._build
        if row >= 0:
            if build.values[number]:
                build.entry_row.append(row)
                build.entry_col.append(column)
                build.entry_value.append(number)
        elif row == OBJECTIVE:
            build.objective[column] = build.values[number]

    def _marker(self, word: str, line: int) -> None:
        if word == "'INTORG'":
            self._in_marker = True
        elif word == "'INTEND'":
            self._in_marker = False
        else:
            raise ModelError(
                f"expected a marker 'INTORG' or 'INTEND', got {word[:60]!r}", line=line
            )
        self._column_name = None

    def _pairs(self, section: str, words: list[str], line: int) -> None:
        # An even number of words: the set's name was left out. In fixed columns it has a field.
        named = self._fixed or len(words) % 2 == 1
        if len(words) not in (2, 3, 4, 5) or (self._fixed and len(words) not in (3, 5)):
            raise ModelError(
                f"{section}: expected a set (or none) and one or two pairs of row and number, "
                f"got {len(words)} words",
                line=line,
            )
        if named:
            self._sets.check(section, words[0], line)
        for row_name, token in pairs_of(words[1:] if named else words):
            row = self._rows.get(row_name)
            if row is None:
                raise ModelError(
                    f"row {row_name[:100]!r} of {section} is not in ROWS", line=line
                )
            if row != _DROPPED and row in (
                self._rhs if section == "RHS" else self._ranges
            ):
                raise ModelError(
                    f"expected one entry of row {row_name[:100]!r} in {section}, "
                    "got a second one",
                    line=line,
                )
            if section == "RHS":
                if row == _DROPPED:
                    self._build.rule(
                        f"{row_name[:60]!r} is not the objective: its right-hand side is ignored",
                        line,
                    )
                self._rhs[row] = self._sides.parse(token, line)
            elif row < 0:
                raise ModelError(
                    f"expected a range on a row of type L, G or E, got {row_name[:100]!r} "
                    "of type N",
                    line=line,
                )
            else:
                self._ranges[row] = parse_number(token, line)

    def _finish(self) -> ExactModel:
        build = self._build
        if self._objname is not None and self._objname != self._objective_name:
            raise ModelError(
                "OBJNAME: expected the name of a row of type N, before ROWS, "
                f"got {self._objname[:60]!r}"
            )
        for rule in self._bounds.finish():
            build.rule(rule)
        if self._maximize_in_comment and not build.maximize:
            build.remark(
                "readers of MPS ignore the comment *SENSE:Maximize: the objective is minimised. "
                "In PuLP write writeMPS(path, with_objsense=True)"
            )
        constant, _ = self._rhs.get(OBJECTIVE, (Fraction(0), 0))
        if constant is None:
            raise ModelError("the objective's right-hand side is infinite")
        build.offset = -constant
        for row, kind in enumerate(self._row_types):
            lower, upper = self._row_sides(row, kind)
            build.row_lower.append(lower)
            build.row_upper.append(upper)
        return build.finish()

    def _row_sides(self, row: int, kind: str) -> tuple[Fraction | None, Fraction | None]:
        rhs, infinite = self._rhs.get(row, (Fraction(0), 0))
        spread = self._ranges.get(row)
        if rhs is None:
            if spread is None and (
                (infinite > 0 and kind == "L") or (infinite < 0 and kind == "G")
            ):
                return None, None
            raise ModelError(
                f"row {self._build.row_names[row][:100]!r} of type {kind} "
                "has an infinite right-hand side"
            )
        if spread is None:
            return (rhs if kind != "L" else None), (rhs if kind != "G" else None)
        if kind == "L":
            return rhs - abs(spread), rhs
        if kind == "G":
            return rhs, rhs + abs(spread)
        return (rhs, rhs + spread) if spread >= 0 else (rhs + spread, rhs)
