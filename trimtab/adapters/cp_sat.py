"""Read OR-Tools CP-SAT's `CpModel` and CpModelProto, constraint by constraint.

A constraint becomes linear rows over integers, with auxiliary binaries, where they are equivalent.
Circuits, cumulatives, reservoirs, automata and two-dimensional packings are refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trimtab.adapters.cp_rows import Affine, Interval, Rows
from trimtab.adapters.draft import Draft, Number, add_product
from trimtab.solution import Place

_LARGEST = 2**62  # CP-SAT's own limit; the ends of int64 mean "none"
_MOST_BINARIES = 50_000  # of one constraint
_KINDS = (
    "bool_or",
    "bool_and",
    "at_most_one",
    "exactly_one",
    "bool_xor",
    "int_div",
    "int_mod",
    "int_prod",
    "lin_max",
    "linear",
    "all_diff",
    "element",
    "circuit",
    "routes",
    "table",
    "automaton",
    "inverse",
    "reservoir",
    "interval",
    "no_overlap",
    "no_overlap_2d",
    "cumulative",
    "dummy_constraint",
)

Locate = Callable[[Any], Place | None]


def read(model: Any) -> tuple[Draft, Locate]:
    """Read a `cp_model.CpModel`."""
    proto = model.proto if hasattr(model, "proto") else model.Proto()
    return _read(proto() if callable(proto) else proto, "CpModel")


def read_proto(proto: Any) -> tuple[Draft, Locate]:
    """Read a `CpModelProto`; the user names its variables by index."""
    return _read(proto, "CpModelProto")


def _read(proto: Any, source: str) -> tuple[Draft, Locate]:
    draft = Draft(source=source)
    rows = Rows(draft)
    holes: list[tuple[int, list[Interval]]] = []
    for place, variable in enumerate(proto.variables):
        domain = _intervals(variable.domain)
        if not domain:
            raise draft.refusal(f"variable {str(variable.name)!r} with an empty domain")
        low, high = domain[0][0], domain[-1][1]
        draft.add_column(str(variable.name), _bound(low), _bound(high), integer=True)
        if len(domain) > 1:
            holes.append((place, domain))
    draft.own_columns = len(draft.columns)
    for place, domain in holes:
        rows.within(
            f"{draft.columns[place].name}_domain", Affine(terms={place: 1}), domain
        )
    walker = _Walker(proto, rows)
    for number, constraint in enumerate(proto.constraints):
        walker.add(number, constraint)
        draft.carried += 1
    for number, reference in enumerate(proto.assumptions):
        rows.between(f"assumption_{number}", rows.literal(int(reference)), 1, None)
    _objective(proto, rows)
    hint = proto.solution_hint
    draft.set_start(
        zip(
            (int(place) for place in hint.vars),
            (int(value) for value in hint.values),
            strict=True,
        )
    )
    draft.check_complete(
        variables=len(proto.variables), constraints=len(proto.constraints)
    )
    count = draft.own_columns

    def locate(variable: Any) -> Place | None:
        index = (
            variable
            if isinstance(variable, int) and not isinstance(variable, bool)
            else getattr(variable, "index", None)
        )
        if callable(index):
            index = index()
        if not isinstance(index, int) or not -count <= index < count:
            return None
        return (index, False) if index >= 0 else (-index - 1, True)

    return draft, locate


def _bound(value: int) -> Number:
    return (
        value
        if -_LARGEST < value < _LARGEST
        else float("inf")
        if value > 0
        else -float("inf")
    )


def _intervals(domain: Any) -> list[Interval]:
    ends = [int(end) for end in domain]
    return list(zip(ends[::2], ends[1::2], strict=True))


def _kind(constraint: Any) -> str | None:
    if hasattr(constraint, "WhichOneof"):
        kind = constraint.WhichOneof("constraint")
        return None if kind is None else str(kind)
    return next((kind for kind in _KINDS if getattr(constraint, f"has_{kind}")()), None)


def _objective(proto: Any, rows: Rows) -> None:
    draft = rows.draft
    # Protobuf messages and the newer binding have different tests for presence.
    has = (
        proto.HasField
        if hasattr(proto, "HasField")
        else lambda name: getattr(proto, f"has_{name}")()
    )
    if has("floating_point_objective"):
        part = proto.floating_point_objective
        costs: dict[int, Number] = {}
        for place, value in zip(part.vars, part.coeffs, strict=True):
            costs[int(place)] = costs.get(int(place), 0) + float(value)
        draft.set_objective(costs, float(part.offset), maximize=bool(part.maximize))
    elif has("objective"):
        part = proto.objective
        expression = _expression(part.vars, part.coeffs, 0)
        domain = _intervals(part.domain)
        if domain:
            rows.within(
                "objective_domain",
                expression,
                [(_end(low), _end(high)) for low, high in domain],
            )
        factor = float(part.scaling_factor) or 1.0
        scaled = {
            column: _times(value, factor) for column, value in expression.terms.items()
        }
        draft.set_objective(
            scaled, _times(float(part.offset), factor), maximize=factor < 0
        )


def _end(value: int) -> int:
    return max(-_LARGEST, min(_LARGEST, value))


def _times(value: Number, factor: float) -> Number:
    """Return the product, as an integer when both factors are."""
    if (
        float(factor).is_integer()
        and float(value).is_integer()
        and isinstance(value, int)
    ):
        return value * int(factor)
    return float(value) * factor


def _expression(columns: Any, values: Any, constant: int) -> Affine:
    """Return Σ values · columns + constant; a negative reference negates that variable."""
    terms: dict[int, int] = {}
    for reference, value in zip(columns, values, strict=True):
        column, factor = (
            (int(reference), int(value))
            if reference >= 0
            else (-int(reference) - 1, -int(value))
        )
        terms[column] = terms.get(column, 0) + factor
    return Affine(terms={c: v for c, v in terms.items() if v}, constant=constant)


class _Walker:
    """Converter of single constraints."""

    def __init__(self, proto: Any, rows: Rows) -> None:
        self._proto = proto
        self._rows = rows
        self._draft = rows.draft

    def add(self, number: int, constraint: Any) -> None:
        """Add one constraint to the draft, or refuse it by kind and name."""
        kind = _kind(constraint)
        if kind is None:
            return  # an empty constraint always holds
        name = str(constraint.name) or f"{kind}_{number}"
        method = getattr(self, f"_{kind}", None)
        if method is None:
            raise self._refusal(kind, name)
        method(
            name,
            getattr(constraint, kind),
            [int(literal) for literal in constraint.enforcement_literal],
        )

    def _refusal(self, kind: str, name: str, why: str = "") -> Exception:
        return self._draft.refusal(f"the {kind} constraint {name!r}{why}")

    def _of(self, expression: Any) -> Affine:
        return _expression(expression.vars, expression.coeffs, int(expression.offset))

    def _all_of(self, part: Any, expressions: str, variables: str) -> list[Affine]:
        """Return the expressions of a constraint; older protos have variables instead."""
        own = [self._of(expression) for expression in getattr(part, expressions)]
        return own or [
            _expression([reference], [1], 0) for reference in getattr(part, variables, ())
        ]

    def _linear(self, name: str, part: Any, enforced: Sequence[int]) -> None:
        expression = _expression(part.vars, part.coeffs, 0)
        domain = _intervals(part.domain)
        if not domain:  # no value is possible
            self._rows.at_least_one(name, (), enforced)
            return
        low, high = domain[0][0], domain[-1][1]
        if len(domain) == 1:
            # The ends of int64 mean none.
            self._rows.between(
                name,
                expression,
                None if low <= -_LARGEST else low,
                None if high >= _LARGEST else high,
                enforced,
            )
            return
        least, most = self._rows.range_of(expression)
        clipped = [
            (max(a, least), min(b, most)) for a, b in domain if a <= most and b >= least
        ]
        if clipped:
            self._rows.within(name, expression, clipped, enforced)
        else:  # no value is possible: an enforcing literal must be false
            self._rows.at_least_one(name, (), enforced)

    def _bool_or(self, name: str, part: Any, enforced: Sequence[int]) -> None:
        self._rows.at_least_one(
            name, [int(literal) for literal in part.literals], enforced
        )

    def _bool_and(self, name: str, part: Any, enforced: Sequence[int]) -> None:
        for literal in part.literals:
            self._rows.at_least_one(name, [int(literal)], enforced)

    def _at_most_one(self, name: str, part: Any, enforced: Sequence[int]) -> None:
        self._rows.between(
            name, self._rows.sum_of(int(one) for one in part.literals), None, 1, enforced
        )

    def _exactly_one(self, name: str, part: Any, enforced: Sequence[int]) -> None:
        self._rows.between(
            name, self._rows.sum_of(int(one) for one in part.literals), 1, 1, enforced
        )

    def _bool_xor(self, name: str, part: Any, enforced: Sequence[int]) -> None:
        """Add: an odd number of the literals is true, Σ = 2 k + 1."""
        literals = [int(literal) for literal in part.literals]
        half = self._draft.add_column(
            f"{name}_half", 0, max(0, len(literals) // 2), integer=True
        )
        total = self._rows.sum_of(literals).minus(Affine(terms={half: 2}))
        self._rows.between(name, total, 1, 1, enforced)

    def _interval(self, name: str, part: Any, enforced: Sequence[int]) -> None:
        start, size, end = self._of(part.start), self._of(part.size), self._of(part.end)
        self._rows.equal(name, start.plus(size), end, enforced)
        self._rows.between(f"{name}_size", size, 0, None, enforced)

    def _no_overlap(self, name: str, part: Any, enforced: Sequence[int]) -> None:
        """Add, for every pair of present intervals: one ends before the other starts."""
        intervals = [self._proto.constraints[int(index)] for index in part.intervals]
        if len(intervals) * (len(intervals) - 1) // 2 > _MOST_BINARIES:
            raise self._refusal("no_overlap", name, f" of {len(intervals)} intervals")
        for later, second in enumerate(intervals):
            for first in intervals[:later]:
                both = [
                    *enforced,
                    *(
                        int(one)
                        for each in (first, second)
                        for one in each.enforcement_literal
                    ),
                ]
                order = self._draft.add_binary(f"{name}_before")
                for one, other, literal in (
                    (first, second, order),
                    (second, first, -order - 1),
                ):
                    gap = self._of(other.interval.start).minus(self._of(one.interval.end))
                    self._rows.between(name, gap, 0, None, [*both, literal])

    def _all_diff(self, name: str, part: Any, enforced: Sequence[int]) -> None:
        expressions = self._all_of(part, "exprs", "vars")
        by_value: dict[int, list[int]] = {}
        self._limit(
            "all_diff",
            name,
            sum(high - low + 1 for low, high in map(self._rows.range_of, expressions)),
        )
        for expression in expressions:
            low, high = self._rows.range_of(expression)
            for value, binary in zip(
                range(low, high + 1), self._values_of(name, expression), strict=True
            ):
                by_value.setdefault(value, []).append(binary)
        for binaries in by_value.values():
            if len(binaries) > 1:
                self._rows.between(name, self._rows.sum_of(binaries), None, 1, enforced)

    def _values_of(self, name: str, expression: Affine) -> list[int]:
        """Add a binary for each value in the expression's range; the one of its value is 1."""
        low, high = self._rows.range_of(expression)
        binaries = self._rows.choice(name, high - low + 1)
        values = Affine(
            terms={
                binary: low + place
                for place, binary in enumerate(binaries)
                if low + place
            }
        )
        self._rows.equal(f"{name}_value", expression, values)
        return binaries

    def _limit(self, kind: str, name: str, binaries: int) -> None:
        if binaries > _MOST_BINARIES:
            raise self._refusal(
                kind,
                name,
                f", which would take {binaries:,} binaries (at most {_MOST_BINARIES:,})",
            )

    def _lin_max(self, name: str, part: Any, enforced: Sequence[int]) -> None:
        """Add target = max of the expressions: at least each, and at most a chosen one."""
        target, expressions = (
            self._of(part.target),
            [self._of(expression) for expression in part.exprs],
        )
        chosen = self._rows.choice(name, len(expressions))
        for expression, binary in zip(expressions, chosen, strict=True):
            self._rows.between(name, target.minus(expression), 0, None, enforced)
            self._rows.between(
                name, target.minus(expression), None, 0, [*enforced, binary]
            )

    def _int_prod(self, name: str, part: Any, enforced: Sequence[int]) -> None:
        target, factors = (
            self._of(part.target),
            [self._of(expression) for expression in part.exprs],
        )
        if len(factors) == 1:
            self._rows.equal(name, target, factors[0], enforced)
            return
        if len(factors) != 2:
            raise self._refusal("int_prod", name, f" of {len(factors)} factors")
        for one, other in (factors, factors[::-1]):
            if self._rows.range_of(one) == (0, 1) and len(one.terms) == 1:
                column, sign = next(iter(one.terms.items()))
                literal = column if sign == 1 else -column - 1
                self._rows.equal(name, target, other, [*enforced, literal])
                self._rows.equal(name, target, Affine(), [*enforced, -literal - 1])
                return
        if enforced:
            raise self._refusal(
                "int_prod", name, " of two integers under an enforcement literal"
            )
        self._product(name, target, factors[0], factors[1])

    def _product(self, name: str, target: Affine, one: Affine, other: Affine) -> None:
        """Add one · other - target = 0, expanded."""
        products: dict[tuple[int, int], int] = {}
        linear = Affine(constant=one.constant * other.constant).minus(target)
        for i, a in one.terms.items():
            linear = linear.plus(Affine(terms={i: a * other.constant}))
            for j, b in other.terms.items():
                add_product(products, i, j, a * b)  # type: ignore[arg-type]
        for j, b in other.terms.items():
            linear = linear.plus(Affine(terms={j: b * one.constant}))
        if not any(products.values()):
            self._rows.between(name, linear, 0, 0)
            return
        self._rows.quadratic(name, linear, dict(products))

    def _int_div(self, name: str, part: Any, enforced: Sequence[int]) -> None:
        self._divide("int_div", name, part, enforced, quotient=True)

    def _int_mod(self, name: str, part: Any, enforced: Sequence[int]) -> None:
        self._divide("int_mod", name, part, enforced, quotient=False)

    def _divide(
        self, kind: str, name: str, part: Any, enforced: Sequence[int], *, quotient: bool
    ) -> None:
        """Add number = divisor · quotient + rest, for a constant divisor and number ≥ 0."""
        number, divisor = (self._of(expression) for expression in part.exprs)
        low, high = self._rows.range_of(number)
        if divisor.terms or divisor.constant <= 0 or low < 0:
            raise self._refusal(
                kind,
                name,
                " with a divisor that is no positive constant, or of a negative number",
            )
        by = divisor.constant
        whole = self._draft.add_column(f"{name}_quotient", 0, high // by, integer=True)
        rest = self._draft.add_column(f"{name}_rest", 0, by - 1, integer=True)
        self._rows.equal(f"{name}_parts", number, Affine(terms={whole: by, rest: 1}))
        self._rows.equal(
            name,
            self._of(part.target),
            Affine(terms={whole if quotient else rest: 1}),
            enforced,
        )

    def _element(self, name: str, part: Any, enforced: Sequence[int]) -> None:
        if enforced:
            raise self._refusal("element", name, " under an enforcement literal")
        expressions = self._all_of(part, "exprs", "vars")
        if len(part.exprs):
            index, target = self._of(part.linear_index), self._of(part.linear_target)
        else:
            index, target = (
                _expression([part.index], [1], 0),
                _expression([part.target], [1], 0),
            )
        chosen = self._rows.choice(name, len(expressions))
        self._rows.equal(
            f"{name}_index",
            index,
            Affine(terms={b: place for place, b in enumerate(chosen) if place}),
        )
        for expression, binary in zip(expressions, chosen, strict=True):
            self._rows.equal(name, target, expression, [binary])

    def _table(self, name: str, part: Any, enforced: Sequence[int]) -> None:
        if enforced or part.negated:
            raise self._refusal(
                "table", name, " of forbidden values, or under an enforcement literal"
            )
        expressions = self._all_of(part, "exprs", "vars")
        values = [int(value) for value in part.values]
        width = len(expressions)
        count = len(values) // width if width else 0
        self._limit("table", name, count)
        chosen = self._rows.choice(name, count)
        for place, expression in enumerate(expressions):
            terms = {
                binary: values[row * width + place] for row, binary in enumerate(chosen)
            }
            self._rows.equal(
                name,
                expression,
                Affine(terms={b: value for b, value in terms.items() if value}),
            )

    def _inverse(self, name: str, part: Any, enforced: Sequence[int]) -> None:
        """Add: f[i] = j exactly when g[j] = i."""
        if enforced:
            raise self._refusal("inverse", name, " under an enforcement literal")
        direct, inverse = (
            [int(one) for one in part.f_direct],
            [int(one) for one in part.f_inverse],
        )
        size = len(direct)
        self._limit("inverse", name, size * size)
        # chosen[i][j]: f[i] = j.
        chosen = [self._rows.choice(name, size) for _ in range(size)]
        for j in range(size):
            self._rows.between(
                name, Affine(terms={chosen[i][j]: 1 for i in range(size)}), 1, 1
            )
        for place in range(size):
            values: Mapping[int, int] = {chosen[place][j]: j for j in range(size) if j}
            self._rows.equal(
                name, _expression([direct[place]], [1], 0), Affine(terms=dict(values))
            )
            back = {chosen[i][place]: i for i in range(size) if i}
            self._rows.equal(
                name, _expression([inverse[place]], [1], 0), Affine(terms=back)
            )
