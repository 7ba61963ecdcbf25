"""Items (tables or groups that a plan places) and their possible column shards.

An item is a table, or a group of tables that stay together. A table of width w may be cut into
shards whose widths are multiples of 4 (an FBGEMM rule) and at least the narrowest width allowed:
each such width is an option, and a way to split the table is a multiset of options whose widths
add up to w. Equal shards are interchangeable. Only a job with very many or very wide tables gets
a coarser grid of widths for its widest tables (`Items.step`); claims about such a job hold for
that grid.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from cost_models.sharding.problem import TableArrays, state_bytes_per_row
from search.domains.sharding.constants import NONE
from search.types import InvalidInput
from trimtab.specs.sharding import (
    MIN_SHARD_DIM,
    Constraints,
    MemoryModel,
    PlanShard,
    Table,
)

# More options would take seconds and hundreds of MB to price; wide tables get coarser widths then.
MAX_OPTIONS = 150_000
_MAX_WIDTHS = 512  # options of one table
_MAX_ROW = 2**20  # above any width: orders (item, width) as one number


@dataclass(frozen=True, kw_only=True)
class Options:
    """O possible shards. The options of one item are consecutive, widest first."""

    item: np.ndarray  # (O,) item
    width: np.ndarray  # (O,) columns of each table of the item
    # (O,) option of half the width, rounded up; NONE when it cannot be cut
    half: np.ndarray
    rest: np.ndarray  # (O,) option of the remaining width, or NONE
    memory: np.ndarray  # (O,) bytes on its device
    weight_bytes: np.ndarray  # (O,) bytes of weights alone, which moving the shard moves
    # (O,) output columns, one per feature and column: what the exchange sends
    dim: np.ndarray
    lookups: np.ndarray  # (O,) look-ups of a batch
    member_option: np.ndarray  # (M,) flat list: option of each member shard
    member_table: np.ndarray  # (M,) its table
    member_width: np.ndarray  # (M,) its columns
    member_begin: np.ndarray  # (O,) first member of each option
    key: np.ndarray  # (O,) ascending: (item, width) as one number

    def __len__(self) -> int:
        return len(self.item)

    def find(self, item: np.ndarray | int, width: np.ndarray | int) -> np.ndarray:
        """Return the option of each (item, width), or NONE; (N,), (N,) → (N,)."""
        key = _key(np.asarray(item), np.asarray(width))
        place = np.minimum(np.searchsorted(self.key, key), len(self.key) - 1)
        return np.where(self.key[place] == key, place, NONE)

    def pool(self, of_members: np.ndarray) -> np.ndarray:
        """Sum members' rows into options; (M, K) → (O, K)."""
        if len(of_members) == len(self):
            return of_members
        return np.asarray(np.add.reduceat(of_members, self.member_begin, axis=0))


@dataclass(frozen=True, kw_only=True)
class Items:
    """I items."""

    members: tuple[tuple[int, ...], ...]  # tables of each
    whole: np.ndarray  # (I,) the unsplit option of each
    allowed: np.ndarray | None  # (I, D) devices it may be on; None: any
    # (I,) columns of the narrowest shard; the whole width when unsplittable
    narrowest: np.ndarray
    step: np.ndarray  # (I,) columns between neighbouring widths: 4 unless the job is huge
    options: Options

    def __len__(self) -> int:
        return len(self.members)


def build_items(
    tables: tuple[Table, ...],
    arrays: TableArrays,
    constraints: Constraints,
    *,
    devices: int,
    memory_model: MemoryModel,
) -> Items:
    """Build the items and their options.

    Raises InvalidInput when a shard of the current plan has a width that FBGEMM does not allow.
    """
    number = {t.name: i for i, t in enumerate(tables)}
    grouped = [tuple(number[n] for n in group) for group in constraints.together]
    in_group = {i for group in grouped for i in group}
    members = [*grouped, *((i,) for i in range(len(tables)) if i not in in_group)]
    unsplit = {number[n] for n in constraints.no_split} | in_group
    extra = _widths_of(constraints.current_plan, number)

    whole = [tables[group[0]].dim for group in members]
    floor = [
        whole[i]
        if group[0] in unsplit or whole[i] < 2 * constraints.min_shard_dim
        else constraints.min_shard_dim
        for i, group in enumerate(members)
    ]
    steps = _steps(whole, floor)
    in_use = [
        tuple(extra.get(group[0], ())) if len(group) == 1 else () for group in members
    ]
    widths = [_grid(*row) for row in zip(whole, floor, steps, in_use, strict=True)]
    item = np.repeat(np.arange(len(members)), [len(w) for w in widths])
    width = np.concatenate(widths)
    splittable = np.array([group[0] not in unsplit for group in members])[item]
    options = _options(
        members,
        tables,
        arrays,
        memory_model,
        item=item,
        width=width,
        halves=_cut_in_two(item, width, splittable, np.array(steps)),
    )
    return Items(
        members=tuple(members),
        whole=np.searchsorted(
            options.key, _key(np.arange(len(members)), np.array(whole))
        ),
        allowed=_allowed(members, tables, constraints, devices),
        narrowest=np.array(
            [min(f, *used) if used else f for f, used in zip(floor, in_use, strict=True)]
        ),
        step=np.array(steps),
        options=options,
    )


def options_by_width(items: Items) -> list[dict[int, int]]:
    """Index the options of each item by their width."""
    index: list[dict[int, int]] = [{} for _ in range(len(items))]
    pairs = zip(items.options.item, items.options.width, strict=True)
    for option, (item, width) in enumerate(pairs):
        index[int(item)][int(width)] = option
    return index


def shard_bytes(
    arrays: TableArrays, table: np.ndarray, width: np.ndarray, model: MemoryModel
) -> np.ndarray:
    """Return (S,) the bytes a shard takes on its device.

    `training` adds the optimizer's state and, for the whole batch, the indices and offsets that
    are looked up and the pooled output of each feature with its gradient in fp32.
    """
    weights = arrays.rows[table] * width * arrays.element_bytes[table]
    if model is MemoryModel.WEIGHTS:
        return np.asarray(weights, dtype=float)
    state = arrays.rows[table] * state_bytes_per_row(arrays.optimizer, width)
    outputs = 2.0 * arrays.batch * arrays.features[table] * width * 4
    return np.asarray(weights + state + outputs + arrays.index_bytes[table])


def _options(
    members: list[tuple[int, ...]],
    tables: tuple[Table, ...],
    arrays: TableArrays,
    memory_model: MemoryModel,
    *,
    item: np.ndarray,
    width: np.ndarray,
    halves: tuple[np.ndarray, np.ndarray],
) -> Options:
    """Build the options from their items and widths: member shards, memory and columns."""
    size = np.array([len(group) for group in members])
    first = np.cumsum(size) - size  # of each item in the flat list of members
    member_option = np.repeat(np.arange(len(item)), size[item])
    begin = np.cumsum(size[item]) - size[item]
    within = np.arange(len(member_option)) - begin[member_option]
    member_table = np.array([t for group in members for t in group])[
        first[item[member_option]] + within
    ]
    # A group is never split: its width stands for the first table; each member has its own.
    dims = np.array([t.dim for t in tables])
    member_width = np.where(
        size[item[member_option]] == 1, width[member_option], dims[member_table]
    )
    per_member = (
        shard_bytes(arrays, member_table, member_width, memory_model),
        shard_bytes(arrays, member_table, member_width, MemoryModel.WEIGHTS),
        member_width * arrays.features[member_table],
        arrays.lookups[member_table],
    )
    memory, weight_bytes, dim, lookups = (
        np.add.reduceat(values, begin).astype(float) for values in per_member
    )
    return Options(
        item=item,
        width=width,
        half=halves[0],
        rest=halves[1],
        memory=memory,
        weight_bytes=weight_bytes,
        dim=dim,
        lookups=lookups,
        member_option=member_option,
        member_table=member_table,
        member_width=member_width,
        member_begin=begin,
        key=_key(item, width),
    )


def _key(item: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Number (item, width) in the order of the options: ascending item, then descending width."""
    return np.asarray(
        np.asarray(item, dtype=np.int64) * _MAX_ROW + (_MAX_ROW - 1 - width)
    )


def _steps(whole: list[int], floor: list[int]) -> list[int]:
    """Return (I,) the columns between neighbouring options, for about MAX_OPTIONS in all."""
    columns = np.array([w if f < w else 0 for w, f in zip(whole, floor, strict=True)])
    most = int(columns.max(initial=0)) // MIN_SHARD_DIM
    step = np.full(len(whole), MIN_SHARD_DIM)
    while (wide := columns // step > _MAX_WIDTHS).any():
        step[wide] *= 2
    while (columns // step).sum() > MAX_OPTIONS and most > 8:
        most //= 2  # the widest tables first: a coarse step costs them least
        wide = columns // step > most
        step[wide] *= 2
    return [int(s) for s in step]


def _grid(width: int, least: int, step: int, in_use: Iterable[int]) -> np.ndarray:
    """Return the widths of an item's options, widest first.

    For each width, the remaining width is an option, too.
    """
    if least >= width:
        return np.array(sorted({width, *in_use}, reverse=True), dtype=np.int64)
    cuts = np.arange(step, width, step)
    cuts = np.union1d(cuts, width - cuts)
    cuts = cuts[(cuts >= least) & (cuts <= width - least)]
    near = np.array([_near_half(width), width - _near_half(width)])
    halves = near if (near >= least).all() else near[:0]
    widths = np.concatenate([cuts, halves, in_use, [width]])
    return np.unique(widths.astype(np.int64))[::-1]


def _near_half(width: int) -> int:
    return -(-width // (2 * MIN_SHARD_DIM)) * MIN_SHARD_DIM


def _cut_in_two(
    item: np.ndarray, width: np.ndarray, splittable: np.ndarray, step: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the two options nearest to half of each option; NONE, NONE where no two add up."""
    key = _key(item, width)
    unit = step[item]
    half = np.full(len(item), NONE)
    rest = np.full(len(item), NONE)

    def option_of(columns: np.ndarray) -> np.ndarray:
        part = _key(item, columns)
        place = np.minimum(np.searchsorted(key, part), len(key) - 1)
        exists = (key[place] == part) & (columns > 0) & (columns < width)
        return np.where(exists, place, NONE)

    for grain in (np.full(len(item), MIN_SHARD_DIM), unit):
        first = -(-width // (2 * grain)) * grain
        a, b = option_of(first), option_of(width - first)
        ok = splittable & (half == NONE) & (a != NONE) & (b != NONE)
        half, rest = np.where(ok, a, half), np.where(ok, b, rest)
    return half, rest


def _widths_of(
    plan: tuple[PlanShard, ...], number: Mapping[str, int]
) -> dict[int, set[int]]:
    widths: dict[int, set[int]] = {}
    for shard in plan:
        if shard.width % MIN_SHARD_DIM:
            raise InvalidInput(
                f"constraints.current_plan: expected widths that are multiples of {MIN_SHARD_DIM}, "
                f"got a shard of table {shard.table!r} with width {shard.width}; "
                "correct the plan or leave it out"
            )
        widths.setdefault(number[shard.table], set()).add(shard.width)
    return widths


def _allowed(
    members: list[tuple[int, ...]],
    tables: tuple[Table, ...],
    constraints: Constraints,
    devices: int,
) -> np.ndarray | None:
    if not constraints.pin:
        return None
    pins = {p.table: p.devices for p in constraints.pin}
    allowed = np.ones((len(members), devices), dtype=bool)
    for item, group in enumerate(members):
        for table in group:
            if tables[table].name in pins:
                mask = np.zeros(devices, dtype=bool)
                mask[list(pins[tables[table].name])] = True
                allowed[item] &= mask
    return allowed
