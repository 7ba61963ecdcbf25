"""Features of a column shard for the nets. Columns are named by enums, never numbered."""

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


def paper_features(
    tables: TableArrays, table: np.ndarray, width: np.ndarray
) -> np.ndarray:
    """Return (S, 20) NeuroShard's features of shards (Zha et al., MLSys 2023).

    Largest index seen + 1, mean pooling, 17 reuse shares, width. The first is an observation of one
    batch, not the declared number of rows: the largest of U random ids below `rows`, at least 100.
    """
    unique = tables.unique_rows[table]
    seen = np.maximum(tables.rows[table] * unique / (unique + 1), 100.0)
    pooling = tables.lookups[table] / tables.batch
    share = tables.unique[table] / np.maximum(unique, 1e-12)[:, None]
    return np.column_stack([seen, pooling, share, width.astype(float)])


class Physical(IntEnum):
    """Additive quantities of a shard on a device, in milliseconds at datasheet rates by default."""

    ISSUE = 0
    CACHED = auto()  # every look-up served by L2
    COLD = auto()  # every unique row fetched once
    FETCHED_WHOLE = auto()  # misses when the shard has all of L2
    FETCHED_QUARTER = auto()  # when it has a quarter of L2
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
    """Return (S, PHYSICAL_FEATURES) quantities that add up over the shards of a device."""
    quantities = np.empty((len(table), PHYSICAL_FEATURES))
    columns = width.astype(float)
    lookups = tables.lookups[table]
    unique, count = tables.unique[table], tables.count[table]
    rows = tables.unique_rows[table]
    bags = float(tables.batch) * tables.features[table]
    row_bytes = sector_bytes(columns * tables.element_bytes[table])
    gradient_bytes = sector_bytes(columns * OUTPUT_BYTES)
    stream = hardware.hbm_bytes_s * hardware.hbm_efficiency
    chunks = np.ceil(columns / LANES_ELEMENTS)
    # Misses depend on the width in whole sectors only: neighbouring widths of a table share them.
    key = table.astype(np.int64) * 2**32 + row_bytes.astype(np.int64)
    _, first, which = np.unique(key, return_index=True, return_inverse=True)
    alone = np.arange(len(first))

    quantities[:, Physical.ISSUE] = (
        lookups * chunks * hardware.issue_cycles / (hardware.sm_count * hardware.clock_hz)
    )
    quantities[:, Physical.CACHED] = lookups * row_bytes / hardware.l2_bytes_s
    quantities[:, Physical.COLD] = rows * row_bytes / stream
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
        quantities[:, column] = (
            expected_misses(unique[first], count[first], tau)[which] * row_bytes / stream
        )
    quantities[:, Physical.FETCHED_ALL] = lookups * row_bytes / stream
    quantities[:, Physical.IO] = (
        (lookups + bags) * INDEX_BYTES + bags * columns * OUTPUT_BYTES
    ) / stream
    quantities[:, Physical.SORT] = lookups * SORT_BYTES / stream
    in_cache = np.minimum(1.0, hardware.l2_bytes / (bags * gradient_bytes))
    again = np.maximum(0.0, 1 - bags / np.maximum(lookups, 1.0)) * in_cache
    quantities[:, Physical.GRADIENTS] = (
        lookups * gradient_bytes * ((1 - again) / stream + again / hardware.l2_bytes_s)
    )
    quantities[:, Physical.UPDATE] = rows * 2 * row_bytes / stream
    quantities[:, Physical.OPTIMIZER] = (
        rows * 2 * sector_bytes(state_bytes_per_row(tables.optimizer, width)) / stream
    )
    quantities[:, : Physical.FOOTPRINT] *= 1e3  # seconds → milliseconds
    quantities[:, Physical.FOOTPRINT] = rows * row_bytes / hardware.l2_bytes
    quantities[:, Physical.WARPS] = (
        bags * chunks / (hardware.sm_count * hardware.warps_per_sm)
    )
    quantities[:, Physical.ROWS] = np.minimum(tables.rows[table] / 2.0**24, 8.0)
    quantities[:, Physical.ONE] = 1.0
    return quantities


def conditioned_features(
    tables: TableArrays,
    table: np.ndarray,
    width: np.ndarray,
    hardware: HardwareProfile,
    physical: np.ndarray,
) -> np.ndarray:
    """Return (S, F) the inputs of the conditioned net.

    Logarithms of the physical quantities, reuse shares, width, hardware.
    """
    share = tables.unique[table] / np.maximum(tables.unique_rows[table], 1e-12)[:, None]
    condition = np.broadcast_to(hardware.conditions(), (len(table), CONDITIONS))
    logs = np.log(np.maximum(physical[:, : Physical.ONE], 1e-6))
    return np.column_stack([logs, share, np.log2(width.astype(float)), condition])


# Quantities whose sum measures a shard's work. The nets' learned features are multiples of it, so
# costs scale with the work.
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
    """Return (S,) the rough milliseconds of work of each shard."""
    return np.asarray(physical[:, list(MAGNITUDE)].sum(1))
