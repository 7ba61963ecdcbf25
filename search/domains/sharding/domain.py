"""Kind `sharding`: read the tables, search with the learned model, let the oracle choose, prove how good it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cost_models.sharding.problem import TableArrays
from search.domains.sharding.encode.items import GIB
from search.domains.sharding.encode.plan import Plan, fits, merged, plan_cost
from search.domains.sharding.parse.current_plan import least_moving_plan, moved_bytes
from search.domains.sharding.parse.problem import (
    Setup,
    ShardingProblem,
    parse,
    set_up,
    to_shards,
)
from search.domains.sharding.produce.diff import diff_plans
from search.domains.sharding.produce.files import produce
from search.domains.sharding.resume import SOURCE, from_bytes, plan_of, to_bytes
from search.domains.sharding.search.bound import exact
from search.domains.sharding.search.bound.certificate import Certificate, prove
from search.domains.sharding.search.deadlines import Until, deadlines
from search.domains.sharding.search.infeasible import prove_infeasible
from search.domains.sharding.search.local_search import Limits
from search.domains.sharding.search.models import Models
from search.domains.sharding.search.neuroshard import PAPER_BATCH, PAPER_DEVICES, neuroshard
from search.domains.sharding.search.oracle import Oracle, members_of
from search.domains.sharding.search.plan_model import (
    LearnedExchange,
    PlanModel,
    certified_model,
    embed_in_parts,
)
from search.domains.sharding.search.planner import Effort, Found, NothingFits, search_plan
from search.domains.sharding.verify import verify_plan
from search.stop import StoppingCriterion
from search.types import Extra, InvalidInput, OnIncumbent, Produced, SearchOutcome
from trimtab.certificates import statement
from trimtab.results import Incumbent, Reason, Termination, Verification
from trimtab.specs.sharding import (
    MAX_DEVICES,
    DeviceGroup,
    Method,
    PlanShard,
    ShardingSpec,
    Table,
)

_PUBLISHED_SIZE = (
    700  # items x devices; beyond, its full beam takes longer than all the rest
)
_REPAIR_S = 5.0  # for the plan that moves least, where the plan in use no longer fits
_LOOSE = 0.005  # a gap below this is not worth branch and bound
_LEAST_PROOF_S = 0.2


@dataclass(frozen=True, kw_only=True)
class ShardingSolution:
    """What the search claims."""

    shards: tuple[PlanShard, ...]
    cost_ms: float  # by the oracle


class ShardingDomain:
    """Models come from outside; `build` gives the shipped ones."""

    packages = ("scipy", "safetensors")

    def __init__(self, models: Models) -> None:
        self._models = models

    def parse(
        self, spec: ShardingSpec, inputs: Mapping[str, Path], workdir: Path
    ) -> ShardingProblem:
        """Raises InvalidInput."""
        problem = parse(spec, inputs)
        if spec.method is Method.NEUROSHARD:
            _check_paper_mode(spec, problem.tables)
        return problem

    def encode(self, problem: ShardingProblem) -> Setup:
        """Reuse of every table in a batch, the ways each can be split, the devices."""
        spec = problem.spec
        began = time.monotonic()
        arrays = TableArrays.of(
            problem.tables, batch=spec.global_batch, optimizer=spec.optimizer
        )
        return replace(set_up(problem, arrays, spec), read_s=time.monotonic() - began)

    def search(
        self,
        problem: ShardingProblem,
        encoding: Setup,
        stop: StoppingCriterion,
        rng: np.random.Generator,
        on_incumbent: OnIncumbent,
        start: ShardingSolution | None = None,
    ) -> SearchOutcome:
        """The plan, its certificate, and what other numbers of devices would cost."""
        began = time.monotonic()
        if (proof := prove_infeasible(encoding)) is not None:
            return SearchOutcome(
                termination=Termination(reason=Reason.INFEASIBLE, detail=proof.argument),
                solution=None,
                objective=None,
                bound=None,
                summary={
                    "missing_gib": proof.missing_bytes / GIB,
                    "tables": list(proof.tables),
                },
            )
        if moved_budget(problem.spec, encoding) < 0:
            return _must_move_more(problem.spec, encoding)
        priced = time.monotonic()
        model = self._certified(encoding)
        ends, proof_ends = deadlines(
            stop, read_s=encoding.read_s, model_s=time.monotonic() - priced
        )
        oracle = _oracle(encoding)

        def tell(plan: Plan, cost: float, source: str) -> None:
            on_incumbent(
                Incumbent(elapsed_s=0.0, objective=cost, source=source),
                lambda: ShardingSolution(shards=to_shards(encoding, plan), cost_ms=cost),
            )

        try:
            if problem.spec.method is Method.NEUROSHARD:
                found = self._as_published(
                    problem.spec, encoding, model, oracle, ends, tell
                )
            else:
                found = search_with(
                    problem.spec,
                    encoding,
                    model,
                    oracle,
                    rng,
                    ends,
                    tell,
                    models=self._models,
                    start=None if start is None else plan_of(encoding, start.shards),
                )
        except NothingFits:
            return _impossible(problem, encoding)
        if found is None:
            return _nothing_found(stop)
        certificate = prove(
            encoding.items, model, encoding.capacity, found.plan, stop=proof_ends
        )
        found, certificate = _tightened(
            problem.spec, encoding, model, oracle, found, certificate, proof_ends, tell
        )
        summary = _summary(problem, encoding, found, certificate, time.monotonic() - began)
        summary["interval_ms"] = self._models.interval(
            member_costs(self._models, encoding, found.plan),
            float(encoding.arrays.dim.mean()),
        )
        if problem.spec.what_if:
            summary["what_if"] = self._what_if(problem, encoding.arrays, rng, proof_ends)
        return SearchOutcome(
            termination=_termination(stop, found, certificate),
            solution=ShardingSolution(
                shards=to_shards(encoding, found.plan), cost_ms=found.oracle_ms
            ),
            objective=found.oracle_ms,
            bound=None,  # the certificate bounds the model's cost, which is another number: see the summary
            summary=summary,
            weights=self._models.digests,
        )

    def verify(self, problem: ShardingProblem, solution: ShardingSolution) -> Verification:
        """By counting, and by the oracle from the plan's own rows."""
        return verify_plan(problem, solution.shards, solution.cost_ms)

    def produce(
        self, problem: ShardingProblem, solution: ShardingSolution, workdir: Path
    ) -> list[Produced | Extra]:
        """plan.json, plan.svg, and the difference from the current plan."""
        return produce(problem, solution.shards, solution.cost_ms, workdir)

    def keep(self, problem: ShardingProblem, solution: ShardingSolution) -> bytes:
        """Shards and cost, as JSON."""
        return to_bytes(solution.shards, solution.cost_ms)

    def restore(self, problem: ShardingProblem, data: bytes) -> SearchOutcome:
        """The plan again. Raises ValueError, KeyError or TypeError."""
        shards, cost_ms = from_bytes(data)
        return SearchOutcome(
            termination=Termination(reason=Reason.FEASIBLE, detail="restored"),
            solution=ShardingSolution(shards=shards, cost_ms=cost_ms),
            objective=cost_ms,
            bound=None,
            summary={
                "tables": len(problem.tables),
                "tables_with_assumed_access": problem.assumed,
                "devices": problem.spec.device_count,
                "shards": len(shards),
            },
            weights=self._models.digests,
        )

    def _certified(self, setup: Setup) -> PlanModel:
        models = self._models
        return certified_model(
            setup.items,
            setup.arrays,
            setup.profiles,
            setup.fabric,
            models.compute,
            models.exchange,
        )

    def _as_published(
        self,
        spec: ShardingSpec,
        setup: Setup,
        model: PlanModel,
        oracle: Oracle,
        ends: Callable[[], bool],
        tell: Callable[[Plan, float, str], object],
    ) -> Found | None:
        paper = self._models.paper(
            setup.items, setup.arrays, spec.devices[0].hardware, spec.device_count
        )
        found = neuroshard(
            setup.items,
            paper,
            setup.capacity,
            spec.beam,
            stop=ends,
            on_best=lambda p, c: tell(p, oracle.cost(p), p.source),
        )
        if found.best is None:
            return None
        plan = merged(setup.items, found.best)
        mine = plan_cost(setup.items, model, plan)
        cost = oracle.cost(plan)
        return Found(
            plan=plan,
            model_ms=mine,
            model_best_ms=mine,
            oracle_ms=cost,
            priced=found.graded,
            steps=0,
            kicks=0,
        )

    def _what_if(
        self,
        problem: ShardingProblem,
        arrays: TableArrays,
        rng: np.random.Generator,
        ends: Callable[[], bool],
    ) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for count in problem.spec.what_if:
            spec = _with_devices(problem.spec, count)
            if isinstance(spec, str):
                rows.append({"devices": count, "cost_ms": None, "note": spec})
                continue
            setup = set_up(problem, arrays, spec)
            if (proof := prove_infeasible(setup)) is not None:
                rows.append({"devices": count, "cost_ms": None, "note": proof.argument})
                continue
            model = self._certified(setup)
            try:
                found = search_with(
                    spec,
                    setup,
                    model,
                    _oracle(setup),
                    rng,
                    ends,
                    lambda plan, cost, source: None,
                    models=self._models,
                )
            except NothingFits:
                found = None
            if found is None:
                rows.append(
                    {
                        "devices": count,
                        "cost_ms": None,
                        "note": "no plan fits, or none was found in the time left",
                    }
                )
                continue
            bound = prove(
                setup.items, model, setup.capacity, found.plan, stop=ends
            ).lower_bound_ms
            rows.append(
                {
                    "devices": count,
                    "cost_ms": found.oracle_ms,
                    "gap": _gap(found.model_ms, bound),
                    "note": "",
                }
            )
        return rows


def _tightened(
    spec: ShardingSpec,
    setup: Setup,
    model: PlanModel,
    oracle: Oracle,
    found: Found,
    certificate: Certificate,
    ends: Until,
    tell: Callable[[Plan, float, str], object],
) -> tuple[Found, Certificate]:
    """Branch and bound on a small job whose bound is loose: a better bound, and its plan where the oracle likes it better."""
    seconds = min(spec.proof_seconds, 0.5 * ends.left_s())
    loose = _gap(found.model_best_ms, certificate.lower_bound_ms) > _LOOSE
    apart = spec.method is Method.NEUROSHARD or spec.constraints.max_moved_gib is not None
    if (
        seconds < _LEAST_PROOF_S
        or not loose
        or apart
        or not exact.is_small(setup.items, model)
        or ends()
    ):
        return found, certificate
    solved = exact.solve(setup.items, model, setup.capacity, seconds=seconds, stop=ends)
    if solved is None:
        return found, certificate
    if solved.lower_bound_ms > certificate.lower_bound_ms:
        certificate = replace(
            certificate,
            lower_bound_ms=solved.lower_bound_ms,
            method=f"branch and bound ({solved.solver})"
            + (", closed" if solved.optimal else ""),
            multipliers=(),
        )
    # A plan cut off by the clock would make equal seeds give different answers; a closed one is always the same.
    if (
        solved.optimal
        and solved.plan is not None
        and fits(setup.items, solved.plan, setup.capacity)
    ):
        plan = merged(setup.items, solved.plan)
        mine, cost = plan_cost(setup.items, model, plan), oracle.cost(plan)
        found = replace(found, model_best_ms=min(found.model_best_ms, mine))
        if cost < found.oracle_ms:
            found = replace(found, plan=plan, model_ms=mine, oracle_ms=cost)
            tell(plan, cost, plan.source)
    return found, certificate


def search_with(
    spec: ShardingSpec,
    setup: Setup,
    model: PlanModel,
    oracle: Oracle,
    rng: np.random.Generator,
    ends: Callable[[], bool],
    tell: Callable[[Plan, float, str], object],
    *,
    models: Models,
    start: Plan | None = None,
) -> Found | None:
    """The search of one setup, with the effort its size allows. NeuroShard's own plan is a rival where its nets apply."""
    earlier = {} if start is None else {SOURCE: start}
    limits = Limits(
        capacity=setup.capacity,
        moved=moved_budget(spec, setup),
        home_device=setup.home_device,
    )
    return search_plan(
        setup.items,
        model,
        oracle,
        limits,
        spec.beam,
        rng,
        current=_start(setup, limits),
        others=lambda: {**earlier, **_published(spec, setup, models, ends)},
        stop=ends,
        effort=Effort.for_size(len(setup.items), spec.device_count, spec.kicks),
        on_better=tell,
    )


def moved_budget(spec: ShardingSpec, setup: Setup) -> float:
    """Bytes that the search may move away from home; negative when what must move exceeds the limit."""
    limit = spec.constraints.max_moved_gib
    return (
        np.inf
        if limit is None or setup.in_use is None
        else setup.in_use.budget(limit * GIB)
    )


def _start(setup: Setup, limits: Limits) -> Plan | None:
    """The plan in use; with a limit on moved bytes, where it no longer fits, the plan that fits and moves least."""
    current = setup.current
    if (
        current is None
        or not np.isfinite(limits.moved)
        or fits(setup.items, current, setup.capacity)
    ):
        return current
    assert setup.home_device is not None
    repaired = least_moving_plan(
        setup.items, current, setup.home_device, setup.capacity, seconds=_REPAIR_S
    )
    if repaired is None or moved_bytes(
        setup.items, repaired, setup.home_device
    ) > limits.moved * (1 + 1e-12):
        return None
    return repaired


def member_costs(models: Models, setup: Setup, plan: Plan) -> list[float]:
    """What each member of the ensemble says a plan costs, the certified model first.  # milliseconds

    Only the shards of the plan are priced: all options would take as long again for each member.
    """
    arrays, devices = setup.arrays, len(setup.profiles)
    table, width, owner = members_of(setup.items, plan.option)
    device = plan.device[owner]
    exchange = LearnedExchange(net=models.exchange, fabric=setup.fabric, batch=arrays.batch)
    exchange_ms = float(
        exchange(
            np.bincount(device, weights=width * arrays.features[table], minlength=devices)
        )
    )
    costs = []
    for net in (models.compute, *models.ensemble):
        slowest = 0.0
        for profile in {p.name: p for p in setup.profiles}.values():
            here = np.array([p.name == profile.name for p in setup.profiles])[device]
            if here.any():
                used, place = np.unique(device[here], return_inverse=True)
                vectors = embed_in_parts(net, arrays, table[here], width[here], profile)
                pooled = np.zeros((len(used), vectors.shape[1]))
                np.add.at(pooled, place.reshape(-1), vectors)
                slowest = max(slowest, float(net.head(profile)(pooled).max()))
        costs.append(slowest + exchange_ms)
    return costs


def _published(
    spec: ShardingSpec, setup: Setup, models: Models, ends: Callable[[], bool]
) -> dict[str, Plan | None]:
    """NeuroShard's plan, when the job is one its networks were trained for and small enough to be quick."""
    if (
        paper_mode_faults(spec, setup.tables)
        or len(setup.items) * spec.device_count > _PUBLISHED_SIZE
    ):
        return {}
    paper = models.paper(
        setup.items, setup.arrays, spec.devices[0].hardware, spec.device_count
    )
    found = neuroshard(
        setup.items,
        paper,
        setup.capacity,
        spec.beam,
        stop=ends,
        on_best=lambda plan, cost: None,
    )
    return {
        "neuroshard": found.best
        if found.best is None
        else replace(found.best, source="neuroshard")
    }


def _oracle(setup: Setup) -> Oracle:
    return Oracle(
        items=setup.items, arrays=setup.arrays, profiles=setup.profiles, fabric=setup.fabric
    )


def _gap(cost: float, bound: float) -> float:
    return max(0.0, 1 - bound / cost)


def _termination(
    stop: StoppingCriterion, found: Found, certificate: Certificate
) -> Termination:
    detail = statement(found.model_ms, certificate.lower_bound_ms)
    if stop.limit is not None:
        return Termination(reason=Reason.FEASIBLE, limit=stop.limit, detail=detail)
    return Termination(reason=Reason.COMPLETED, detail=detail)


def _nothing_found(stop: StoppingCriterion) -> SearchOutcome:
    return SearchOutcome(
        termination=Termination(
            reason=Reason.NO_SOLUTION_FOUND,
            limit=stop.limit,
            detail="no plan that fits was found, and none was proved impossible; give more memory, allow narrower shards "
            "(min_shard_dim), or relax pins and the bound on moved bytes",
        ),
        solution=None,
        objective=None,
        bound=None,
    )


def _must_move_more(spec: ShardingSpec, setup: Setup) -> SearchOutcome:
    """The constraints alone move more of the plan in use than the limit."""
    assert setup.in_use is not None
    need = setup.in_use.forced_bytes / GIB
    detail = (
        f"constraints.max_moved_gib: {spec.constraints.max_moved_gib:g} GiB may move, but {need:.3f} GiB of current_plan "
        "must, for devices that are gone and to join what pin, together, no_split and min_shard_dim want together. "
        f"Give at least {need * 1.001 + 0.001:.3f}, or drop those constraints"
    )
    return SearchOutcome(
        termination=Termination(reason=Reason.NO_SOLUTION_FOUND, detail=detail),
        solution=None,
        objective=None,
        bound=None,
        summary={"must_move_gib": need},
    )


def _impossible(problem: ShardingProblem, setup: Setup) -> SearchOutcome:
    """In all there is memory enough, but no way to cut and place the tables in it."""
    options = setup.items.options
    need, room = float(options.memory[setup.items.whole].sum()), float(setup.capacity.sum())
    detail = (
        f"{len(problem.tables)} tables take {need / GIB:.2f} GiB and {len(setup.capacity)} devices have {room / GIB:.2f} GiB, "
        "but branch and bound proved that no placement respects every device's memory with the pins, groups and shard widths "
        "allowed; give some more memory, a smaller min_shard_dim, or drop no_split, together or pin of the largest tables"
    )
    largest = np.argsort(-options.memory[setup.items.whole], kind="stable")[:5]
    names = [problem.tables[t].name for i in largest for t in setup.items.members[i]]
    return SearchOutcome(
        termination=Termination(reason=Reason.INFEASIBLE, detail=detail),
        solution=None,
        objective=None,
        bound=None,
        summary={"tables": names},
    )


def _summary(
    problem: ShardingProblem,
    setup: Setup,
    found: Found,
    certificate: Certificate,
    seconds: float,
) -> dict[str, Any]:
    spec = problem.spec
    split = len(found.plan.option) - len(setup.items)
    return {
        "tables": len(problem.tables),
        "tables_with_assumed_access": problem.assumed,
        "devices": spec.device_count,
        "shards": len(to_shards(setup, found.plan)),
        "splits": split,
        "found_by": found.plan.source,
        "planning_s": seconds,
        "oracle": f"simulated {', '.join(dict.fromkeys(p.name for p in setup.profiles))}",
        "certificate": {
            "model_ms": found.model_ms,
            "model_best_ms": found.model_best_ms,
            "lower_bound_ms": certificate.lower_bound_ms,
            "gap": _gap(found.model_ms, certificate.lower_bound_ms),
            "search_gap": _gap(found.model_best_ms, certificate.lower_bound_ms),
            "statement": statement(found.model_ms, certificate.lower_bound_ms),
            "method": certificate.method,
            "multipliers": list(certificate.multipliers),
        },
        **_in_use_summary(problem, setup, found),
        "baselines": [
            {"planner": name, "cost_ms": cost} for name, cost in found.baselines_ms.items()
        ],
        "search": {
            "oracle_evaluations": found.priced,
            "local_steps": found.steps,
            "kicks": found.kicks,
        },
    }


def _in_use_summary(problem: ShardingProblem, setup: Setup, found: Found) -> dict[str, Any]:
    """Moved bytes, and tables and devices of the plan in use that are gone or new; empty without such a plan."""
    in_use = setup.in_use
    if in_use is None:
        return {}
    diff = diff_plans(
        problem.tables, problem.spec.constraints.current_plan, to_shards(setup, found.plan)
    )
    return {
        "current_plan": {
            "moved_gib": diff.moved_bytes / GIB,
            "must_move_gib": in_use.unavoidable_bytes / GIB,
            "dropped_tables": list(in_use.dropped_tables),
            "lost_devices": list(in_use.lost_devices),
            "new_tables": list(in_use.new_tables),
        }
    }


def _with_devices(spec: ShardingSpec, count: int) -> ShardingSpec | str:
    """The job on `count` devices of the first group's sort, or why that makes no sense."""
    first = spec.devices[0]
    per_node = spec.fabric.devices_per_node
    if per_node is not None and count > per_node and count % per_node:
        return f"{count} devices are not whole nodes of {per_node}"
    rules = spec.constraints
    if any(max(pin.devices) >= count for pin in rules.pin):
        return f"a table is pinned to a device beyond {count - 1}"
    fabric = spec.fabric
    if per_node is not None and count < per_node:
        fabric = fabric.model_copy(update={"devices_per_node": None})
    group = DeviceGroup(
        count=min(count, MAX_DEVICES), memory_gib=first.memory_gib, hardware=first.hardware
    )
    fresh = rules.model_copy(update={"current_plan": (), "max_moved_gib": None})
    return spec.model_copy(
        update={"devices": (group,), "fabric": fabric, "constraints": fresh, "what_if": ()}
    )


def paper_mode_faults(spec: ShardingSpec, tables: Sequence[Table]) -> list[str]:
    """Why the published networks do not apply to a job; empty when they do."""
    rules = spec.constraints
    wrong = {
        f"devices: {spec.device_count}, wanted {' or '.join(map(str, PAPER_DEVICES))}": spec.device_count
        not in PAPER_DEVICES,
        "devices: several sorts, wanted one": len({g.hardware for g in spec.devices}) > 1,
        f"global_batch: {spec.global_batch}, wanted {PAPER_BATCH}": spec.global_batch
        != PAPER_BATCH,
        "fabric.devices_per_node: several nodes, wanted one": spec.fabric.devices_per_node
        not in (None, spec.device_count),
        "constraints: some, wanted none": bool(
            rules.pin or rules.together or rules.current_plan
        ),
        "tables: some serve several features, wanted one each": any(
            t.features > 1 for t in tables
        ),
    }
    return [text for text, bad in wrong.items() if bad]


def _check_paper_mode(spec: ShardingSpec, tables: Sequence[Table]) -> None:
    if faults := paper_mode_faults(spec, tables):
        raise InvalidInput(
            "method 'neuroshard' runs the published networks, which were trained for one setting: "
            + "; ".join(faults)
            + ". Change that, or use method 'trimtab'"
        )
