"""Sequence classes: the token statistics that Scan and Snap reasons about.

Tian et al. (2023), "Scan and Snap: Understanding Training Dynamics and Token Composition in 1-layer
Transformer", section 3.1, https://arxiv.org/abs/2305.16380.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class SequenceClasses:
    """Classes n of sequences: each ends with a query and is followed by the next token n."""

    context: Real
    """P(l | n), (K, V); rows sum to one."""
    query: NDArray[np.int64]
    """Number of the query of each class, (K,), from 0 without gaps."""

    def __post_init__(self) -> None:
        """Refuse rows that are not distributions."""
        if self.context.ndim != 2 or (self.context < 0).any():
            raise ValueError("context: expected a matrix of non-negative shares")
        if not np.allclose(self.context.sum(axis=1), 1):
            raise ValueError("context: expected rows that sum to 1")
        if len(self.query) != len(self.context):
            raise ValueError(
                f"query: expected {len(self.context)} numbers, got {len(self.query)}"
            )

    @property
    def count(self) -> int:
        """K, the number of classes."""
        return len(self.context)

    @property
    def tokens(self) -> int:
        """V, the number of contextual tokens."""
        return self.context.shape[1]

    @property
    def queries(self) -> int:
        """Return the number of queries."""
        return int(self.query.max()) + 1

    @property
    def distinct(self) -> NDArray[np.bool_]:
        """(V,) tokens that occur in exactly one class; others are common or absent."""
        return (self.context > 0).sum(axis=0) == 1

    @property
    def common(self) -> NDArray[np.bool_]:
        """(V,) tokens that occur in several classes."""
        return (self.context > 0).sum(axis=0) > 1


def linear_classes(
    classes: int, *, distinct: int, common: int, queries: int = 1
) -> SequenceClasses:
    """Return the synthetic classes of the paper.

    Common tokens come first and have weight 1 in every class; the distinct tokens of a class have
    weights from 0.1 to 1 in equal steps; each row is then divided by its sum. The classes are dealt
    to the queries in equal runs. Raises ValueError when they cannot be.
    """
    if classes % queries:
        raise ValueError(
            f"queries: expected a divisor of the {classes} classes, got {queries}"
        )
    context = np.zeros((classes, common + classes * distinct))
    context[:, :common] = 1
    for n in range(classes):
        first = common + n * distinct
        context[n, first : first + distinct] = np.linspace(0.1, 1, distinct)
    context /= context.sum(axis=1, keepdims=True)
    return SequenceClasses(
        context=context, query=np.arange(classes) // (classes // queries)
    )


def attention(classes: SequenceClasses, z: Real) -> Real:
    """Return c_n in the limit of long sequences, (K, V): P(l | n) e^(z_l) over its sum.

    Shapes: z (queries, V).
    """
    weight = classes.context * np.exp(z[classes.query])
    total: Real = weight / weight.sum(axis=1, keepdims=True)
    return total


def distinct_entropy(classes: SequenceClasses, z: Real) -> float:
    """Return the entropy of attention over the distinct tokens, renormalised; mean over classes.

    In nats.
    """
    share = attention(classes, z)[:, classes.distinct]
    share = share / share.sum(axis=1, keepdims=True)
    logs = np.log(np.where(share > 0, share, 1.0))
    return float(-(share * logs).sum(axis=1).mean())
