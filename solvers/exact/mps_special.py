"""Sections of MPS beyond linear rows: products, SOS sets and indicators.

Names in them hold no spaces, in fixed columns too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from solvers.errors import ModelError
from solvers.exact.model import Builder, Products, parse_number

OBJECTIVE = -1  # in place of a row
PRODUCTS = ("QUADOBJ", "QMATRIX", "QSECTION", "QCMATRIX")
SPECIAL = (*PRODUCTS, "SOS", "INDICATORS")
_BOTH_TRIANGLES = ("QMATRIX", "QCMATRIX")


@dataclass(kw_only=True)
class _Matrix:
    """A section of products that is being read."""

    section: str
    row: int  # OBJECTIVE for the objective
    entries: Products = field(default_factory=dict)  # (i, j) as written


@dataclass(kw_only=True)
class _Set:
    """A SOS set that is being read."""

    name: str
    kind: int
    line: int
    members: list[tuple[int, Fraction]] = field(default_factory=list)


class SpecialSections:
    """Reads the special sections into a builder."""

    def __init__(self, build: Builder, rows: dict[str, int]) -> None:
        self._build, self._rows = build, rows
        self._matrix: _Matrix | None = None
        self._set: _Set | None = None

    def open_products(
        self, section: str, words: list[str], objective: str | None, line: int
    ) -> None:
        """Begin a section of products. `objective` is the name of the objective's row."""
        if section == "QCMATRIX":
            row = self._rows.get(words[1]) if len(words) == 2 else None
            if row is None or row < 0:
                raise ModelError(
                    "QCMATRIX: expected the name of a row of ROWS after it, not the objective",
                    line=line,
                )
            if row in self._build.row_products:
                raise ModelError(
                    f"expected one QCMATRIX of row {words[1][:60]!r}, got a second one",
                    line=line,
                )
        else:
            row = OBJECTIVE
            if len(words) > 2 or (len(words) == 2 and words[1] != objective):
                raise ModelError(
                    f"{section}: expected the objective; for a row write QCMATRIX",
                    line=line,
                )
            if self._build.objective_products:
                raise ModelError(
                    "expected one section of products of the objective, got a second one",
                    line=line,
                )
        self._matrix = _Matrix(section=section, row=row)

    def line(self, section: str, words: list[str], line: int) -> None:
        """Read one line of a special section."""
        if section == "SOS":
            self._sos_line(words, line)
        elif section == "INDICATORS":
            self._indicator(words, line)
        else:
            self._product(section, words, line)

    def close(self, line: int) -> None:
        """End the SOS set or the section of products that is being read."""
        if self._set is not None:
            one, self._set = self._set, None
            self._build.add_set(one.name, one.kind, one.members, one.line)
        if self._matrix is not None:
            matrix, self._matrix = self._matrix, None
            self._add_products(matrix, line)

    def _product(self, section: str, words: list[str], line: int) -> None:
        if len(words) != 3 or self._matrix is None:
            raise ModelError(
                f"{section}: expected two columns and a number, got {len(words)} words",
                line=line,
            )
        key = self._column(words[0], section, line), self._column(words[1], section, line)
        entries, value = self._matrix.entries, parse_number(words[2], line)
        # SCIP writes squares as two halves, so entries of one pair are added.
        entries[key] = entries.get(key, Fraction(0)) + value
        self._build.products += 1

    def _add_products(self, matrix: _Matrix, line: int) -> None:
        build, entries = self._build, matrix.entries
        of_objective = matrix.row == OBJECTIVE
        products = (
            build.objective_products
            if of_objective
            else build.row_products.setdefault(matrix.row, {})
        )
        half = Fraction(1, 2 if of_objective else 1)
        both = matrix.section in _BOTH_TRIANGLES
        for (i, j), value in entries.items():
            mirrored = entries.get((j, i))
            if both and i != j and mirrored != value:
                names = " and ".join(repr(build.col_names[k][:60]) for k in (i, j))
                raise ModelError(
                    f"{matrix.section}: expected both triangles of a symmetric matrix, "
                    f"got different entries of columns {names}",
                    line=line,
                )
            if not both and i != j and mirrored is not None:
                raise ModelError(
                    f"{matrix.section}: expected one triangle, got both", line=line
                )
            times = 1 if both or i == j else 2
            build.add_product(products, i, j, half * times * value)

    def _indicator(self, words: list[str], line: int) -> None:
        if len(words) != 4 or words[0].upper() != "IF":
            raise ModelError(
                "INDICATORS: expected IF, a row, a column and 0 or 1", line=line
            )
        row = self._rows.get(words[1])
        if row is None or row < 0:
            raise ModelError(
                f"row {words[1][:100]!r} of INDICATORS is not in ROWS", line=line
            )
        column = self._column(words[2], "INDICATORS", line)
        self._build.add_indicator(row, column, parse_number(words[3], line), line)

    def _sos_line(self, words: list[str], line: int) -> None:
        """Read `S1 name` or `S1 SOS name`, which begin a set, or a member.

        A member is `column weight` or `SOS column weight`.
        """
        if words[0].upper() in ("S1", "S2") and not (
            len(words) == 2 and words[0] in self._build.columns
        ):
            self._begin_set(words, line)
            return
        if self._set is None or len(words) not in (2, 3):
            raise ModelError(
                "SOS: expected S1 or S2 and a name, or a column and its weight", line=line
            )
        self._set.members.append(
            (self._column(words[-2], "SOS", line), parse_number(words[-1], line))
        )

    def _begin_set(self, words: list[str], line: int) -> None:
        self.close(line)
        name = words[min(len(words), 3) - 1] if len(words) > 1 else self._unnamed()
        if any(other.name == name for other in self._build.sets):
            raise ModelError(
                f"expected a distinct name for each SOS set, got {name[:60]!r} again",
                line=line,
            )
        self._set = _Set(name=name, kind=int(words[0][1]), line=line)

    def _unnamed(self) -> str:
        return f"SOS{len(self._build.sets) + 1}"

    def _column(self, name: str, section: str, line: int) -> int:
        column = self._build.columns.get(name)
        if column is None:
            raise ModelError(
                f"column {name[:100]!r} of {section} is not in COLUMNS", line=line
            )
        return column
