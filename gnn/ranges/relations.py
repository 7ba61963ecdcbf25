"""Edges with relations, each of short, medium or long range.

Xu et al. (2022), "EurNet: Efficient Multi-Range Relational Modeling of Spatial Multi-Relational
Data", https://arxiv.org/abs/2211.12941. A graph's relations connect neighbours (short), similar or
related nodes further away (medium), and all nodes through virtual ones (long).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

Index = NDArray[np.int64]


class Range(StrEnum):
    """Reach of a relation."""

    SHORT = "short"
    MEDIUM = "medium"
    LONG = "long"


@dataclass(frozen=True, kw_only=True)
class Relation:
    """Name and range of a relation."""

    name: str
    range: Range


@dataclass(frozen=True, kw_only=True, eq=False)
class Relations:
    """Directed edges; messages go from sender to receiver."""

    nodes: int
    """N, virtual nodes included."""
    virtual: int
    """Virtual nodes, which are the last ones."""
    kinds: tuple[Relation, ...]
    sender: Index
    """(E,)"""
    receiver: Index
    """(E,)"""
    relation: Index
    """(E,) index into kinds"""

    def __post_init__(self) -> None:
        """Refuse indices out of range."""
        limits = {
            "sender": self.nodes,
            "receiver": self.nodes,
            "relation": len(self.kinds),
        }
        for name, limit in limits.items():
            values = getattr(self, name)
            if values.shape != self.sender.shape:
                raise ValueError(
                    f"{name}: expected shape {self.sender.shape}, got {values.shape}"
                )
            if len(values) and not (values.min() >= 0 and values.max() < limit):
                raise ValueError(
                    f"{name}: expected numbers from 0 to {limit - 1}, "
                    f"got {values.min()} to {values.max()}"
                )

    def only(self, ranges: Collection[Range]) -> Relations:
        """Return the edges of some ranges; the numbers of relations and nodes stay."""
        mask = np.array([kind.range in ranges for kind in self.kinds], bool)
        return self._chosen(mask[self.relation])

    def merged(self) -> Relations:
        """Return the same edges as one relation, repeated pairs once."""
        pairs = np.unique(np.stack([self.sender, self.receiver]), axis=1)
        return Relations(
            nodes=self.nodes,
            virtual=self.virtual,
            kinds=(Relation(name="any", range=Range.SHORT),),
            sender=pairs[0],
            receiver=pairs[1],
            relation=np.zeros(pairs.shape[1], np.int64),
        )

    def of(self, name: str) -> NDArray[np.int64]:
        """Return the edges of a relation, (2, e), senders first. Raises KeyError."""
        numbers = {kind.name: i for i, kind in enumerate(self.kinds)}
        mine = self.relation == numbers[name]
        return np.stack([self.sender[mine], self.receiver[mine]])

    def _chosen(self, mask: NDArray[np.bool_]) -> Relations:
        return Relations(
            nodes=self.nodes,
            virtual=self.virtual,
            kinds=self.kinds,
            sender=self.sender[mask],
            receiver=self.receiver[mask],
            relation=self.relation[mask],
        )


class Builder:
    """Collects the edges of one graph, relation by relation.

    A relation exists even if it has no edge, so that graphs of one domain have the same relations.
    """

    def __init__(self, nodes: int) -> None:
        self.nodes = nodes
        self._virtual = 0
        self._kinds: list[Relation] = []
        self._edges: list[Index] = []

    def add(
        self, name: str, range_: Range, sender: ArrayLike, receiver: ArrayLike
    ) -> None:
        """Add a relation with its edges; loops are left out."""
        pairs = np.stack([np.ravel(sender), np.ravel(receiver)]).astype(np.int64)
        self._kinds.append(Relation(name=name, range=range_))
        self._edges.append(pairs[:, pairs[0] != pairs[1]])

    def add_both(
        self, name: str, range_: Range, source: ArrayLike, target: ArrayLike
    ) -> None:
        """Add two relations: along the edges, and `name`, "back", against them."""
        self.add(name, range_, source, target)
        self.add(f"{name}, back", range_, target, source)

    def add_virtual(self, name: str, group: ArrayLike) -> None:
        """Add a virtual node for each group, with edges from its members and back to them.

        group: (N,) number of the group of each real node, −1 for none.
        """
        group = np.asarray(group, np.int64)
        member = np.flatnonzero(group >= 0)
        used, which = np.unique(group[member], return_inverse=True)
        centre = self.nodes + self._virtual + which
        self._virtual += len(used)
        self.add(f"to {name}", Range.LONG, member, centre)
        self.add(f"from {name}", Range.LONG, centre, member)

    def build(self) -> Relations:
        """Return the relations."""
        joined = (
            np.concatenate(self._edges, axis=1)
            if self._edges
            else np.zeros((2, 0), np.int64)
        )
        counts = [edges.shape[1] for edges in self._edges]
        return Relations(
            nodes=self.nodes + self._virtual,
            virtual=self._virtual,
            kinds=tuple(self._kinds),
            sender=joined[0],
            receiver=joined[1],
            relation=np.repeat(np.arange(len(counts)), counts),
        )


def nearest(
    features: NDArray[np.float64],
    k: int,
    *,
    bonus: NDArray[np.float64] | None = None,
    excluded: Sequence[tuple[Index, Index]] = (),
    chunk: int = 1024,
) -> NDArray[np.int64]:
    """Return edges (2, e) from the k nearest other rows to each row; ties by the lower number.

    Args:
        features: (N, F).
        bonus: (N, N) subtracted from the squared distances.
        excluded: pairs (rows, columns) that are never neighbours.
        chunk: rows at a time: memory is chunk × N.
    """
    count = len(features)
    square = (features**2).sum(axis=1)
    senders, receivers = [], []
    for low in range(0, count, chunk):
        rows = np.arange(low, min(low + chunk, count))
        distance = square[rows, None] - 2 * features[rows] @ features.T + square
        if bonus is not None:
            distance = distance - bonus[rows]
        distance[rows - low, rows] = np.inf
        for first, second in excluded:
            inside = (first >= low) & (first < low + len(rows))
            distance[first[inside] - low, second[inside]] = np.inf
        order = np.argsort(distance, axis=1, kind="stable")[:, :k]
        allowed = np.isfinite(np.take_along_axis(distance, order, axis=1))
        senders.append(order[allowed])
        receivers.append(np.repeat(rows, allowed.sum(axis=1)))
    if not senders:
        return np.zeros((2, 0), np.int64)
    return np.stack([np.concatenate(senders), np.concatenate(receivers)])
