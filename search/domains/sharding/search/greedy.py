"""Table-wise greedy grid search of NeuroShard (Zha et al., MLSys 2023), many candidates at once.

For each dim cap s (deploy/docs/design/sharding.md, "Greedy grid search"): shards from the most
expensive to the cheapest, each onto the device with the least cost so far among those whose memory
and dim cap it respects. All caps of all candidates advance together as rows of one array, so a
level of the beam is a few hundred numpy calls instead of hundreds of thousands.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from search.domains.sharding.encode.items import Items
from search.domains.sharding.search.deadlines import Stop, never
from search.domains.sharding.search.plan_model import PlanModel

_STEPS_PER_STOP_CHECK = 64
_ROWS_FLOATS = 40_000_000  # bounds the memory of one call


@dataclass(frozen=True, kw_only=True)
class Graded:
    """Best assignment of each candidate over the caps; its cost is infinite when none fits."""

    device: np.ndarray  # (N, S) in the order of the candidate's options
    cost: np.ndarray  # (N,)


def paper_caps(count: int) -> np.ndarray:
    """Return `count` caps, 1.0 to 1.5 times the mean dim sum; the paper has 11: 1.0, 1.05, ..."""
    return np.linspace(1.0, 1.5, count) if count > 1 else np.array([1.5])


def greedy_grid(
    items: Items,
    model: PlanModel,
    candidates: np.ndarray,
    capacity: np.ndarray,
    caps: np.ndarray,
    *,
    stop: Stop = never,
) -> Graded:
    """Assign each candidate list of options to devices.  candidates (N, S) → (N, S), (N,)

    Ties go to the device with less memory used. Equally expensive shards go in the reverse order
    of the list, as in the authors' code, which pops from the end of an ascending stable sort.
    Candidates that `stop` cuts off cost infinity.
    """
    count, size = candidates.shape
    devices = model.devices
    per_row = devices * (model.embedding.shape[2] + 3)
    block = max(1, _ROWS_FLOATS // (per_row * len(caps)))
    device = np.zeros((count, size), dtype=np.int64)
    cost = np.full(count, np.inf)
    for low in range(0, count, block):
        part = slice(low, min(count, low + block))
        device[part], cost[part] = _block(
            items, model, candidates[part], capacity, caps, stop
        )
    return Graded(device=device, cost=cost)


def _block(
    items: Items,
    model: PlanModel,
    candidates: np.ndarray,
    capacity: np.ndarray,
    caps: np.ndarray,
    stop: Stop,
) -> tuple[np.ndarray, np.ndarray]:
    """Assign the candidates of one block: devices (N, S) and costs (N,)."""
    options = items.options
    count, size = candidates.shape
    devices = model.devices
    single = model.single.mean(0)
    order = np.argsort(single[candidates], axis=1, kind="stable")[:, ::-1]  # (N, S)
    mean_dim = options.dim[candidates].sum(1) / devices  # (N,)
    rows = count * len(caps)
    cap = (mean_dim[:, None] * caps[None]).reshape(rows) + 1e-9  # (R,)
    candidate = np.repeat(np.arange(count), len(caps))  # (R,)
    every = np.arange(rows)

    pooled = np.zeros((rows, devices, model.embedding.shape[2]))
    compute = np.zeros((rows, devices))
    memory = np.zeros((rows, devices))
    dims = np.zeros((rows, devices))
    device = np.zeros((rows, size), dtype=np.int64)
    alive = np.ones(rows, dtype=bool)
    several = len(model.heads) > 1
    for step in range(size):
        if step % _STEPS_PER_STOP_CHECK == _STEPS_PER_STOP_CHECK - 1 and stop():
            alive[:] = False
            break
        place = order[:, step]
        option = candidates[np.arange(count), place][candidate]  # (R,)
        weight, columns = options.memory[option], options.dim[option]
        ok = (memory + weight[:, None] <= capacity) & (
            dims + columns[:, None] <= cap[:, None]
        )
        if items.allowed is not None:
            ok &= items.allowed[options.item[option]]
        load = compute
        if several:  # on unequal devices the cost of the shard itself decides too
            load = compute + model.single[model.device_class[None, :], option[:, None]]
        key = np.where(ok, load, np.inf)
        least = key.min(1)
        alive &= np.isfinite(least)
        chosen = np.where(key <= least[:, None], memory, np.inf).argmin(1)  # (R,)
        device[every, place[candidate]] = chosen
        kind = model.device_class[chosen]
        pooled[every, chosen] += model.embedding[kind, option]
        memory[every, chosen] += weight
        dims[every, chosen] += columns
        now = pooled[every, chosen]
        if several:
            for c, head in enumerate(model.heads):
                mask = kind == c
                compute[every[mask], chosen[mask]] = head(now[mask])
        else:
            compute[every, chosen] = model.heads[0](now)
    total = np.where(alive, model.total(compute, dims), np.inf).reshape(count, len(caps))
    best = total.argmin(1)
    row = np.arange(count) * len(caps) + best
    return device[row], total[np.arange(count), best]


def pack_by(
    items: Items,
    key: np.ndarray,
    option: np.ndarray,
    capacity: np.ndarray,
    *,
    first: np.ndarray | None = None,
    best_fit: bool = False,
) -> np.ndarray | None:
    """Pack by longest processing time: largest key first, to the device with the least sum of keys.

    first: orders the shards instead of the key, e.g. memory; the key still balances the loads.
    best_fit: picks the fullest device that has room instead, which packs better when memory is
        tight.
    Returns the device of each shard (S,); None when a shard has no room.
    """
    options = items.options
    load = np.zeros(len(capacity))
    memory = np.zeros(len(capacity))
    device = np.zeros(len(option), dtype=np.int64)
    for shard in np.argsort(-(key if first is None else first), kind="stable"):
        ok = memory + options.memory[option[shard]] <= capacity
        if items.allowed is not None:
            ok = ok & items.allowed[options.item[option[shard]]]
        if not ok.any():
            return None
        if best_fit:
            chosen = int(np.where(ok, capacity - memory, np.inf).argmin())
        else:
            least = np.where(ok, load, np.inf)
            chosen = int(np.where(least <= least.min(), memory, np.inf).argmin())
        device[shard] = chosen
        load[chosen] += key[shard]
        memory[chosen] += options.memory[option[shard]]
    return device
