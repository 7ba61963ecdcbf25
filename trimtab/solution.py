"""Values of a solution by the user's own variables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Place = tuple[int, bool]
"""(column, negated): a negated variable has the value 1 - x, like CP-SAT's `~b`."""


@dataclass(frozen=True, kw_only=True)
class Variables:
    """Variables of a model object, in its order, and their names in the submitted file."""

    source: str
    """The package's name of the object, for messages."""
    names: tuple[str, ...]
    """The user's own names; may be empty or repeated."""
    file_names: tuple[str, ...]
    locate: Callable[[Any], Place | None]
    """Returns None for an object that is not a variable of this model."""
    _places: dict[str, int] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _repeated: set[str] = field(
        default_factory=set, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        self._repeated.update(
            name for name, count in Counter(self.names).items() if count > 1
        )
        for name, place in zip(self.names, range(len(self.names)), strict=True):
            if name and name not in self._repeated:
                self._places[name] = place
        for name, place in zip(self.file_names, range(len(self.names)), strict=True):
            if name not in self._repeated:
                self._places.setdefault(name, place)

    def place(self, variable: Any) -> Place:
        """Return the column of a variable: the user's object, or a name.

        Raises KeyError or TypeError.
        """
        if isinstance(variable, str):
            place = self._places.get(variable)
            if place is None:
                hint = (
                    "several variables have this name; pass the variable itself"
                    if variable in self._repeated
                    else "the model has no variable of this name"
                )
                raise KeyError(
                    f"value: expected a variable of the {self.source}, got {variable!r}: {hint}"
                )
            return place, False
        located = self.locate(variable)
        if located is None:
            raise TypeError(
                f"value: expected a variable of the {self.source} that was submitted, or its "
                f"name, got {type(variable).__name__} {str(variable)[:80]!r}"
            )
        return located

    def by_place(
        self, values: Mapping[Any, float] | Iterable[tuple[Any, float]]
    ) -> dict[int, float]:
        """Return values of variables by column. Variables without a hash come as pairs."""
        chosen: dict[int, float] = {}
        for variable, value in values.items() if isinstance(values, Mapping) else values:
            column, negated = self.place(variable)
            chosen[column] = 1 - float(value) if negated else float(value)
        return chosen


class SolutionValues:
    """Values of one solution, fetched when the first one is read."""

    def __init__(
        self, variables: Variables, fetch: Callable[[], Mapping[str, float]]
    ) -> None:
        self._variables = variables
        self._fetch = fetch
        self._nonzeros: Mapping[str, float] | None = None

    def value(self, variable: Any) -> float:
        """Return the value of one of the user's variables, or of the variable of that name."""
        column, negated = self._variables.place(variable)
        value = self._by_column(column)
        return 1 - value if negated else value

    def as_list(self) -> list[float]:
        """Return every variable's value, in the order of the model object."""
        return [self._by_column(column) for column in range(len(self._variables.names))]

    def as_dict(self) -> dict[str, float]:
        """Return every variable's value by its name; where that is empty or shared, by its name
        in the file."""
        own = Counter(self._variables.names)
        return {
            name if name and own[name] == 1 else file_name: self._by_column(column)
            for column, (name, file_name) in enumerate(
                zip(self._variables.names, self._variables.file_names, strict=True)
            )
        }

    def _by_column(self, column: int) -> float:
        if self._nonzeros is None:
            self._nonzeros = self._fetch()
        return float(self._nonzeros.get(self._variables.file_names[column], 0.0))
