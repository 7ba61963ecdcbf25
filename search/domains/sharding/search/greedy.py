"""Table-wise greedy grid search (NeuroShard section 1.6), many candidates at once.

For each dim cap s: shards from the most expensive to the cheapest, each onto the device that is cheapest so far among
those whose memory and dim cap it respects. All caps of all candidates go step by step together as rows of one array:
a level of the beam is then a few hundred numpy calls instead of hundreds of thousands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from search.domains.sharding.encode.items import Items
from search.domains.sharding.search.plan_model import PlanModel

_STEPS_BETWEEN_LOOKS = 64  # at the clock
_ROWS_FLOATS = 40_000_000  # bounds the memory of one call


@dataclass(frozen=True, kw_only=True)
class Graded:
    """The best assignment of each candidate over the caps, or infinity."""

    device: np.ndarray  # (N, S) in the order of the candidate's options
    cost: np.ndarray  # (N,)


def paper_caps(count: int) -> np.ndarray:
    """1.0 ... 1.5 times the mean dim sum: the paper's 1.0, 1.05, ... for 11."""
    return np.linspace(1.0, 1.5, count) if count > 1 else np.array([1.5])


def greedy_grid(
    items: Items,
    model: PlanModel,
    candidates: np.ndarray,
    capacity: np.ndarray,
    caps: np.ndarray,
    *,
    stop: Callable[[], bool] = lambda: False,
) -> Graded:
    """Best assignment of each candidate list of options.  candidates (N, S) → (N, S), (N,)

    Ties go to the device with less memory used; equally expensive shards go in the reverse order of the list, as in
    the reference implementation, which pops from the end of an ascending stable sort. What `stop` cut off costs infinity.
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
    stop: Callable[[], bool],
) -> tuple[np.ndarray, np.ndarray]:
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
        if step % _STEPS_BETWEEN_LOOKS == _STEPS_BETWEEN_LOOKS - 1 and stop():
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
        if several:  # unequal devices: what the shard itself costs there decides too
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
    """Longest processing time first: each shard, largest key first, to the device with the least key that has room.

    `first` orders the shards by something else than the key, e.g. memory, while loads are balanced by the key.
    `best_fit` picks the fullest device that has room instead: the better packer when memory is tight. None: no room.
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
