"""Starting plans: common heuristics, and packing with the splits that memory forces.

The five greedy baselines are those of the evaluation in NeuroShard's repository
(deploy/docs/design/sharding.md, "Starting plans"): longest processing time first by an estimate of
the cost, under the memory cap. `torchrec-perf` balances TorchRec's own performance estimate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from cost_models.sharding.problem import TableArrays
from search.domains.sharding.constants import NONE
from search.domains.sharding.encode.items import Items
from search.domains.sharding.encode.plan import Plan
from search.domains.sharding.search.greedy import pack_by

BASELINES = ("random", "dim", "size", "lookup", "size-lookup", "torchrec-perf")
_MAX_FORCED_SPLITS = 50_000


def baseline_keys(
    items: Items, arrays: TableArrays, rng: np.random.Generator
) -> Mapping[str, np.ndarray]:
    """Return the costs (O,) of the options by the estimate of each heuristic, by name."""
    options = items.options
    table, width = options.member_table, options.member_width.astype(float)
    pooling = arrays.lookups[table] / arrays.batch
    estimates = {
        "random": rng.random(len(table)),
        "dim": width,
        "size": arrays.rows[table] * width,
        "lookup": width * pooling,
        "size-lookup": width * pooling * np.log10(np.maximum(arrays.rows[table], 2.0)),
        "torchrec-perf": torchrec_perf(arrays, table, width),
    }
    return {
        name: options.pool(values[:, None])[:, 0] for name, values in estimates.items()
    }


def torchrec_perf(
    arrays: TableArrays, table: np.ndarray, width: np.ndarray
) -> np.ndarray:
    """Return TorchRec 1.9's estimate for a shard, up to a factor.

    Bytes moved, a penalty for narrow blocks, backward as twice forward, and the exchange. Its
    constants are those of a V100: 897 GiB/s of memory, 600 GiB/s inside a node.
    """
    batch = float(arrays.batch)
    pooling = arrays.lookups[table] / batch
    penalty = np.where(width < 64, 1.75, np.where(width < 128, 1.15, 1.0))
    lookup = batch * pooling * np.maximum(width, 32) * 4
    output = batch * arrays.features[table] * width * 4
    compute = 3 * (batch * pooling * 8 + lookup + output) * penalty / (897 * 2**30)
    return np.asarray(compute + 2 * output / (600 * 2**30))


def baseline_plans(
    items: Items, arrays: TableArrays, capacity: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[str, Plan | None]]:
    """Yield each baseline's plan of unsplit tables; None when it runs out of memory."""
    whole = items.whole
    for name, key in baseline_keys(items, arrays, rng).items():
        device = pack_by(items, key[whole], whole, capacity)
        yield name, None if device is None else Plan.of(whole, device, name)


def forced_splits(items: Items, capacity: np.ndarray) -> np.ndarray:
    """Return (S,) the options after halving the shards that no allowed device can hold."""
    options = items.options
    shards: list[int] = []
    pending = list(items.whole)
    while pending:
        option = int(pending.pop())
        if (
            options.memory[option] > _room(items, option, capacity)
            and options.half[option] != NONE
        ):
            pending += [int(options.half[option]), int(options.rest[option])]
        else:
            shards.append(option)
    return np.array(shards[::-1], dtype=np.int64)


def split_heavy(
    items: Items, cost: np.ndarray, option: np.ndarray, share: float, devices: int
) -> np.ndarray:
    """Halve every shard that alone costs more than `share` of a device's mean load.

    One heavy table on each of many devices is a plateau: no single step helps until all of them
    are split.
    """
    half, rest = items.options.half, items.options.rest
    option = option.copy()
    limit = share * float(cost[option].sum()) / devices
    while True:
        heavy = np.flatnonzero(
            (cost[option] > limit)
            & (half[option] != NONE)
            & (cost[np.maximum(half[option], 0)] < cost[option] * 0.95)
        )
        if not len(heavy) or len(option) > _MAX_FORCED_SPLITS:
            return option
        whole = option[heavy]
        option[heavy] = half[whole]
        option = np.append(option, rest[whole])


def pack_with_splits(
    items: Items, key: np.ndarray, option: np.ndarray, capacity: np.ndarray
) -> Plan | None:
    """Pack by cost, else large shards first, else by best fit; halve the largest and try again.

    None when the shards cannot be halved further.
    """
    options = items.options
    option = option.copy()
    for _ in range(min(_MAX_FORCED_SPLITS, 64 * len(capacity))):
        device = pack_by(items, key[option], option, capacity)
        if device is None:
            device = pack_by(
                items, key[option], option, capacity, first=options.memory[option]
            )
        if device is None:
            device = pack_by(
                items, options.memory[option], option, capacity, best_fit=True
            )
        if device is not None:
            return Plan.of(option, device, "packed")
        splittable = options.half[option] != NONE
        if not splittable.any():
            return None
        largest = int(np.where(splittable, options.memory[option], -1.0).argmax())
        whole = option[largest]
        option[largest] = options.half[whole]
        option = np.append(option, options.rest[whole])
    return None


def _room(items: Items, option: int, capacity: np.ndarray) -> float:
    """Return the bytes of the largest device that the option may be on."""
    if items.allowed is None:
        return float(capacity.max())
    return float(capacity[items.allowed[items.options.item[option]]].max())
