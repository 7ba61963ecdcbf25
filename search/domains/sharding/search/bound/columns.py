"""The linear program behind the bound: mixtures of ways to cut and place each item, generated as they are needed.

min T + E    T >= bias + skip_g z_g + out_g h_g,   h_g >= inner_g z_g + shift_g,   h_g >= 0,   z_g = mean of group g
             E >= forms (N, F),   N, F >= what the mean device of g sends or receives, and what must be sent anyway
             memory of g <= its room,   the ways of each item sum to 1
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
    """Ways to cut and place items, as columns of the linear program."""

    def __init__(self, items: Items, groups: Groups) -> None:
        self._items, self._groups = items, groups
        self._inner = [
            e @ h.inner.T for e, h in zip(groups.embedding, groups.heads, strict=True)
        ]  # (O, J) each
        self._skip = [
            e @ h.skip for e, h in zip(groups.embedding, groups.heads, strict=True)
        ]  # (O,) each
        self._seen: set[tuple[int, tuple[Piece, ...]]] = set()
        self._item: list[int] = []
        # One entry for each piece of each way: the column, the option, the group.
        self._column: list[int] = []
        self._option: list[int] = []
        self._group: list[int] = []

    def add_plan(self, plan: Plan) -> None:
        """The ways of a plan, which covers all items."""
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
        """Every item unsplit, on every group that can hold it."""
        for g in range(len(self._groups)):
            for item in np.flatnonzero(self._groups.usable[g][self._items.whole]):
                self._add(int(item), [(int(self._items.whole[item]), g)])

    def add_cheapest(self, ways: list[list[int]], group: np.ndarray) -> bool:
        """A way for each item, each option on its group; False when all were there."""
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
        """The program's value over the ways so far, and its multipliers; None when `seconds` do not do."""
        groups, options = self._groups, self._items.options
        n, size, joints = len(self._item), len(groups), len(groups.heads[0].out)
        several = size > 1
        hidden = n  # first of the h; then T, E, N, F
        top = n + size * joints
        rows = _Rows(top + 4)
        column, option, group = (
            np.array(v, dtype=np.int64) for v in (self._column, self._option, self._group)
        )
        for g, head in enumerate(groups.heads):
            mine = group == g
            at, which = column[mine], option[mine]
            h = hidden + g * joints + np.arange(joints)
            inner = self._inner[g][which] / groups.count[g]  # (., J)
            rows.add(
                np.tile(np.arange(joints), len(at)), np.repeat(at, joints), inner.ravel()
            )
            rows.add(np.arange(joints), h, np.full(joints, -1.0))
            rows.close(-head.shift)
            rows.add(np.zeros(len(at)), at, self._skip[g][which] / groups.count[g])
            rows.add(np.zeros(joints + 1), np.append(h, top), np.append(head.out, -1.0))
            rows.close(np.array([-head.bias]))
        if several:
            forms = len(groups.forms)
            for place in (0, 1):
                rows.add(
                    np.arange(forms),
                    np.full(forms, top + 2 + place),
                    groups.forms[:, place],
                )
            rows.add(np.arange(forms), np.full(forms, top + 1), np.full(forms, -1.0))
            rows.close(np.zeros(forms))
            for place, rate in enumerate((groups.near, groups.far)):
                rows.add(group, column, (rate / groups.count)[group] * options.dim[option])
                rows.add(
                    np.arange(size), np.full(size, top + 2 + place), np.full(size, -1.0)
                )
                rows.close(np.zeros(size))
            for place, rate in enumerate((groups.gets_near, groups.gets_far)):
                rows.add(group, column, -(rate / groups.parts)[group] * options.dim[option])
                rows.add(
                    np.arange(size), np.full(size, top + 2 + place), np.full(size, -1.0)
                )
                rows.close(-rate * groups.columns)
            rows.add(group, column, options.memory[option] / GIB)
            rows.close(groups.room / GIB)
        cost = np.zeros(top + 4)
        cost[top : top + 2] = 1.0
        least = [groups.near_least, groups.far_least]
        exchange = float((groups.forms @ np.array(least)).max())
        bounds = [(0.0, None)] * top + [
            (None, None),
            (exchange, None),
            (least[0], None),
            (least[1], None),
        ]
        matrix, limit = rows.build()
        cover = coo_matrix(
            (np.ones(n), (self._item, np.arange(n))), shape=(len(self._items), top + 4)
        ).tocsr()
        solved = linprog(
            cost,
            A_ub=matrix,
            b_ub=limit,
            A_eq=cover,
            b_eq=np.ones(len(self._items)),
            bounds=bounds,
            method="highs",
            options={"time_limit": max(seconds, 0.01)} if np.isfinite(seconds) else {},
        )
        if solved.status != 0:
            return None
        return float(solved.fun) + groups.constant_ms, self._multipliers(
            -solved.ineqlin.marginals, joints, several
        )

    def _multipliers(self, dual: np.ndarray, joints: int, several: bool) -> Multipliers:
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
        if several:
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
        """Entries of the block in progress; `row` counts from its first row."""
        self._parts.append((np.asarray(row, dtype=np.int64) + self._count, column, value))

    def close(self, limit: np.ndarray) -> None:
        """End the block: its rows are <= `limit`."""
        self._limits.append(limit)
        self._count += len(limit)

    def build(self) -> tuple[object, np.ndarray]:
        """The matrix (entries of one place add up) and its limits."""
        row, column, value = (
            np.concatenate(part) for part in zip(*self._parts, strict=True)
        )
        matrix = coo_matrix(
            (value, (row, column)), shape=(self._count, self._columns)
        ).tocsr()
        return matrix, np.concatenate(self._limits)
