"""Measured sets of tables, read from the collector's files, as arrays for the cost models."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cost_models.sharding.problem import TableArrays
from trimtab.specs.sharding import Optimizer, Table, ZipfAccess
from workers.train.sharding.collect import journal
from workers.train.sharding.collect.analyse import FORMAT
from workers.train.sharding.collect.errors import CollectError
from workers.train.sharding.collect.random_sets import TableConfig

SETS = ("set", "noise", "single")


@dataclass(frozen=True, kw_only=True)
class MeasuredSet:
    """Tables that were looked up together on a device, and the milliseconds of it."""

    tables: tuple[TableConfig, ...]
    batch: int
    cost_ms: float  # forward and backward with update, median over the builds

    @property
    def key(self) -> str:
        """sha256 of the tables and the batch, whatever their order."""
        rows = sorted(table.as_row() for table in self.tables)
        return hashlib.sha256(json.dumps([self.batch, rows]).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class MeasuredFile:
    """A file of the collector."""

    machine: str  # device and machine in words; files of two must not be mixed
    batch: int
    sets: tuple[MeasuredSet, ...]


def read_measured(path: Path) -> MeasuredFile:
    """Read a file of `collect-tbe`. Raises CollectError."""
    header, lines = journal.read(path)
    if header.get("format") != FORMAT:
        raise CollectError(
            f"format: expected {FORMAT!r}, got {str(header.get('format'))[:60]!r}; give a file "
            "of `python -m workers.train sharding collect-tbe`"
        )
    try:
        pool = [_table(row) for row in header["pool"]]
        batch = int(header["draw"]["batch"])
        machine = json.dumps(
            [header["protocol"]["device"], header["machine"]], sort_keys=True
        )
        if not 1 <= batch <= 2**26:
            raise ValueError(f"draw.batch: expected 1 to {2**26}, got {batch}")
        sets = tuple(_set(line, pool, batch) for line in lines if line["kind"] in SETS)
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        raise CollectError(
            f"not a file of collect-tbe: {type(error).__name__}: {str(error)[:300]}"
        ) from None
    return MeasuredFile(machine=machine, batch=batch, sets=sets)


def _table(row: Any) -> TableConfig:
    table = TableConfig.of_row(row)
    as_table(table, "checked")  # the spec's limits
    return table


def _set(line: dict[str, Any], pool: Sequence[TableConfig], batch: int) -> MeasuredSet:
    places = [int(row[0]) for row in line["tables"]]
    if not 1 <= len(places) <= 10_000 or min(places) < 0:
        raise ValueError("tables: expected 1 to 10,000 places in the pool")
    times = np.asarray(line["forward_ms"], float) + np.asarray(line["backward_ms"], float)
    if times.ndim != 1 or not len(times) or not np.isfinite(times).all():
        raise ValueError(f"{line['kind']} {line['index']}: expected finite times")
    if times.min() <= 0:
        raise ValueError(f"{line['kind']} {line['index']}: expected positive times")
    return MeasuredSet(
        tables=tuple(pool[place] for place in places),
        batch=batch,
        cost_ms=float(np.median(times)),
    )


def as_table(table: TableConfig, name: str) -> Table:
    """Return a configuration as a table of the spec. Raises ValueError beyond its limits."""
    return Table(
        name=name,
        rows=table.rows,
        dim=table.dim,
        pooling=table.pooling,
        access=ZipfAccess(alpha=table.alpha, active_rows=table.active_rows),
    )


@dataclass(frozen=True, kw_only=True)
class SetArrays:
    """N sets as arrays: M shards, each a whole table, in N groups."""

    tables: TableArrays
    table: np.ndarray  # (M,)
    width: np.ndarray  # (M,)
    group: np.ndarray  # (M,)
    cost_ms: np.ndarray  # (N,)

    def __len__(self) -> int:
        return len(self.cost_ms)


def arrays_of(sets: Sequence[MeasuredSet]) -> SetArrays:
    """Return sets of one batch as arrays; equal tables share a row."""
    places = {table: n for n, table in enumerate(dict.fromkeys(_every(sets)))}
    listed = [as_table(table, f"t{n}") for table, n in places.items()]
    tables = TableArrays.of(listed, batch=sets[0].batch, optimizer=Optimizer.SGD)
    table = np.array([places[one] for one in _every(sets)])
    sizes = [len(one.tables) for one in sets]
    return SetArrays(
        tables=tables,
        table=table,
        width=tables.dim[table],
        group=np.repeat(np.arange(len(sets)), sizes),
        cost_ms=np.array([one.cost_ms for one in sets]),
    )


def _every(sets: Sequence[MeasuredSet]) -> list[TableConfig]:
    return [table for one in sets for table in one.tables]
