"""Model in exact rationals, its builder, and the limits on reading one."""

from __future__ import annotations

import re
import time
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NoReturn

from solvers.errors import ModelError

_ZERO = Fraction(0)
# Bounds and sides from here on are absent, as in every solver.
INFINITE = Fraction(10) ** 20

_NUMBER = re.compile(r"([+-]?)(\d*)(?:\.(\d*))?(?:[eEdD]([+-]?\d{1,6}))?\Z", re.ASCII)
_MAX_CHARS = 400
_MAX_EXPONENT = 400
_TOO_LARGE = 1 << 1024  # doubles end just below
_MOST_NOTES = 10  # of each kind; a million bounds may follow one rule


@dataclass(frozen=True, kw_only=True)
class ExactLimits:
    """Limits on reading, checked about every quarter of a megabyte of text."""

    max_bytes: int = 1 << 30  # after decompression
    max_line_chars: int = 1 << 26  # a row of a million terms may be one line
    max_columns: int = 10_000_000
    max_rows: int = 10_000_000
    max_entries: int = 100_000_000
    # Distinct coefficients: each takes as much as a dozen entries.
    max_distinct: int = 5_000_000
    time_s: float = 120.0


class Deadline:
    """Raises once the time of an ExactLimits is over."""

    def __init__(self, limits: ExactLimits) -> None:
        self._time_s = limits.time_s
        self._end = time.monotonic() + limits.time_s

    def check(self) -> None:
        """Raise ModelError when the time is over."""
        if time.monotonic() > self._end:
            raise ModelError(
                f"the exact reader was not done within {self._time_s:g} s; "
                "the file is too large for it"
            )


Products = dict[tuple[int, int], Fraction]  # (i, j) with i ≤ j → coefficient of x_i · x_j


@dataclass(frozen=True, kw_only=True)
class ExactSet:
    """A SOS set: at most `kind` of its columns are nonzero, and two must be neighbours."""

    name: str
    kind: int
    columns: tuple[int, ...]  # by weight
    weights: tuple[Fraction, ...]


@dataclass(frozen=True, kw_only=True)
class ExactModel:
    """A model: optimise objective·x + products + offset over n columns and m rows.

    Absent sides are None. Rows with products or an indicator are rows among the others, and their
    linear terms are entries. Entries are parallel arrays; `entry_value` holds indices of `values`,
    the distinct coefficients.
    """

    name: str
    maximize: bool
    objective: dict[int, Fraction]  # column → cost, zeros left out
    offset: Fraction
    col_names: tuple[str, ...]
    row_names: tuple[str, ...]
    lower: list[Fraction | None]
    upper: list[Fraction | None]
    integer: bytearray  # (n,) 1 where the variable must be integer
    semicontinuous: frozenset[int]  # 0, or within the bounds
    row_lower: list[Fraction | None]
    row_upper: list[Fraction | None]
    entry_row: array[int]
    entry_col: array[int]
    entry_value: array[int]
    values: list[Fraction]
    objective_products: Products = field(default_factory=dict)
    row_products: dict[int, Products] = field(default_factory=dict)  # row → its products
    # Row → (binary column, value at which the row holds).
    indicators: dict[int, tuple[int, int]] = field(default_factory=dict)
    sets: tuple[ExactSet, ...] = ()
    rules: tuple[str, ...] = ()  # decisions where readers differ
    remarks: tuple[str, ...] = ()  # notes for the author, where all readers agree

    @property
    def linear(self) -> bool:
        """True when there are only linear rows over continuous and integer variables."""
        return not (
            self.objective_products
            or self.row_products
            or self.indicators
            or self.sets
            or self.semicontinuous
        )

    @property
    def n(self) -> int:
        """Number of variables."""
        return len(self.col_names)

    @property
    def m(self) -> int:
        """Number of rows."""
        return len(self.row_names)

    @property
    def nnz(self) -> int:
        """Number of nonzero coefficients."""
        return len(self.entry_row)


@dataclass(kw_only=True)
class Builder:
    """Collects the parts of an `ExactModel` while a file is read."""

    limits: ExactLimits
    name: str = ""
    maximize: bool = False
    objective: dict[int, Fraction] = field(default_factory=dict)
    offset: Fraction = Fraction(0)
    col_names: list[str] = field(default_factory=list)
    columns: dict[str, int] = field(default_factory=dict)
    row_names: list[str] = field(default_factory=list)
    lower: list[Fraction | None] = field(default_factory=list)
    upper: list[Fraction | None] = field(default_factory=list)
    integer: bytearray = field(default_factory=bytearray)
    semicontinuous: set[int] = field(default_factory=set)
    row_lower: list[Fraction | None] = field(default_factory=list)
    row_upper: list[Fraction | None] = field(default_factory=list)
    entry_row: array[int] = field(default_factory=lambda: array("i"))
    entry_col: array[int] = field(default_factory=lambda: array("i"))
    entry_value: array[int] = field(default_factory=lambda: array("i"))
    values: list[Fraction] = field(default_factory=list)
    value_ids: dict[Fraction, int] = field(default_factory=dict)
    objective_products: Products = field(default_factory=dict)
    row_products: dict[int, Products] = field(default_factory=dict)
    indicators: dict[int, tuple[int, int]] = field(default_factory=dict)
    sets: list[ExactSet] = field(default_factory=list)
    products: int = 0  # products and members of sets, for the limit
    rules: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def refuse(self, what: str, line: int) -> NoReturn:
        """Raise ModelError for a part of a file that no solver here takes."""
        raise ModelError(
            "expected linear, quadratic or indicator rows, SOS sets, and continuous, integer or "
            f"semi-continuous variables, got {what}",
            line=line,
        )

    def rule(self, text: str, line: int | None = None) -> None:
        """Note a decision where readers differ."""
        if len(self.rules) < _MOST_NOTES:
            self.rules.append(text if line is None else f"line {line}: {text}")

    def remark(self, text: str) -> None:
        """Note something for the file's author."""
        if len(self.remarks) < _MOST_NOTES:
            self.remarks.append(text)

    def add_product(
        self, into: Products, first: int, second: int, value: Fraction
    ) -> None:
        """Add value · x_first · x_second."""
        key = (first, second) if first <= second else (second, first)
        before = into.get(key)
        self.products += before is None
        into[key] = value if before is None else before + value

    def add_set(
        self, name: str, kind: int, members: list[tuple[int, Fraction]], line: int
    ) -> None:
        """Add a SOS set of members (column, weight), ordered by weight."""
        if len({weight for _, weight in members}) < len(members):
            raise ModelError(
                f"expected distinct weights in the SOS set {name[:60]!r}, got one twice",
                line=line,
            )
        if len({column for column, _ in members}) < len(members):
            raise ModelError(
                f"expected each variable once in the SOS set {name[:60]!r}, got one twice",
                line=line,
            )
        ordered = sorted(members, key=lambda member: member[1])
        self.sets.append(
            ExactSet(
                name=name,
                kind=kind,
                columns=tuple(column for column, _ in ordered),
                weights=tuple(weight for _, weight in ordered),
            )
        )
        self.products += len(members)

    def add_indicator(self, row: int, column: int, value: Fraction, line: int) -> None:
        """Make a row hold only while the binary `column` has `value`.

        `finish` checks that the column is binary.
        """
        if value not in (0, 1):
            raise ModelError(
                f"indicator: expected the value 0 or 1, got {float(value):g}", line=line
            )
        if row in self.indicators:
            raise ModelError(
                f"expected one indicator of row {self.row_names[row][:60]!r}, got a second one",
                line=line,
            )
        self.indicators[row] = (column, int(value))

    def add_column(self, name: str) -> int:
        """Add a column with bounds [0, ∞) and return its index."""
        column = self.columns[name] = len(self.col_names)
        self.col_names.append(name)
        self.lower.append(_ZERO)
        self.upper.append(None)
        self.integer.append(0)
        return column

    def value_id(self, value: Fraction) -> int:
        """Return the index of a coefficient among the distinct ones."""
        index = self.value_ids.get(value)
        if index is None:
            index = self.value_ids[value] = len(self.values)
            self.values.append(value)
        return index

    def watched(self, batches: Iterable[list[str]]) -> Iterator[list[str]]:
        """Pass batches of lines on, and raise ModelError as soon as the model is too large."""
        for lines in batches:
            self._check_sizes()
            yield lines

    def _check_sizes(self) -> None:
        limits = self.limits
        for what, count, most in (
            ("variables", len(self.col_names), limits.max_columns),
            ("rows", len(self.row_names), limits.max_rows),
            ("coefficients", len(self.entry_row), limits.max_entries),
            ("different coefficients", len(self.values), limits.max_distinct),
            ("products and members of sets", self.products, limits.max_distinct),
        ):
            if count > most:
                raise ModelError(f"{what}: expected at most {most:,}, got {count:,}")

    def finish(self) -> ExactModel:
        """Return the model after the checks common to both formats."""
        if not self.col_names and not self.row_names:
            raise ModelError("the file holds no variables and no rows")
        self._check_sizes()
        for column, (lower, upper) in enumerate(zip(self.lower, self.upper, strict=True)):
            if upper is not None and upper.numerator < 0 and lower == 0:
                self.remark(
                    f"variable {self.col_names[column][:100]!r} has the upper bound "
                    f"{float(upper):g} and the lower bound 0, so it has no value; if it may be "
                    "negative, write its lower bound"
                )
        for row, (column, _) in self.indicators.items():
            if not (
                self.integer[column]
                and self.lower[column] == 0
                and self.upper[column] == 1
            ):
                raise ModelError(
                    f"the indicator {self.col_names[column][:60]!r} of row "
                    f"{self.row_names[row][:60]!r} is not binary"
                )
            if row in self.row_products:
                raise ModelError(
                    f"row {self.row_names[row][:60]!r}: expected products or an indicator, got both"
                )
        return ExactModel(
            name=self.name,
            maximize=self.maximize,
            objective={column: cost for column, cost in self.objective.items() if cost},
            offset=self.offset,
            col_names=tuple(self.col_names),
            row_names=tuple(self.row_names),
            lower=self.lower,
            upper=self.upper,
            integer=self.integer,
            semicontinuous=frozenset(self.semicontinuous),
            row_lower=self.row_lower,
            row_upper=self.row_upper,
            entry_row=self.entry_row,
            entry_col=self.entry_col,
            entry_value=self.entry_value,
            values=self.values,
            objective_products=_without_zeros(self.objective_products),
            row_products={
                row: nonzero
                for row, products in self.row_products.items()
                if (nonzero := _without_zeros(products))
            },
            indicators=self.indicators,
            sets=tuple(self.sets),
            rules=tuple(self.rules),
            remarks=tuple(self.remarks),
        )


def _without_zeros(products: Products) -> Products:
    return {pair: value for pair, value in products.items() if value}


def parse_number(token: str, line: int) -> Fraction:
    """Parse a finite decimal number exactly. Raises ModelError, also for infinities."""
    match = _NUMBER.match(token) if len(token) <= _MAX_CHARS else None
    if match is None or not (match[2] or match[3]):
        raise ModelError(f"expected a number, got {token[:60]!r}", line=line)
    sign, whole, part, exponent = (
        match[1],
        match[2] or "",
        match[3] or "",
        int(match[4] or 0),
    )
    if abs(exponent) > _MAX_EXPONENT:
        raise ModelError(
            f"expected a number that a double can hold, got {token[:60]!r}", line=line
        )
    mantissa = int(whole + part)
    if sign == "-":
        mantissa = -mantissa
    power = exponent - len(part)
    value = (
        Fraction(mantissa * 10**power) if power >= 0 else Fraction(mantissa, 10**-power)
    )
    if not -_TOO_LARGE < value < _TOO_LARGE:
        raise ModelError(
            f"expected a number that a double can hold, got {token[:60]!r}", line=line
        )
    return value


_INFINITY_WORDS = {
    "inf": 1,
    "+inf": 1,
    "infinity": 1,
    "+infinity": 1,
    "-inf": -1,
    "-infinity": -1,
}


def parse_side(token: str, line: int) -> tuple[Fraction | None, int]:
    """Parse a bound as (value, 0), or (None, ±1) for an infinite one. Raises ModelError."""
    word = _INFINITY_WORDS.get(token.lower())
    if word is not None:
        return None, word
    value = parse_number(token, line)
    if abs(value) >= INFINITE:
        return None, 1 if value > 0 else -1
    return value, 0
