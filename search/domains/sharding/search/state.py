"""State of one search: its inputs, the pool of plans, and the figures its phases collect."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from search.domains.sharding.encode.items import Items
from search.domains.sharding.encode.plan import Plan, merged
from search.domains.sharding.search.deadlines import Stop
from search.domains.sharding.search.loads import plan_cost
from search.domains.sharding.search.oracle import Oracle
from search.domains.sharding.search.plan_model import PlanModel
from search.domains.sharding.search.starts import forced_splits
from search.domains.sharding.search.working_plan import Limits
from trimtab.specs.sharding import BeamOptions


@dataclass(frozen=True, kw_only=True)
class Effort:
    """Limits on how much each phase tries.

    With the defaults every phase ends by itself; a budget only ends it sooner.
    """

    top: int = 8  # plans the oracle prices
    starts: int = 4  # plans local search begins from
    # Shards that cost more than this share of a mean device load are split for a start.
    shares: tuple[float, ...] = (1.5, 1.0, 0.7, 0.5, 0.35)
    caps: int = 5  # dim caps tried for such a start
    pack_seconds: float = 10.0  # for branch and bound when the packers find no room
    patience: int = 2  # levels of the beam without a better plan
    # Model cost of the oracle's choice, relative to the model's best plan.
    slack: float = 0.01
    kicks: int = 12  # kicks in a row without a better plan before the search ends
    beam_shards: int = 220  # larger problems skip the beam: local search splits what pays
    polish: int = 400  # oracle evaluations spent on one plan
    polished: int = 3  # model's best plans that are polished, with the oracle's choice
    # Most columns of a device in a level start, relative to the mean.
    level_caps: tuple[float, ...] = (1.0, 1.03, 1.1)
    levelled: int = 8  # level starts the oracle prices
    fast: bool = False  # fewer level starts

    @classmethod
    def for_size(cls, shards: int, devices: int, kicks: int | None) -> Effort:
        """Reduce the effort of phases that grow with the problem; `kicks` overrides theirs.

        Planning then stays a matter of seconds.
        """
        size = shards * devices
        patient = min(12, 1_600 // size)
        kicks = patient if kicks is None else kicks
        if size < 400:
            return cls(kicks=kicks)
        if size < 2_000:
            return cls(
                starts=2,
                polished=1,
                shares=(1.0, 0.5),
                patience=1,
                polish=250,
                kicks=kicks,
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
class SearchInputs:
    """Job, models, limits and effort of one search."""

    items: Items
    model: PlanModel
    oracle: Oracle
    limits: Limits
    beam: BeamOptions
    current: Plan | None  # the plan in use; it may not fit
    effort: Effort


class PlanPool:
    """Distinct plans with their model cost.

    Each holds one shard of a table per device, because TorchRec expects equal widths there.
    """

    def __init__(self, items: Items, model: PlanModel) -> None:
        self._items, self._model = items, model
        self._seen: set[bytes] = set()
        self.plans: list[
            tuple[float, int, Plan]
        ] = []  # model cost, sequence number, plan

    def add(self, plan: Plan) -> None:
        """Add a plan unless the pool has it."""
        plan = merged(self._items, plan)
        order = np.lexsort((plan.device, plan.option))
        key = plan.option[order].tobytes() + plan.device[order].tobytes()
        if key not in self._seen:
            self._seen.add(key)
            cost = plan_cost(self._items, self._model, plan)
            self.plans.append((cost, len(self.plans), plan))

    def best(self, count: int) -> list[Plan]:
        """Return the `count` cheapest plans, cheapest first."""
        ranked = sorted(self.plans, key=lambda entry: entry[:2])
        return [plan for _, _, plan in ranked[:count]]

    @property
    def best_cost(self) -> float:
        """Model cost of the cheapest plan."""
        return min(cost for cost, _, _ in self.plans)

    def from_sources(self, sources: Collection[str]) -> list[Plan]:
        """Return the plans made by any of `sources`, in the order they were added."""
        return [plan for _, _, plan in self.plans if plan.source in sources]


@dataclass(kw_only=True)
class SearchState:
    """Inputs of a search and the results of the phases so far."""

    inputs: SearchInputs
    rng: np.random.Generator
    stop: Stop
    on_better: Callable[[Plan, float, str], object]  # plan, oracle milliseconds, source
    pool: PlanPool = field(init=False)
    best_reported_ms: float = np.inf
    # None: did not fit.
    baselines_ms: dict[str, float | None] = field(default_factory=dict)
    # Level starts, by the oracle.
    level_ms: dict[str, float] = field(default_factory=dict)
    packed: Plan | None = None  # a plan that fits, from `pack`
    best: Plan | None = None  # the oracle's choice, from `choose`
    best_ms: float = np.inf  # its oracle cost
    oracle_evaluations: int = 0
    steps: int = 0  # of the local search
    kicks: int = 0

    def __post_init__(self) -> None:
        self.pool = PlanPool(self.inputs.items, self.inputs.model)

    @cached_property
    def forced(self) -> np.ndarray:
        """Options (S,) after halving the shards that no device can hold."""
        return forced_splits(self.inputs.items, self.inputs.limits.capacity)

    @cached_property
    def option_load(self) -> np.ndarray:
        """Milliseconds (O,) each option adds to a device's step: compute and exchange."""
        model = self.inputs.model
        exchange = model.exchange
        per_column = float(
            exchange.of_largest(np.array(1.0)) - exchange.of_largest(np.array(0.0))
        )
        return np.asarray(
            model.single.mean(0) + per_column * self.inputs.items.options.dim
        )

    @property
    def moves_limited(self) -> bool:
        """True when moved bytes are limited; then every plan must come from the current one."""
        return bool(np.isfinite(self.inputs.limits.moved))

    @property
    def model_ceiling_ms(self) -> float:
        """Largest model cost at which the oracle's preference decides."""
        return self.pool.best_cost * (1 + self.inputs.effort.slack)

    def oracle_cost(self, plan: Plan) -> float:
        """Price a plan by the oracle, count the evaluation, and report the plan if it is better."""
        cost = self.inputs.oracle.cost(plan)
        self.oracle_evaluations += 1
        self.report(plan, cost)
        return cost

    def report(self, plan: Plan, cost: float) -> None:
        """Pass a plan on when the oracle prices it below every plan reported before."""
        if cost < self.best_reported_ms:
            self.best_reported_ms = cost
            self.on_better(plan, cost, plan.source)

    def model_cost(self, plan: Plan) -> float:
        """Return the plan's milliseconds under the model."""
        return plan_cost(self.inputs.items, self.inputs.model, plan)
