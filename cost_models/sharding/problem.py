"""Tables as arrays: what simulator, features and search share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cost_models.sharding.access import reuse_of
from trimtab.specs.sharding import Optimizer, Table

INDEX_BYTES = 8  # TorchRec's KeyedJaggedTensor holds int64 indices and offsets


@dataclass(frozen=True, kw_only=True)
class TableArrays:
    """T tables under one batch, one row each. A column shard of a table has the same look-ups and fewer columns."""

    rows: np.ndarray  # (T,)
    dim: np.ndarray  # (T,) embedding width
    element_bytes: np.ndarray  # (T,) of the weights
    features: (
        np.ndarray
    )  # (T,) features that look rows up: each has its own bags and its own output columns
    pooling: np.ndarray  # (T,) mean look-ups per sample, all features together
    unique: np.ndarray  # (T, 17) rows accessed in a batch, by reuse bin
    count: np.ndarray  # (T, 17) mean accesses of such a row
    batch: int  # samples in one step, all devices together
    optimizer: Optimizer

    @classmethod
    def of(
        cls, tables: tuple[Table, ...] | list[Table], *, batch: int, optimizer: Optimizer
    ) -> TableArrays:
        """The arrays of `tables`."""
        reuse = reuse_of(tables, batch)
        return cls(
            rows=np.array([float(t.rows) for t in tables]),
            dim=np.array([t.dim for t in tables], dtype=np.int64),
            element_bytes=np.array([t.dtype.bytes for t in tables], dtype=np.int64),
            features=np.array([t.features for t in tables], dtype=np.int64),
            pooling=np.array([t.pooling for t in tables]),
            unique=reuse.unique,
            count=reuse.count,
            batch=batch,
            optimizer=optimizer,
        )

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def lookups(self) -> np.ndarray:
        """Look-ups of a batch.  # (T,)"""
        return np.asarray((self.unique * self.count).sum(1))

    @property
    def index_bytes(self) -> np.ndarray:
        """Bytes of a batch's input on a device that holds a shard: int64 indices, int64 offsets per feature.  # (T,)"""
        return np.asarray(INDEX_BYTES * self.batch * (self.pooling + self.features))

    @property
    def unique_rows(self) -> np.ndarray:
        """Different rows of a batch.  # (T,)"""
        return np.asarray(self.unique.sum(1))


@dataclass(frozen=True, kw_only=True)
class Shards:
    """S column shards in G groups; a group is what one device holds."""

    table: np.ndarray  # (S,) row of TableArrays
    width: np.ndarray  # (S,) columns
    group: np.ndarray  # (S,) in 0 .. groups - 1
    groups: int

    def select(self, mask: np.ndarray) -> Shards:
        """Those shards where `mask` holds; group numbers stay."""
        return Shards(
            table=self.table[mask],
            width=self.width[mask],
            group=self.group[mask],
            groups=self.groups,
        )


# Bytes of optimizer state read and written per updated row of w columns, beside weights; kept per row in memory.
def state_bytes_per_row(optimizer: Optimizer, width: np.ndarray) -> np.ndarray:
    """fp32 optimizer state of one row, bytes: none, one number a row, one or two numbers a column."""
    match optimizer:
        case Optimizer.SGD:
            return np.zeros_like(width, dtype=float)
        case Optimizer.ROWWISE_ADAGRAD:
            return np.full(width.shape, 4.0)
        case Optimizer.ADAGRAD:
            return 4.0 * width
        case Optimizer.ADAM:
            return 8.0 * width
