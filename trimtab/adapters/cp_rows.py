"""Linear rows that are equivalent to integer constraints with enforcement literals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from trimtab.adapters.draft import Draft, Number, Products, Terms

_INFINITY = float("inf")
# Above this an indicator row is used: solvers lose large multipliers in their tolerances.
_MOST_BIG_M = 10**6


@dataclass(kw_only=True)
class Affine:
    """Σ terms + constant over integer columns, in integers."""

    terms: dict[int, int] = field(default_factory=dict)
    constant: int = 0

    def minus(self, other: Affine) -> Affine:
        """Return the difference."""
        terms = dict(self.terms)
        for column, value in other.terms.items():
            terms[column] = terms.get(column, 0) - value
        return Affine(
            terms={c: v for c, v in terms.items() if v},
            constant=self.constant - other.constant,
        )

    def plus(self, other: Affine) -> Affine:
        """Return the sum."""
        return self.minus(
            Affine(
                terms={c: -v for c, v in other.terms.items()}, constant=-other.constant
            )
        )


Interval = tuple[int, int]


class Rows:
    """Adds rows to a draft whose columns are integers with finite bounds."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft

    def literal(self, reference: int) -> Affine:
        """Return a literal: `i` is column i, `-i - 1` is 1 minus column i."""
        return (
            Affine(terms={reference: 1})
            if reference >= 0
            else Affine(terms={-reference - 1: -1}, constant=1)
        )

    def sum_of(self, references: Iterable[int]) -> Affine:
        """Return the number of true literals."""
        total = Affine()
        for reference in references:
            total = total.plus(self.literal(reference))
        return total

    def range_of(self, expression: Affine) -> Interval:
        """Return the smallest and largest value within the bounds. Raises NotCarriedOver."""
        low = high = expression.constant
        for column, value in expression.terms.items():
            one = self.draft.columns[column]
            if one.lower is None or one.upper is None:
                raise self.draft.refusal(
                    f"variable {one.name!r} without finite bounds in a constraint that needs "
                    "them"
                )
            ends = (value * int(one.lower), value * int(one.upper))
            low, high = low + min(ends), high + max(ends)
        return low, high

    def between(
        self,
        name: str,
        expression: Affine,
        lower: int | None,
        upper: int | None,
        enforced: Sequence[int] = (),
    ) -> None:
        """Add lower ≤ expression ≤ upper, if all the literals `enforced` are true."""
        enforced = list(dict.fromkeys(enforced))
        if not enforced:
            self._plain(name, expression, lower, upper)
            return
        if not all(self._bounded(column) for column in expression.terms):
            self._indicated(name, expression, lower, upper, enforced)
            return
        low, high = self.range_of(expression)
        excess_above = 0 if upper is None else max(0, high - upper)
        excess_below = 0 if lower is None else max(0, lower - low)
        if max(excess_above, excess_below) > _MOST_BIG_M:
            self._indicated(name, expression, lower, upper, enforced)
            return
        # off: the number of false literals; with one of them false the row cannot bind.
        off = Affine(constant=len(enforced)).minus(self.sum_of(enforced))
        if upper is not None and excess_above:
            self._plain(
                f"{name}_upper", expression.minus(_scaled(off, excess_above)), None, upper
            )
        if lower is not None and excess_below:
            self._plain(
                f"{name}_lower", expression.plus(_scaled(off, excess_below)), lower, None
            )

    def _bounded(self, column: int) -> bool:
        one = self.draft.columns[column]
        return one.lower is not None and one.upper is not None

    def within(
        self,
        name: str,
        expression: Affine,
        intervals: Sequence[Interval],
        enforced: Sequence[int] = (),
    ) -> None:
        """Add: the expression lies in one of the intervals, if all the literals are true."""
        if len(intervals) == 1:
            low, high = intervals[0]
            self.between(name, expression, low, high, enforced)
            return
        if not intervals:
            raise self.draft.refusal(f"the constraint {name!r} with an empty domain")
        chosen = [self.draft.add_binary(f"{name}_part") for _ in intervals]
        for binary, (low, high) in zip(chosen, intervals, strict=True):
            self.between(name, expression, low, high, [binary])
        self.between(
            f"{name}_parts", Affine(terms=dict.fromkeys(chosen, 1)), 1, None, enforced
        )

    def equal(
        self, name: str, first: Affine, second: Affine, enforced: Sequence[int] = ()
    ) -> None:
        """Add first = second, if all the literals are true."""
        self.between(name, first.minus(second), 0, 0, enforced)

    def at_least_one(
        self, name: str, references: Iterable[int], enforced: Sequence[int] = ()
    ) -> None:
        """Add a clause: one of the literals, or the negation of an enforcing one."""
        clause = dict.fromkeys([*references, *(-reference - 1 for reference in enforced)])
        self._plain(name, self.sum_of(clause), 1, None)

    def quadratic(self, name: str, expression: Affine, products: Products) -> None:
        """Add expression + products = 0."""
        terms: Terms = dict(expression.terms)
        self.draft.add_row(
            name, terms, -expression.constant, -expression.constant, products=products
        )

    def choice(self, name: str, count: int) -> list[int]:
        """Add `count` binaries of which exactly one is 1, and return their columns."""
        binaries = [self.draft.add_binary(f"{name}_is") for _ in range(count)]
        self._plain(f"{name}_one", Affine(terms=dict.fromkeys(binaries, 1)), 1, 1)
        return binaries

    def _plain(
        self,
        name: str,
        expression: Affine,
        lower: int | None,
        upper: int | None,
        indicator: tuple[int, int] | None = None,
    ) -> None:
        terms: Terms = dict(expression.terms)
        low: Number = -_INFINITY if lower is None else lower - expression.constant
        high: Number = _INFINITY if upper is None else upper - expression.constant
        self.draft.add_row(name, terms, low, high, indicator=indicator)

    def _indicated(
        self,
        name: str,
        expression: Affine,
        lower: int | None,
        upper: int | None,
        enforced: Sequence[int],
    ) -> None:
        if len(enforced) == 1:
            reference = enforced[0]
            indicator = (reference, 1) if reference >= 0 else (-reference - 1, 0)
        else:
            all_true = self.draft.add_binary(f"{name}_on")
            # all_true is 1 at least when every literal is.
            self._plain(
                f"{name}_on",
                self.sum_of(enforced).minus(Affine(terms={all_true: 1})),
                None,
                len(enforced) - 1,
            )
            indicator = (all_true, 1)
        self._plain(name, expression, lower, upper, indicator)


def _scaled(expression: Affine, factor: int) -> Affine:
    return Affine(
        terms={c: v * factor for c, v in expression.terms.items()},
        constant=expression.constant * factor,
    )
