"""Starting plans that give every device the same number of columns, for exchange-bound jobs.

Several nodes exchange over their NICs, and the device with the most columns is the bottleneck. Two
methods level the columns:

- `deal` writes the mean number of columns as a sum (powers of two, halves, one number). Every
  device gets a slot of each size, and the tables' columns are dealt into the slots one after
  another, cut where a slot ends. Slots of one size are interchangeable, so the most expensive
  content goes to the device that computes least so far.
- `fill` places the most expensive shard first, on the device that computes least among those with
  room under a cap on columns. A shard that fits nowhere is cut: a part fills the device with most
  room, and the rest returns to the queue.

Unsplittable shards are placed first, by load; a cap that cannot hold is exceeded where that costs
least. See deploy/docs/design/sharding.md, "Starting plans".
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator

import numpy as np

from search.domains.sharding.constants import NONE
from search.domains.sharding.encode.items import Items
from search.domains.sharding.encode.plan import Plan, fits, merged
from trimtab.specs.sharding import MIN_SHARD_DIM


def level_plans(
    items: Items,
    load: np.ndarray,
    capacity: np.ndarray,
    start: np.ndarray,
    *,
    caps: tuple[float, ...],
    fast: bool,
) -> Iterator[Plan]:
    """Yield plans that fit and are level up to the caps.

    load: (O,) milliseconds that an option adds to a device.
    start: (S,) options that each fit a device.
    caps: most columns of a device, as multiples of the mean.
    fast: leave out the orders that rarely win.
    """
    options = items.options
    orders: dict[str, np.ndarray] = {
        "load": load[items.whole],
        "memory": options.memory[items.whole],
    }
    if not fast:
        orders["input"] = -np.arange(len(items), dtype=float)
        orders["reverse"] = np.arange(len(items), dtype=float)
    for split in (
        (_powers, _whole)
        if fast
        else (_powers, _whole, _power_and_rest, _halves, _quarters)
    ):
        for name, key in orders.items():
            plan = deal(items, load, capacity, np.argsort(-key, kind="stable"), split)
            if plan is not None and fits(items, plan, capacity):
                yield Plan.of(
                    plan.option, plan.device, f"level {split.__name__.strip('_')} {name}"
                )
    for cap in caps:
        plan = fill(items, load, capacity, start, cap)
        if plan is not None:
            yield Plan.of(plan.option, plan.device, f"level {cap:g}")


def even_columns(items: Items, devices: int) -> int:
    """Return the least multiple of 4 columns per device that holds all columns."""
    mean = float(items.options.dim[items.whole].sum()) / devices
    return int(np.ceil(mean / MIN_SHARD_DIM - 1e-9)) * MIN_SHARD_DIM


def _powers(columns: int) -> list[int]:
    """Return `columns` as a sum of powers of two, the largest first, in multiples of 4."""
    units = columns // MIN_SHARD_DIM
    return [
        MIN_SHARD_DIM << bit
        for bit in range(units.bit_length() - 1, -1, -1)
        if units >> bit & 1
    ]


def _whole(columns: int) -> list[int]:
    """Return one slot of all `columns`: the fewest cuts."""
    return [columns] if columns else []


def _power_and_rest(columns: int) -> list[int]:
    """Return the largest power of two, and the remainder."""
    powers = _powers(columns)
    return [*powers[:1], *_whole(columns - powers[0])] if powers else []


def _halves(columns: int) -> list[int]:
    """Return two slots as equal as multiples of 4 allow."""
    half = -(-columns // (2 * MIN_SHARD_DIM)) * MIN_SHARD_DIM
    return [slot for slot in (half, columns - half) if slot]


def _quarters(columns: int) -> list[int]:
    """Return four slots as equal as multiples of 4 allow."""
    return [slot for half in _halves(columns) for slot in _halves(half)]


def deal(
    items: Items,
    load: np.ndarray,
    capacity: np.ndarray,
    order: np.ndarray,
    split: Callable[[int], list[int]],
) -> Plan | None:
    """Deal the columns of the items in `order` into the slots that `split` makes.

    None when a cut would be narrower than allowed, or an unsplittable item has no room.
    """
    options, devices = items.options, len(capacity)
    target = even_columns(items, devices)
    fixed = [
        i
        for i in order
        if options.half[items.whole[i]] == NONE or _is_pinned(items, int(i))
    ]
    free = [
        int(i)
        for i in order
        if options.half[items.whole[i]] != NONE and not _is_pinned(items, int(i))
    ]
    placed = _Placed(items, load, capacity)
    for item in sorted(fixed, key=lambda i: -load[items.whole[i]]):
        if not placed.place_unsplit(int(item)):
            return None
    room = np.maximum(0, target - placed.dims).astype(np.int64)
    slots: dict[int, list[int]] = {}
    for device in range(devices):
        for width in split(int(room[device])):
            slots.setdefault(width, []).append(device)
    stream = _Stream(items, free)
    for width in sorted(slots, reverse=True):
        contents = [content for _ in slots[width] if (content := stream.take(width))]
        contents.sort(key=lambda content: -sum(load[o] for o in content))
        waiting = sorted(slots[width], key=lambda d: placed.load[d])
        for content, device in zip(contents, waiting, strict=False):
            for option in content:
                placed.add(option, device)
    for option in stream.rest():
        placed.add(option, int(placed.dims.argmin()))
    return None if stream.broken else placed.plan()


class _Stream:
    """Columns of items, one item after another."""

    def __init__(self, items: Items, order: list[int]) -> None:
        self._items = items
        self._order = order
        self._at = 0
        self._left = int(items.options.width[items.whole[order[0]]]) if order else 0
        self.broken = False  # a cut would have been narrower than allowed

    def take(self, columns: int) -> list[int]:
        """Return options with about `columns` output columns in all; fewer at the end."""
        taken: list[int] = []
        while columns > 0 and self._left > 0:
            item = self._order[self._at]
            least = int(self._items.narrowest[item])
            features = self._features(item)
            width = min(
                max(columns // features // MIN_SHARD_DIM, 1) * MIN_SHARD_DIM, self._left
            )
            if 0 < self._left - width < least:
                # The remainder could not be a shard: leave enough for one, or take all of it.
                width = self._left - least if self._left - least >= least else self._left
            option = int(self._items.options.find(np.array([item]), np.array([width]))[0])
            if option == NONE:
                self.broken = True
                return taken
            taken.append(option)
            columns -= width * features
            self._left -= width
            if self._left == 0 and self._at + 1 < len(self._order):
                self._at += 1
                self._left = int(
                    self._items.options.width[self._items.whole[self._order[self._at]]]
                )
            item = self._order[self._at]
            if 0 < columns < int(self._items.narrowest[item]) * self._features(item):
                break  # the next table has no shard this narrow: the slot stays a little short
        return taken

    def _features(self, item: int) -> int:
        """Return the output columns of each column of an item that is one table."""
        options, whole = self._items.options, self._items.whole[item]
        return int(options.dim[whole] // options.width[whole])

    def rest(self) -> list[int]:
        """Return the options that remain after the slots are filled."""
        return [] if self._left <= 0 or self.broken else self.take(2**40)


class _Placed:
    """Shards placed so far, with the loads of the devices."""

    def __init__(self, items: Items, load: np.ndarray, capacity: np.ndarray) -> None:
        self._items, self._load, self._capacity = items, load, capacity
        self.dims = np.zeros(len(capacity))
        self.load = np.zeros(len(capacity))
        self.memory = np.zeros(len(capacity))
        self._option: list[int] = []
        self._device: list[int] = []

    def add(self, option: int, device: int) -> None:
        """Place an option on a device."""
        options = self._items.options
        self.dims[device] += options.dim[option]
        self.load[device] += self._load[option]
        self.memory[device] += options.memory[option]
        self._option.append(option)
        self._device.append(device)

    def allowed_devices(self, option: int) -> np.ndarray:
        """Return (D,) the allowed devices with memory for an option."""
        options = self._items.options
        ok = self.memory + options.memory[option] <= self._capacity
        if self._items.allowed is not None:
            ok &= self._items.allowed[options.item[option]]
        return np.asarray(ok)

    def place_unsplit(self, item: int) -> bool:
        """Place an unsplit item where the largest column sum grows least; False without memory."""
        option = int(self._items.whole[item])
        ok = self.allowed_devices(option)
        if not ok.any():
            return False
        reach = np.maximum(self.dims + self._items.options.dim[option], self.dims.max())
        key = np.where(ok, reach, np.inf)
        self.add(option, int(np.where(key <= key.min(), self.load, np.inf).argmin()))
        return True

    def plan(self) -> Plan:
        """Return the shards placed so far as a plan."""
        plan = Plan.of(
            np.array(self._option, dtype=np.int64),
            np.array(self._device, dtype=np.int64),
            "level",
        )
        return merged(self._items, plan)


def fill(
    items: Items, load: np.ndarray, capacity: np.ndarray, start: np.ndarray, cap: float
) -> Plan | None:
    """Place shards by load under a cap of `cap` times the mean columns; cut what has no room.

    None when memory runs out.
    """
    options = items.options
    limit = (
        np.ceil(cap * even_columns(items, len(capacity)) / MIN_SHARD_DIM - 1e-9)
        * MIN_SHARD_DIM
    )
    placed = _Placed(items, load, capacity)
    queue = [(-float(load[o]), n, int(o)) for n, o in enumerate(start)]
    heapq.heapify(queue)
    count = len(queue)
    most = 50_000 + 8 * len(start)
    while queue:
        _, _, option = heapq.heappop(queue)
        allowed = placed.allowed_devices(option)
        ok = allowed & (placed.dims + options.dim[option] <= limit)
        if ok.any():
            placed.add(option, int(np.where(ok, placed.load, np.inf).argmin()))
            continue
        part, device = _widest_part(items, placed, option, capacity, limit)
        if part == NONE:
            if not allowed.any():
                return None
            placed.add(option, int(np.where(allowed, placed.dims, np.inf).argmin()))
            continue
        placed.add(part, device)
        rest = options.find(
            np.array([options.item[option]]),
            np.array([options.width[option] - options.width[part]]),
        )[0]
        count += 1
        if count > most:
            return None
        heapq.heappush(queue, (-float(load[rest]), count, int(rest)))
    return placed.plan()


def _widest_part(
    items: Items, placed: _Placed, option: int, capacity: np.ndarray, limit: float
) -> tuple[int, int]:
    """Return the widest part of a shard that some device has room for, and that device; or NONE."""
    options = items.options
    if options.half[option] == NONE:
        return NONE, NONE
    item, width = int(options.item[option]), int(options.width[option])
    parts = np.arange(
        items.whole[item], np.searchsorted(options.item, item, side="right")
    )
    parts = parts[options.width[parts] < width]
    rest = options.find(np.full(len(parts), item), width - options.width[parts])
    parts = parts[rest != NONE]
    if not len(parts):
        return NONE, NONE
    columns = np.where(placed.dims < limit, limit - placed.dims, 0.0)
    room = capacity - placed.memory
    if items.allowed is not None:
        columns = np.where(items.allowed[item], columns, 0.0)
    # Widths fall along `parts`, and memory with them: the first that fits is the widest.
    by_memory = np.searchsorted(-options.memory[parts], -room)  # (D,)
    by_columns = np.searchsorted(-options.dim[parts], -columns)
    place = np.maximum(by_memory, by_columns)
    best = int(place.min())
    if best >= len(parts):
        return NONE, NONE
    return int(parts[best]), int(np.where(place == best, placed.load, np.inf).argmin())


def _is_pinned(items: Items, item: int) -> bool:
    return items.allowed is not None and not bool(items.allowed[item].all())
