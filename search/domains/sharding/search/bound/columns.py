"""Linear program of the bound over mixtures of covers, whose columns are generated as needed.

A cover is a way to cut an item into options and to place them on groups of devices.

    min T + E
    T >= bias + skip_g z_g + out_g h_g,   h_g >= inner_g z_g + shift_g,   h_g >= 0
    z_g = mean vector of group g
    E >= forms (N, F)
    N, F >= milliseconds that the mean device of g sends or receives; and those of any plan
    memory of g <= its room,   the covers of each item sum to 1
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_matrix

from search.domains.sharding.constants import GIB
from search.domains.sharding.encode.items import Items
from search.domains.sharding.encode.plan import Plan
from search.domains.sharding.search.bound.groups import Groups
from search.domains.sharding.search.bound.multipliers import Multipliers

Piece = tuple[int, int]  # option, group


class Columns:
    """Covers of the items, as columns of the linear program."""

    def __init__(self, items: Items, groups: Groups) -> None:
        self._items, self._groups = items, groups
        pairs = list(zip(groups.embedding, groups.heads, strict=True))
        self._inner = [e @ h.inner.T for e, h in pairs]  # (O, J) each
        self._skip = [e @ h.skip for e, h in pairs]  # (O,) each
        self._seen: set[tuple[int, tuple[Piece, ...]]] = set()
        self._item: list[int] = []
        # One entry for each piece of each cover: the column, the option, the group.
        self._column: list[int] = []
        self._option: list[int] = []
        self._group: list[int] = []

    def add_plan(self, plan: Plan) -> None:
        """Add the covers of a plan, which must place all items."""
        options = self._items.options
        ways: dict[int, list[Piece]] = {}
        for option, device in zip(plan.option, plan.device, strict=True):
            ways.setdefault(int(options.item[option]), []).append(
                (int(option), int(self._groups.of_device[device]))
            )
        if len(ways) != len(self._items):
            raise ValueError(
                f"plan: expected all {len(self._items)} items, got {len(ways)}"
            )
        for item, pieces in ways.items():
            self._add(item, pieces)

    def add_whole(self) -> None:
        """Add every item unsplit, on every group that can hold it."""
        for g in range(len(self._groups)):
            for item in np.flatnonzero(self._groups.usable[g][self._items.whole]):
                self._add(int(item), [(int(self._items.whole[item]), g)])

    def add_cheapest(self, ways: list[list[int]], group: np.ndarray) -> bool:
        """Add a cover of each item, each option on its group; False when all were known."""
        before = len(self._item)
        for item, options in enumerate(ways):
            if options:
                self._add(item, [(o, int(group[o])) for o in options])
        return len(self._item) > before

    def _add(self, item: int, pieces: Iterable[Piece]) -> None:
        pieces = tuple(sorted(pieces))
        if (item, pieces) in self._seen:
            return
        self._seen.add((item, pieces))
        self._column += [len(self._item)] * len(pieces)
        self._option += [o for o, _ in pieces]
        self._group += [g for _, g in pieces]
        self._item.append(item)

    def solve(self, seconds: float) -> tuple[float, Multipliers] | None:
        """Return the program's value and multipliers; None when `seconds` do not suffice.

        Variables: the covers, then h (G, J), then T, E, N, F.
        """
        groups = self._groups
        count, joints = len(self._item), len(groups.heads[0].out)
        top = count + len(groups) * joints  # T; then E, N, F
        rows = _Rows(top + 4)
        self._compute_rows(rows, top)
        if len(groups) > 1:
            self._exchange_rows(rows, top)
            group, column, option = self._entries()
            memory = self._items.options.memory[option] / GIB
            rows.add(group, column, memory)
            rows.close(groups.room / GIB)
        matrix, limit = rows.build()
        cover = coo_matrix(
            (np.ones(count), (self._item, np.arange(count))),
            shape=(len(self._items), top + 4),
        ).tocsr()
        cost = np.zeros(top + 4)
        cost[top : top + 2] = 1.0
        least = (groups.near_least, groups.far_least)
        exchange = float((groups.forms @ np.array(least)).max())
        solved = linprog(
            cost,
            A_ub=matrix,
            b_ub=limit,
            A_eq=cover,
            b_eq=np.ones(len(self._items)),
            bounds=[
                *[(0.0, None)] * top,
                (None, None),
                (exchange, None),
                (least[0], None),
                (least[1], None),
            ],
            method="highs",
            options={"time_limit": max(seconds, 0.01)} if np.isfinite(seconds) else {},
        )
        if solved.status != 0:
            return None
        multipliers = self._multipliers(-solved.ineqlin.marginals, joints)
        return float(solved.fun) + groups.constant_ms, multipliers

    def _entries(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return group, column and option of every piece of every cover."""
        group, column, option = (
            np.array(values, dtype=np.int64)
            for values in (self._group, self._column, self._option)
        )
        return group, column, option

    def _compute_rows(self, rows: _Rows, top: int) -> None:
        """Add the rows of h and T for each group."""
        groups = self._groups
        group, column, option = self._entries()
        joints = len(groups.heads[0].out)
        for g, head in enumerate(groups.heads):
            at, shard = column[group == g], option[group == g]
            h = len(self._item) + g * joints + np.arange(joints)
            inner = self._inner[g][shard] / groups.count[g]  # (., J)
            rows.add(
                np.tile(np.arange(joints), len(at)), np.repeat(at, joints), inner.ravel()
            )
            rows.add(np.arange(joints), h, np.full(joints, -1.0))
            rows.close(-head.shift)
            rows.add(np.zeros(len(at)), at, self._skip[g][shard] / groups.count[g])
            rows.add(np.zeros(joints + 1), np.append(h, top), np.append(head.out, -1.0))
            rows.close(np.array([-head.bias]))

    def _exchange_rows(self, rows: _Rows, top: int) -> None:
        """Add the rows of E, and of N and F by what each group sends and receives."""
        groups = self._groups
        group, column, option = self._entries()
        dim = self._items.options.dim[option]
        forms, size = len(groups.forms), len(groups)
        for place in (0, 1):
            at = np.full(forms, top + 2 + place)
            rows.add(np.arange(forms), at, groups.forms[:, place])
        rows.add(np.arange(forms), np.full(forms, top + 1), np.full(forms, -1.0))
        rows.close(np.zeros(forms))
        for place, rate in enumerate((groups.near, groups.far)):
            at = np.full(size, top + 2 + place)
            rows.add(group, column, (rate / groups.count)[group] * dim)
            rows.add(np.arange(size), at, np.full(size, -1.0))
            rows.close(np.zeros(size))
        for place, rate in enumerate((groups.gets_near, groups.gets_far)):
            at = np.full(size, top + 2 + place)
            rows.add(group, column, -(rate / groups.parts)[group] * dim)
            rows.add(np.arange(size), at, np.full(size, -1.0))
            rows.close(-rate * groups.columns)

    def _multipliers(self, dual: np.ndarray, joints: int) -> Multipliers:
        """Split the duals of the rows into multipliers."""
        groups = self._groups
        size = len(groups)
        per_group = dual[: size * (joints + 1)].reshape(size, joints + 1)
        weight = np.maximum(per_group[:, joints], 0.0)
        out = np.array([head.out for head in groups.heads])
        slope = per_group[:, :joints] / np.maximum(
            out * np.maximum(weight, 1e-12)[:, None], 1e-15
        )
        least = groups.forms @ np.array([groups.near_least, groups.far_least])
        form = (np.arange(len(least)) == least.argmax()).astype(float)
        near = far = gets_near = gets_far = memory = np.zeros(size)
        if size > 1:
            rest = dual[size * (joints + 1) :]
            ends = np.cumsum([len(least), *[size] * 4])
            duals, near, far, gets_near, gets_far, memory = np.split(rest, ends)
            form = duals if duals.max() > 1e-9 else form
        return Multipliers(
            weight=weight,
            slope=slope,
            form=form,
            near=near,
            far=far,
            gets_near=gets_near,
            gets_far=gets_far,
            memory=memory,
        ).valid(groups)


class _Rows:
    """Rows of a sparse matrix, added block by block."""

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._count = 0
        self._parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._limits: list[np.ndarray] = []

    def add(self, row: np.ndarray, column: np.ndarray, value: np.ndarray) -> None:
        """Add entries of the current block; `row` counts from its first row."""
        self._parts.append((np.asarray(row, dtype=np.int64) + self._count, column, value))

    def close(self, limit: np.ndarray) -> None:
        """End the block with its rows <= `limit`."""
        self._limits.append(limit)
        self._count += len(limit)

    def build(self) -> tuple[object, np.ndarray]:
        """Return the matrix, in which duplicate entries add up, and its limits."""
        row, column, value = (
            np.concatenate(part) for part in zip(*self._parts, strict=True)
        )
        matrix = coo_matrix(
            (value, (row, column)), shape=(self._count, self._columns)
        ).tocsr()
        return matrix, np.concatenate(self._limits)
