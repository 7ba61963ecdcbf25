"""What the nets see of a column shard. Columns are named by enums, never numbered."""

from __future__ import annotations

from enum import IntEnum, auto

import numpy as np

from cost_models.sharding.hardware import CONDITIONS, HardwareProfile
from cost_models.sharding.problem import INDEX_BYTES, TableArrays, state_bytes_per_row
from cost_models.sharding.simulator import (
    LANES_ELEMENTS,
    OUTPUT_BYTES,
    SORT_BYTES,
    eviction_time,
    expected_misses,
    sector_bytes,
)
from trimtab.specs.sharding import REUSE_BINS

PAPER_FEATURES = 3 + REUSE_BINS


def paper_features(tables: TableArrays, table: np.ndarray, width: np.ndarray) -> np.ndarray:
    """NeuroShard's 20 features: largest index seen + 1, mean pooling, 17 reuse shares, width.  # (S, 20)

    Its `row` is what one batch shows, not what was declared: the largest of U random ids below `rows`, at least 100.
    """
    unique = tables.unique_rows[table]
    seen = np.maximum(tables.rows[table] * unique / (unique + 1), 100.0)
    pooling = tables.lookups[table] / tables.batch
    share = tables.unique[table] / np.maximum(unique, 1e-12)[:, None]
    return np.column_stack([seen, pooling, share, width.astype(float)])


class Physical(IntEnum):
    """Additive quantities of a shard on a device: milliseconds at the datasheet's rates, unless told otherwise."""

    ISSUE = 0
    CACHED = auto()  # every look-up served by L2
    COLD = auto()  # every unique row fetched once
    FETCHED_WHOLE = auto()  # misses when the shard has all of L2
    FETCHED_QUARTER = auto()  # ... a quarter of it
    FETCHED_SIXTEENTH = auto()
    FETCHED_ALL = auto()  # no cache at all
    IO = auto()  # indices and outputs
    SORT = auto()  # one radix pass
    GRADIENTS = auto()
    UPDATE = auto()
    OPTIMIZER = auto()
    FOOTPRINT = auto()  # unique rows' bytes / L2 bytes
    WARPS = auto()  # bags x warps per bag / resident warps
    ROWS = auto()  # rows / 2^24, at most 8: more rows, more radix passes
    ONE = auto()  # 1: counts the shards


PHYSICAL_FEATURES = len(Physical)


def physical_features(
    tables: TableArrays, table: np.ndarray, width: np.ndarray, hardware: HardwareProfile
) -> np.ndarray:
    """Quantities that add up over the shards of a device.  # (S, PHYSICAL_FEATURES)"""
    found = np.empty((len(table), PHYSICAL_FEATURES))
    columns = width.astype(float)
    lookups = tables.lookups[table]
    unique, count = tables.unique[table], tables.count[table]
    rows = tables.unique_rows[table]
    bags = float(tables.batch) * tables.features[table]
    row_bytes = sector_bytes(columns * tables.element_bytes[table])
    gradient_bytes = sector_bytes(columns * OUTPUT_BYTES)
    stream = hardware.hbm_bytes_s * hardware.hbm_efficiency
    chunks = np.ceil(columns / LANES_ELEMENTS)
    # Misses depend on the width by whole sectors alone, so neighbouring widths of a table share them.
    key = table.astype(np.int64) * 2**32 + row_bytes.astype(np.int64)
    _, first, which = np.unique(key, return_index=True, return_inverse=True)
    alone = np.arange(len(first))

    found[:, Physical.ISSUE] = (
        lookups * chunks * hardware.issue_cycles / (hardware.sm_count * hardware.clock_hz)
    )
    found[:, Physical.CACHED] = lookups * row_bytes / hardware.l2_bytes_s
    found[:, Physical.COLD] = rows * row_bytes / stream
    for column, share in (
        (Physical.FETCHED_WHOLE, 1.0),
        (Physical.FETCHED_QUARTER, 0.25),
        (Physical.FETCHED_SIXTEENTH, 1 / 16),
    ):
        tau = eviction_time(
            unique[first],
            count[first],
            row_bytes[first],
            alone,
            len(first),
            share * hardware.l2_bytes,
        )
        found[:, column] = (
            expected_misses(unique[first], count[first], tau)[which] * row_bytes / stream
        )
    found[:, Physical.FETCHED_ALL] = lookups * row_bytes / stream
    found[:, Physical.IO] = (
        (lookups + bags) * INDEX_BYTES + bags * columns * OUTPUT_BYTES
    ) / stream
    found[:, Physical.SORT] = lookups * SORT_BYTES / stream
    held = np.minimum(1.0, hardware.l2_bytes / (bags * gradient_bytes))
    again = np.maximum(0.0, 1 - bags / np.maximum(lookups, 1.0)) * held
    found[:, Physical.GRADIENTS] = (
        lookups * gradient_bytes * ((1 - again) / stream + again / hardware.l2_bytes_s)
    )
    found[:, Physical.UPDATE] = rows * 2 * row_bytes / stream
    found[:, Physical.OPTIMIZER] = (
        rows * 2 * sector_bytes(state_bytes_per_row(tables.optimizer, width)) / stream
    )
    found[:, : Physical.FOOTPRINT] *= 1e3  # seconds → milliseconds
    found[:, Physical.FOOTPRINT] = rows * row_bytes / hardware.l2_bytes
    found[:, Physical.WARPS] = bags * chunks / (hardware.sm_count * hardware.warps_per_sm)
    found[:, Physical.ROWS] = np.minimum(tables.rows[table] / 2.0**24, 8.0)
    found[:, Physical.ONE] = 1.0
    return found


CONDITIONED_FEATURES = PHYSICAL_FEATURES - 1 + REUSE_BINS + 1 + CONDITIONS


def conditioned_features(
    tables: TableArrays,
    table: np.ndarray,
    width: np.ndarray,
    hardware: HardwareProfile,
    physical: np.ndarray,
) -> np.ndarray:
    """Inputs of our table net: logarithms of the physical quantities, reuse shares, width, hardware.  # (S, ...)"""
    share = tables.unique[table] / np.maximum(tables.unique_rows[table], 1e-12)[:, None]
    condition = np.broadcast_to(hardware.conditions(), (len(table), CONDITIONS))
    logs = np.log(np.maximum(physical[:, : Physical.ONE], 1e-6))
    return np.column_stack([logs, share, np.log2(width.astype(float)), condition])


# What a shard's work is measured by: the nets' learned features are multiples of this, so costs scale as work does.
MAGNITUDE = (
    Physical.FETCHED_QUARTER,
    Physical.CACHED,
    Physical.IO,
    Physical.SORT,
    Physical.GRADIENTS,
    Physical.UPDATE,
    Physical.OPTIMIZER,
)


def magnitude(physical: np.ndarray) -> np.ndarray:
    """Rough milliseconds of work of each shard.  # (S,)"""
    return np.asarray(physical[:, list(MAGNITUDE)].sum(1))
