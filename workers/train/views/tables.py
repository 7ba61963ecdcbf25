"""Views of sets of embedding tables: another order, and random subsets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trimtab.specs.sharding import Table


@dataclass(frozen=True, kw_only=True)
class TableView:
    """Some tables of a task."""

    tables: tuple[Table, ...]
    numbers: tuple[int, ...]
    """Number in the task of each table."""


def shuffled_tables(tables: Sequence[Table], rng: np.random.Generator) -> TableView:
    """Return all tables in another order: every cost of the set stays."""
    return _chosen(tables, rng.permutation(len(tables)))


def table_subset(
    tables: Sequence[Table], share: float, rng: np.random.Generator
) -> TableView:
    """Return a random share of the tables, at least one, in their order.

    Labels of single tables stay; costs of the set do not, as for SubTab (Ucar et al., 2021), where
    subsets of columns are views of a row. Raises ValueError unless 0 < share ≤ 1.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share: expected a number in (0, 1], got {share}")
    count = max(1, round(share * len(tables)))
    return _chosen(tables, np.sort(rng.permutation(len(tables))[:count]))


def _chosen(tables: Sequence[Table], order: np.ndarray) -> TableView:
    numbers = tuple(int(i) for i in order)
    return TableView(tables=tuple(tables[i] for i in numbers), numbers=numbers)
