"""Our search from beginning to end: starts → beam → local search → kicks → the oracle's choice."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from search.domains.sharding.encode.items import Items
from search.domains.sharding.encode.plan import Plan, fits, merged, plan_cost
from search.domains.sharding.search.beam import beam_search
from search.domains.sharding.search.deadlines import Stop, seconds_left
from search.domains.sharding.search.greedy import greedy_grid, paper_caps
from search.domains.sharding.search.level import fill, level_plans
from search.domains.sharding.search.local_search import Limits, LocalSearch
from search.domains.sharding.search.oracle import Oracle
from search.domains.sharding.search.packing import pack
from search.domains.sharding.search.plan_model import PlanModel
from search.domains.sharding.search.polish import polish
from search.domains.sharding.search.starts import (
    baseline_plans,
    forced_splits,
    pack_with_splits,
    split_heavy,
)
from trimtab.specs.sharding import BeamOptions


class NothingFits(Exception):
    """Proved by branch and bound: no plan respects memory and pins."""


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much to try. The defaults end by themselves; a budget only ends them sooner."""

    top: int = 8  # plans the oracle prices
    starts: int = 4  # plans local search begins from
    shares: tuple[float, ...] = (
        1.5,
        1.0,
        0.7,
        0.5,
        0.35,
    )  # of a mean device load: heavier shards are split for a start
    caps: int = 5  # dim caps tried for such a start
    pack_seconds: float = 10.0  # for branch and bound when the packers find no room
    patience: int = 2  # levels of the beam without a better plan
    slack: float = 0.01  # how much dearer than the model's best the oracle's choice may be under the model
    kicks: int = 12  # kicks in a row without a better plan before the search ends
    beam_shards: int = (
        220  # larger problems go without the beam: local search splits what pays
    )
    polish: int = 400  # oracle evaluations spent on one plan
    polished: int = 3  # plans polished, the model's best ones and the oracle's
    level_caps: tuple[float, ...] = (
        1.0,
        1.03,
        1.1,
    )  # most columns of a device in a level start, over the mean
    levelled: int = 8  # level starts the oracle prices
    fast: bool = False  # fewer level starts

    @classmethod
    def for_size(cls, shards: int, devices: int, kicks: int | None) -> Effort:
        """Less of what grows with the problem, so that planning stays a matter of seconds; `kicks` overrides."""
        size = shards * devices
        patient = min(12, 1_600 // size)
        kicks = patient if kicks is None else kicks
        if size < 400:
            return cls(kicks=kicks)
        if size < 2_000:
            return cls(
                starts=2, polished=1, shares=(1.0, 0.5), patience=1, polish=250, kicks=kicks
            )
        return cls(
            starts=2 if size < 50_000 else 1,
            polished=1,
            polish=250,
            kicks=kicks,
            fast=True,
            level_caps=(1.0, 1.05),
        )


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the search found."""

    plan: Plan
    model_ms: float
    model_best_ms: float  # of the plan the model likes best: what the certificate's search gap is about
    oracle_ms: float
    priced: int  # plans and steps the oracle priced
    steps: int  # local search steps taken
    kicks: int
    baselines_ms: dict[str, float | None] = field(
        default_factory=dict
    )  # by the oracle; None: did not fit


def search_plan(
    items: Items,
    model: PlanModel,
    oracle: Oracle,
    limits: Limits,
    beam: BeamOptions,
    rng: np.random.Generator,
    *,
    current: Plan | None,
    others: Callable[[], Mapping[str, Plan | None]],
    stop: Stop,
    effort: Effort,
    on_better: Callable[[Plan, float, str], object],
) -> Found | None:
    """The best plan by the oracle, never dearer than any baseline that fits; None when nothing fitted.

    `others` gives further planners' plans by name: starts and rivals like the baselines. Raises NothingFits with a proof.
    """
    pool = _Pool(items, model)
    baselines: dict[str, float | None] = {}
    known: dict[str, float] = {}  # other starts the oracle priced
    moving = np.isfinite(limits.moved)  # then every plan must come from the current one
    best_oracle = np.inf
    priced = 0

    def tell(plan: Plan, cost: float) -> None:
        nonlocal best_oracle
        if cost < best_oracle:
            best_oracle = cost
            on_better(plan, cost, plan.source)

    if current is not None and fits(items, current, limits.capacity):
        pool.add(current)
        tell(current, oracle.cost(current))
    if not moving:
        own = baseline_plans(items, oracle.arrays, limits.capacity, rng)
        rivals = itertools.chain(own, () if stop() else others().items())
        for name, rival in rivals:
            if pool.plans and stop():
                break
            baselines[name] = None
            if rival is not None:
                joined = merged(items, rival)
                baselines[name] = oracle.cost(joined)
                priced += 1
                pool.add(joined)
                tell(joined, baselines[name] or np.inf)
        start = forced_splits(items, limits.capacity)
        single = model.single.mean(0)
        slope = float(
            model.exchange.of_largest(np.array(1.0))
            - model.exchange.of_largest(np.array(0.0))
        )
        load = (
            single + slope * items.options.dim
        )  # what a shard adds to a device's step: compute and exchange
        packed = pack_with_splits(items, load, start, limits.capacity)
        if packed is None:
            packed = fill(items, load, limits.capacity, start, np.inf)
        if packed is None and not stop():
            packed, impossible = pack(
                items, limits.capacity, seconds=min(effort.pack_seconds, seconds_left(stop))
            )
            if impossible:
                raise NothingFits
        if packed is not None:
            pool.add(packed)
            tell(packed, oracle.cost(packed))
            splits = len(packed.option) - len(start)
            first = packed.option if splits else start
            if len(first) <= effort.beam_shards and not stop():
                for plan in beam_search(
                    items,
                    model,
                    first,
                    limits.capacity,
                    beam,
                    patience=effort.patience,
                    stop=stop,
                ).plans:
                    pool.add(plan)
            elif not stop():
                only = BeamOptions(levels=0, width=1, candidates=1, grid=beam.grid)
                for plan in beam_search(
                    items, model, first, limits.capacity, only, stop=stop
                ).plans:
                    pool.add(plan)
            levelled = _Pool(items, model)
            for plan in level_plans(
                items,
                load,
                limits.capacity,
                start,
                caps=effort.level_caps,
                fast=effort.fast,
            ):
                pool.add(plan)
                levelled.add(plan)
                if stop():
                    break
            for plan in levelled.best(effort.levelled) if not stop() else ():
                known[plan.source] = oracle.cost(plan)
                priced += 1
                tell(plan, known[plan.source])
        for share in effort.shares:
            if packed is None or stop():
                break
            split = split_heavy(items, single, packed.option, share, model.devices)
            if len(split) > len(packed.option):
                # The last cap is none: when memory is tight, dim sums cannot be even as well.
                caps = np.append(paper_caps(effort.caps), np.inf)
                graded = greedy_grid(
                    items, model, split[None], limits.capacity, caps, stop=stop
                )
                if np.isfinite(graded.cost[0]):
                    pool.add(Plan.of(split, graded.device[0], f"split {share:g}"))
                elif (
                    filled := pack_with_splits(items, load, split, limits.capacity)
                ) is not None:
                    pool.add(filled)
    if not pool.plans:
        return None

    steps = kicks = 0
    for plan in pool.best(effort.starts):
        if stop():
            break
        search = LocalSearch(items, model, plan, limits)
        search.descend(stop)
        steps += search.steps
        pool.add(search.plan)
        tell(search.plan, oracle.cost(search.plan))
        priced += 1
    idle = 0
    while idle < effort.kicks and not stop():
        base = pool.best(1)[0]
        search = LocalSearch(items, model, base, limits)
        before = pool.best_cost
        if moving:
            break  # kicks would spend the bytes that may move
        search.kick(rng, int(rng.integers(1, 5)))
        search.descend(stop)
        steps, kicks = steps + search.steps, kicks + 1
        pool.add(search.plan)
        idle = 0 if search.cost < before * (1 - 1e-6) else idle + 1
    best: Plan | None = None
    best_ms = np.inf
    dearest = pool.best_cost * (1 + effort.slack)
    for plan in pool.best(effort.top):
        if best is not None and (stop() or plan_cost(items, model, plan) > dearest):
            break
        cost = oracle.cost(plan)
        priced += 1
        tell(plan, cost)
        if cost < best_ms:
            best, best_ms = plan, cost
    known |= {name: cost for name, cost in baselines.items() if cost is not None}
    for plan in pool.named(
        known
    ):  # the portfolio: a baseline or a level plan that the oracle prefers is the answer
        if known[plan.source] < best_ms:
            best, best_ms = plan, known[plan.source]
    assert best is not None
    for start_plan in [best, *(p for p in pool.best(effort.polished) if p is not best)]:
        ceiling = max(dearest, plan_cost(items, model, start_plan))
        polished, polished_ms, used = polish(
            items,
            oracle,
            start_plan,
            limits,
            rng,
            evaluations=effort.polish,
            allowed=lambda plan, ceiling=ceiling: plan_cost(items, model, plan) <= ceiling,  # type: ignore[misc]
            stop=stop,
        )
        priced += used
        if polished_ms < best_ms:
            best, best_ms = polished, polished_ms
            tell(best, best_ms)
    return Found(
        plan=best,
        model_ms=plan_cost(items, model, best),
        model_best_ms=pool.best_cost,
        oracle_ms=best_ms,
        priced=priced,
        steps=steps,
        kicks=kicks,
        baselines_ms=baselines,
    )


class _Pool:
    """Distinct plans by the model's cost, with one shard of a table on a device: TorchRec wants equal widths there."""

    def __init__(self, items: Items, model: PlanModel) -> None:
        self._items, self._model = items, model
        self._seen: set[bytes] = set()
        self.plans: list[tuple[float, int, Plan]] = []

    def add(self, plan: Plan) -> None:
        plan = merged(self._items, plan)
        order = np.lexsort((plan.device, plan.option))
        key = plan.option[order].tobytes() + plan.device[order].tobytes()
        if key not in self._seen:
            self._seen.add(key)
            self.plans.append(
                (plan_cost(self._items, self._model, plan), len(self.plans), plan)
            )

    def best(self, count: int) -> list[Plan]:
        return [
            plan for _, _, plan in sorted(self.plans, key=lambda entry: entry[:2])[:count]
        ]

    @property
    def best_cost(self) -> float:
        return min(cost for cost, _, _ in self.plans)

    def named(self, names: object) -> list[Plan]:
        wanted = set(names)  # type: ignore[call-overload]
        return [plan for _, _, plan in self.plans if plan.source in wanted]


def deadline(seconds: float) -> Stop:
    """True once `seconds` have passed."""
    until = time.monotonic() + seconds
    return lambda: time.monotonic() >= until
