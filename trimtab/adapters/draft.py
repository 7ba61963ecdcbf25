"""Intermediate model between another package's object and the MPS file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

Number = int | float
Terms = dict[int, Number]  # column → coefficient
# (i, j) with i ≤ j → coefficient of x_i · x_j, each product once.
Products = dict[tuple[int, int], Number]

# Bounds and sides from here on mean "none", in every package that is read here.
INFINITE = 1e20


class NotCarriedOver(ValueError):
    """A part of a model object cannot be converted exactly. The message names part and remedy."""


@dataclass(kw_only=True)
class Column:
    """A variable. Absent bounds are None."""

    name: str
    lower: Number | None
    upper: Number | None
    integer: bool
    semicontinuous: bool = False  # 0, or within the bounds


@dataclass(kw_only=True)
class Row:
    """lower ≤ terms + products ≤ upper, always or if the column of `indicator` has its value."""

    name: str
    terms: Terms
    lower: Number | None
    upper: Number | None
    products: Products = field(default_factory=dict)
    indicator: tuple[int, int] | None = None  # (binary column, value)


@dataclass(kw_only=True)
class OrderedSet:
    """SOS: at most `kind` columns are not 0; two must be adjacent in the order of the weights."""

    name: str
    kind: int
    columns: list[int]
    weights: list[Number]


@dataclass(kw_only=True)
class Draft:
    """A model under construction. Adapters add to it and call `finish`, which compares counts."""

    source: str  # the package's name of the object, for messages
    columns: list[Column] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    sets: list[OrderedSet] = field(default_factory=list)
    maximize: bool = False
    objective: Terms = field(default_factory=dict)
    products: Products = field(default_factory=dict)
    offset: Number = 0
    start: dict[int, float] = field(default_factory=dict)  # warm start, possibly partial
    own_columns: int = 0  # of the object; columns after these are auxiliary
    carried: int = 0  # constraints of the object that were added

    def add_column(
        self,
        name: str,
        lower: float,
        upper: float,
        *,
        integer: bool,
        semicontinuous: bool = False,
    ) -> int:
        """Add a variable and return its column. Bounds of ±1e20 and beyond are absent."""
        where = f"variable {name or len(self.columns)!r}"
        lower, upper = self._side(lower, where), self._side(upper, where)
        if lower == math.inf or upper == -math.inf:
            raise NotCarriedOver(
                f"{self.source}: {where}: expected bounds that leave a value, got "
                f"[{lower}, {upper}]"
            )
        self.columns.append(
            Column(
                name=name,
                lower=None if lower == -math.inf else lower,
                upper=None if upper == math.inf else upper,
                integer=integer,
                # When 0 is within the bounds, the type adds nothing.
                semicontinuous=semicontinuous and not lower <= 0 <= upper,
            )
        )
        return len(self.columns) - 1

    def add_binary(self, name: str) -> int:
        """Add a variable that is 0 or 1 and return its column."""
        return self.add_column(name, 0, 1, integer=True)

    def add_row(
        self,
        name: str,
        terms: Mapping[int, Number],
        lower: float,
        upper: float,
        *,
        products: Products | None = None,
        indicator: tuple[int, int] | None = None,
    ) -> None:
        """Add a constraint. Sides of ±1e20 and beyond are absent."""
        where = f"constraint {name or len(self.rows)!r}"
        products = {pair: value for pair, value in (products or {}).items() if value}
        if products and indicator is not None:
            raise self.refusal(f"the quadratic constraint {name!r} under an indicator")
        lower, upper = self._side(lower, where), self._side(upper, where)
        if lower == math.inf or upper == -math.inf:
            raise NotCarriedOver(
                f"{self.source}: {where}: expected sides that leave a value, got "
                f"[{lower}, {upper}]"
            )
        for value in (*terms.values(), *products.values()):
            self._finite(value, where)
        # Infeasible: a row with a range cannot express it, two rows can.
        if lower > upper:
            self.add_row(
                f"{name}_lower",
                terms,
                lower,
                math.inf,
                products=products,
                indicator=indicator,
            )
            lower = -math.inf
        self.rows.append(
            Row(
                name=name,
                terms={column: value for column, value in terms.items() if value},
                lower=None if lower == -math.inf else lower,
                upper=None if upper == math.inf else upper,
                products=products,
                indicator=indicator,
            )
        )

    def add_set(
        self,
        name: str,
        kind: int,
        columns: Sequence[int],
        weights: Sequence[float] | None,
    ) -> None:
        """Add a SOS set; without usable weights, the columns are in order."""
        if not columns:
            return
        usable = (
            weights is not None
            and len(weights) == len(columns)
            and len(set(weights)) == len(weights)
        )
        order: Sequence[Number] = (
            list(weights)
            if usable and weights is not None
            else list(range(1, len(columns) + 1))
        )
        for weight in order:
            self._finite(weight, f"SOS set {name!r}")
        self.sets.append(
            OrderedSet(name=name, kind=kind, columns=list(columns), weights=list(order))
        )

    def set_objective(
        self,
        terms: Mapping[int, Number],
        offset: Number,
        *,
        maximize: bool,
        products: Products | None = None,
    ) -> None:
        """Set the objective."""
        for value in (*terms.values(), offset, *(products or {}).values()):
            self._finite(value, "the objective")
        self.objective = {column: value for column, value in terms.items() if value}
        self.products = {pair: value for pair, value in (products or {}).items() if value}
        self.offset, self.maximize = offset, maximize

    def set_start(self, values: Iterable[tuple[int, float]]) -> None:
        """Set the warm start; values that are not finite are dropped."""
        self.start = {
            column: float(value)
            for column, value in values
            if math.isfinite(value) and abs(value) < INFINITE
        }

    def is_binary(self, column: int) -> bool:
        """True for an integer variable within [0, 1]."""
        one = self.columns[column]
        return (
            one.integer
            and one.lower is not None
            and one.upper is not None
            and one.lower >= 0
            and one.upper <= 1
        )

    def refusal(self, what: str) -> NotCarriedOver:
        """Return the error for a part that cannot be converted."""
        return NotCarriedOver(
            f"{self.source}: expected linear, quadratic, indicator and SOS constraints, got "
            f"{what}; reformulate that part, or write the model as .mps or .lp and use "
            "IlpSpec.from_file"
        )

    def check_complete(self, *, variables: int, constraints: int) -> None:
        """Compare with the object's own counts. Raises NotCarriedOver for a difference."""
        for what, carried, expected in (
            ("variables", self.own_columns, variables),
            ("constraints", self.carried, constraints),
        ):
            if carried != expected:
                raise NotCarriedOver(
                    f"{self.source}: expected to carry over all {expected} {what}, got "
                    f"{carried}; write the model as .mps or .lp and use IlpSpec.from_file"
                )
        if not self.columns and not self.rows:
            raise NotCarriedOver(
                f"{self.source}: expected a model with variables, got an empty one"
            )

    def _side(self, value: Number, where: str) -> Number:
        """Return a bound or side, with ±inf for an absent one."""
        if value != value:
            raise NotCarriedOver(
                f"{self.source}: {where}: expected a number as bound, got NaN"
            )
        if abs(value) >= INFINITE:
            return math.inf if value > 0 else -math.inf
        return value

    def _finite(self, value: Number, where: str) -> None:
        if not math.isfinite(value):
            raise NotCarriedOver(
                f"{self.source}: {where}: expected finite numbers, got {value}"
            )


def add_product(products: Products, first: int, second: int, value: Number) -> None:
    """Add `value` · x_first · x_second to `products`."""
    pair = (first, second) if first <= second else (second, first)
    products[pair] = products.get(pair, 0) + value
