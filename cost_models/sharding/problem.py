"""Tables and shards as arrays, shared by simulator, features and search."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cost_models.sharding.access import reuse_of
from trimtab.specs.sharding import Optimizer, Table

INDEX_BYTES = 8  # TorchRec's KeyedJaggedTensor holds int64 indices and offsets


@dataclass(frozen=True, kw_only=True)
class TableArrays:
    """T tables under one batch.

    A column shard of a table has the same look-ups and fewer columns.
    """

    rows: np.ndarray  # (T,)
    dim: np.ndarray  # (T,) embedding width
    element_bytes: np.ndarray  # (T,) of the weights
    # (T,) features of each, every one with its own bags and output columns
    features: np.ndarray
    pooling: np.ndarray  # (T,) mean look-ups per sample, all features together
    unique: np.ndarray  # (T, 17) rows accessed in a batch, by reuse bin
    count: np.ndarray  # (T, 17) mean accesses of such a row
    batch: int  # samples in one step, all devices together
    optimizer: Optimizer

    @classmethod
    def of(
        cls, tables: tuple[Table, ...] | list[Table], *, batch: int, optimizer: Optimizer
    ) -> TableArrays:
        """Return the arrays of `tables`."""
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
        """Look-ups (T,) of a batch."""
        return np.asarray((self.unique * self.count).sum(1))

    @property
    def index_bytes(self) -> np.ndarray:
        """Bytes (T,) of a batch's indices and offsets on a device that holds a shard."""
        return np.asarray(INDEX_BYTES * self.batch * (self.pooling + self.features))

    @property
    def unique_rows(self) -> np.ndarray:
        """Different rows (T,) of a batch."""
        return np.asarray(self.unique.sum(1))


@dataclass(frozen=True, kw_only=True)
class Shards:
    """S column shards in G groups; a group is the shards of one device."""

    table: np.ndarray  # (S,) row of TableArrays
    width: np.ndarray  # (S,) columns
    group: np.ndarray  # (S,) in 0 .. groups - 1
    groups: int

    def select(self, mask: np.ndarray) -> Shards:
        """Return the shards where `mask` is true; group numbers stay."""
        return Shards(
            table=self.table[mask],
            width=self.width[mask],
            group=self.group[mask],
            groups=self.groups,
        )


def state_bytes_per_row(optimizer: Optimizer, width: np.ndarray) -> np.ndarray:
    """Return the bytes of optimizer state of one row, in fp32.

    It is held in memory, and read and written with each updated row.
    """
    match optimizer:
        case Optimizer.SGD:
            return np.zeros_like(width, dtype=float)
        case Optimizer.ROWWISE_ADAGRAD:
            return np.full(width.shape, 4.0)
        case Optimizer.ADAGRAD:
            return 4.0 * width
        case Optimizer.ADAM:
            return 8.0 * width
