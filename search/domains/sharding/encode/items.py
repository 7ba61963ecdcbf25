"""What a search places: items (a table, or tables that stay together) and the column shards they can become.

A table of width w may be cut into any shards whose widths are multiples of 4 (FBGEMM) and not below the narrowest shard
allowed: every such width is an option, and a way to split the table is any multiset of options that adds up to w. Equal
shards are interchangeable. Only a job with very many or very wide tables gets a coarser grid of widths for its widest
tables (`Items.step`); what is claimed of such a job is claimed for that grid.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from cost_models.sharding.problem import TableArrays, state_bytes_per_row
from search.types import InvalidInput
from trimtab.specs.sharding import MIN_SHARD_DIM, Constraints, MemoryModel, PlanShard, Table

NONE = -1
GIB = 2.0**30
MAX_OPTIONS = 150_000  # more would take seconds and hundreds of MB to price; wide tables then get coarser widths
_MAX_WIDTHS = 512  # options of one table
_MAX_ROW = 2**20  # above any width: orders (item, width) as one number


@dataclass(frozen=True, kw_only=True)
class Options:
    """O ways a shard can look. Rows of one item follow each other, widest first."""

    item: np.ndarray  # (O,) item
    width: np.ndarray  # (O,) columns of each table of the item
    half: np.ndarray  # (O,) the option of half the width, rounded up to an option, or NONE when it cannot be cut
    rest: np.ndarray  # (O,) the option of what `half` leaves, or NONE
    memory: np.ndarray  # (O,) bytes it takes on its device
    weight_bytes: np.ndarray  # (O,) bytes of weights alone: what moving it moves
    dim: (
        np.ndarray
    )  # (O,) output columns in all, one per feature and column: what the exchange moves
    lookups: np.ndarray  # (O,) look-ups of a batch
    member_option: np.ndarray  # (M,) flat list: option of each member shard
    member_table: np.ndarray  # (M,) its table
    member_width: np.ndarray  # (M,) its columns
    member_begin: np.ndarray  # (O,) first member of each option
    key: np.ndarray  # (O,) ascending: (item, width) as one number

    def __len__(self) -> int:
        return len(self.item)

    def find(self, item: np.ndarray | int, width: np.ndarray | int) -> np.ndarray:
        """Option of each (item, width), or NONE where that width is no option.  (N,), (N,) → (N,)"""
        wanted = _key(np.asarray(item), np.asarray(width))
        place = np.minimum(np.searchsorted(self.key, wanted), len(self.key) - 1)
        return np.where(self.key[place] == wanted, place, NONE)

    def pool(self, of_members: np.ndarray) -> np.ndarray:
        """Sum members' rows into options.  (M, K) → (O, K)"""
        if len(of_members) == len(self):
            return of_members
        return np.asarray(np.add.reduceat(of_members, self.member_begin, axis=0))


@dataclass(frozen=True, kw_only=True)
class Items:
    """I items."""

    members: tuple[tuple[int, ...], ...]  # tables of each
    whole: np.ndarray  # (I,) the unsplit option of each
    allowed: np.ndarray | None  # (I, D) devices it may be on; None: any
    narrowest: (
        np.ndarray
    )  # (I,) columns of the narrowest shard; the whole width of what cannot be split
    step: (
        np.ndarray
    )  # (I,) columns between the widths that are options: 4 unless the job is huge
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
    """Items and their options. Raises InvalidInput when a current plan's shard is narrower than FBGEMM allows."""
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
    key = _key(item, width)
    splittable = np.array([group[0] not in unsplit for group in members])[item]
    half, rest = _cut_in_two(item, width, key, splittable, np.array(steps))

    size = np.array([len(group) for group in members])
    first = np.cumsum(size) - size  # of each item in the flat list of members
    member_option = np.repeat(np.arange(len(item)), size[item])
    begin = np.cumsum(size[item]) - size[item]
    within = np.arange(len(member_option)) - begin[member_option]
    member_table = np.array([t for group in members for t in group])[
        first[item[member_option]] + within
    ]
    # A group is never split: its option's width stands for the first table only, each member keeps its own.
    dims = np.array([t.dim for t in tables])
    member_width = np.where(
        size[item[member_option]] == 1, width[member_option], dims[member_table]
    )
    total = np.zeros((4, len(item)))
    memory = shard_bytes(arrays, member_table, member_width, memory_model)
    weights = shard_bytes(arrays, member_table, member_width, MemoryModel.WEIGHTS)
    outputs = member_width * arrays.features[member_table]
    for line, values in zip(
        total, (memory, weights, outputs, arrays.lookups[member_table]), strict=True
    ):
        line[:] = np.add.reduceat(values, begin)
    return Items(
        members=tuple(members),
        whole=np.searchsorted(key, _key(np.arange(len(members)), np.array(whole))),
        allowed=_allowed(members, tables, constraints, devices),
        narrowest=np.array(
            [min(f, *used) if used else f for f, used in zip(floor, in_use, strict=True)]
        ),
        step=np.array(steps),
        options=Options(
            item=item,
            width=width,
            half=half,
            rest=rest,
            memory=total[0],
            weight_bytes=total[1],
            dim=total[2],
            lookups=total[3],
            member_option=member_option,
            member_table=member_table,
            member_width=member_width,
            member_begin=begin,
            key=key,
        ),
    )


def shard_bytes(
    arrays: TableArrays, table: np.ndarray, width: np.ndarray, model: MemoryModel
) -> np.ndarray:
    """Bytes a shard takes on its device.  # (S,)

    `training` adds the optimizer's state and, for the whole batch, the indices and offsets that are looked up and the
    pooled output of each feature with its gradient in fp32.
    """
    weights = arrays.rows[table] * width * arrays.element_bytes[table]
    if model is MemoryModel.WEIGHTS:
        return np.asarray(weights, dtype=float)
    state = arrays.rows[table] * state_bytes_per_row(arrays.optimizer, width)
    outputs = 2.0 * arrays.batch * arrays.features[table] * width * 4
    return np.asarray(weights + state + outputs + arrays.index_bytes[table])


def _key(item: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Ascending in the item, then descending in the width: the order of the options."""
    return np.asarray(np.asarray(item, dtype=np.int64) * _MAX_ROW + (_MAX_ROW - 1 - width))


def _steps(whole: list[int], floor: list[int]) -> list[int]:
    """Columns between neighbouring options of each item, so that there are at most about MAX_OPTIONS in all."""
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
    """Widths of an item's options, widest first; what a width leaves of the whole is a width, too."""
    if least >= width:
        return np.array(sorted({width, *in_use}, reverse=True), dtype=np.int64)
    cuts = np.arange(step, width, step)
    cuts = np.union1d(cuts, width - cuts)
    cuts = cuts[(cuts >= least) & (cuts <= width - least)]
    near = np.array([_near_half(width), width - _near_half(width)])
    cuts = np.concatenate(
        [cuts, near[near >= least] if (near >= least).all() else near[:0], in_use, [width]]
    )
    return np.unique(cuts.astype(np.int64))[::-1]


def _near_half(width: int) -> int:
    return -(-width // (2 * MIN_SHARD_DIM)) * MIN_SHARD_DIM


def _cut_in_two(
    item: np.ndarray,
    width: np.ndarray,
    key: np.ndarray,
    splittable: np.ndarray,
    step: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The two options nearest to half of each option; NONE, NONE where no two options add up to it."""
    unit = step[item]
    half = np.full(len(item), NONE)
    rest = np.full(len(item), NONE)

    def option_of(columns: np.ndarray) -> np.ndarray:
        wanted = _key(item, columns)
        place = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
        return np.where(
            (key[place] == wanted) & (columns > 0) & (columns < width), place, NONE
        )

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
                f"constraints.current_plan: a shard of table {shard.table!r} has width {shard.width}; widths are multiples "
                f"of {MIN_SHARD_DIM}; correct the plan or leave it out"
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
