"""Run a random job and compare it with enumeration and pricing that share no code with it."""

from __future__ import annotations

import json
import tempfile
import threading
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from search import pipeline
from search.domains.sharding import ShardingDomain, build
from search.stop import from_budget
from search.types import InvalidInput
from trimtab.results import Reason, RunResult
from trimtab.specs.sharding import ShardingSpec
from workers.bench.fuzz.judging import Disagreement, judged
from workers.bench.fuzz.sharding.draw import Body, draw, table_bytes
from workers.bench.fuzz.sharding.plans import Best, best_plan, enumerable, stays_whole
from workers.bench.fuzz.sharding.prices import Placed, Pricer
from workers.bench.fuzz.types import Fault, Outcome

_SECONDS = 20.0
_PRICE_TOLERANCE = 1e-4  # the peer solves Che's equation with another method
_MODEL_TOLERANCE = 1e-7
_ENDED_WITH_PLAN = (Reason.COMPLETED, Reason.FEASIBLE)


@cache
def _domain() -> ShardingDomain:
    return build()


def check(index: int, rng: np.random.Generator) -> Outcome:
    """Draw a job, run it, and compare."""
    body = draw(rng)
    seed = int(rng.integers(2**31))
    return judged(body, lambda: judge(body, seed))


def judge(body: Body, seed: int) -> str:
    """Return the label of a job that behaves. Raises Disagreement."""
    try:
        spec = ShardingSpec.model_validate_json(json.dumps(body))
    except ValidationError as error:
        return _refusal(body, str(error))
    with tempfile.TemporaryDirectory() as folder:
        try:
            finished = pipeline.run(
                _domain(),
                spec,
                inputs={},
                workdir=Path(folder),
                stop=from_budget({"seconds": _SECONDS}, threading.Event()),
                seed=seed,
            )
        except InvalidInput as error:
            raise Disagreement(
                Fault.REFUSED, f"refused after validation accepted it: {error}"
            ) from error
        result = finished.result
        files = {p.name: p.path.read_text() for p in finished.produced}
    pricer = Pricer.of(spec)
    best = best_plan(spec, pricer) if enumerable(spec) else None
    reason = result.termination.reason
    if reason is Reason.INFEASIBLE:
        if best is not None and best.plans:
            raise Disagreement(
                Fault.WRONG,
                f"proved infeasible ({result.termination.detail}), but {best.shards} fits",
            )
        return "infeasible" if best is not None else "infeasible, not enumerated"
    if reason is Reason.NO_SOLUTION_FOUND:
        return _nothing_found(body, spec, best, result)
    if reason not in _ENDED_WITH_PLAN:
        raise Disagreement(Fault.LOST, f"{reason.value}: {result.termination.detail}")
    if best is not None and not best.plans:
        raise Disagreement(
            Fault.WRONG, "a plan is reported, but no plan respects memory and constraints"
        )
    shards = json.loads(files["plan.json"])["shards"]
    _check_plan(body, spec, shards)
    return _check_prices(spec, pricer, shards, result, best)


def _refusal(body: Body, message: str) -> str:
    """Return the label of a refused spec.

    Raises Disagreement unless some table cannot be placed at all.
    """
    largest = max(g["memory_gib"] for g in body["devices"]) * 2**30
    rules = body["constraints"]
    weights = {**body, "memory_model": "weights"}
    whole = set(rules.get("no_split", ())).union(*rules.get("together", ()))
    for table in body["tables"]:
        narrowest = rules.get("min_shard_dim", 4)
        split = table["name"] not in whole and table["dim"] >= 2 * narrowest
        width = narrowest if split else table["dim"]
        if table_bytes(weights, table, width) > largest:
            return "refused: a table is too large"
    raise Disagreement(Fault.REFUSED, message[:500])


def _nothing_found(
    body: Body, spec: ShardingSpec, best: Best | None, result: RunResult
) -> str:
    if best is None or not best.plans:
        return "no solution found"
    if spec.constraints.max_moved_gib is None:
        raise Disagreement(
            Fault.LOST,
            f"nothing found ({result.termination.detail}), but {best.shards} fits",
        )
    current = [s.model_dump() for s in spec.constraints.current_plan]
    try:
        _check_plan(body, spec, current)
    except (Disagreement, KeyError, IndexError):
        return "no solution found within the bound on moved bytes"
    raise Disagreement(Fault.LOST, "no plan reported, but the plan in use is valid")


def _check_plan(body: Body, spec: ShardingSpec, shards: list[dict[str, Any]]) -> None:
    """Raise Disagreement unless the shards are a plan of the job."""
    tables = {t["name"]: t for t in body["tables"]}
    devices = [
        g["memory_gib"] * 2**30 for g in body["devices"] for _ in range(g["count"])
    ]
    held = dict.fromkeys(range(len(devices)), 0.0)
    columns: dict[str, list[int]] = {name: [0] * t["dim"] for name, t in tables.items()}
    where: dict[str, set[int]] = defaultdict(set)
    for s in shards:
        if s["table"] not in tables or not 0 <= s["device"] < len(devices):
            raise Disagreement(Fault.WRONG, f"shard {s} is of no table or on no device")
        for column in range(s["offset"], s["offset"] + s["width"]):
            columns[s["table"]][column] += 1
        held[s["device"]] += table_bytes(body, tables[s["table"]], s["width"])
        where[s["table"]].add(s["device"])
    if faulty := [name for name, times in columns.items() if set(times) != {1}]:
        raise Disagreement(
            Fault.WRONG, f"columns of {faulty} are not placed exactly once"
        )
    if over := [d for d, size in held.items() if size > devices[d] * (1 + 1e-9)]:
        raise Disagreement(Fault.WRONG, f"devices {over} hold more than their memory")
    rules = spec.constraints
    for table in spec.tables:
        mine = [s for s in shards if s["table"] == table.name]
        parts = tuple(sorted((s["width"] for s in mine), reverse=True))
        narrow = parts[-1] < min(rules.min_shard_dim, table.dim)
        if (
            any(w % 4 for w in parts)
            or narrow
            or (stays_whole(table, spec) and len(parts) > 1)
        ):
            raise Disagreement(
                Fault.WRONG, f"table {table.name}: widths {parts} are not allowed"
            )
    for pin in rules.pin:
        if not where[pin.table] <= set(pin.devices):
            raise Disagreement(
                Fault.WRONG,
                f"{pin.table} is on {where[pin.table]}, pinned to {pin.devices}",
            )
    for group in rules.together:
        if len(set().union(*(where[name] for name in group))) > 1:
            raise Disagreement(Fault.WRONG, f"{group} are not together")
    if rules.max_moved_gib is not None:
        _check_moved(spec, shards)


def _check_moved(spec: ShardingSpec, shards: list[dict[str, Any]]) -> None:
    """Raise Disagreement unless the moved columns stay within the limit, or had to move."""
    rules = spec.constraints
    assert rules.max_moved_gib is not None
    tables = {t.name: t for t in spec.tables}
    pins = {p.table: set(p.devices) for p in rules.pin}
    before = {
        (s.table, c): s.device
        for s in rules.current_plan
        for c in range(s.offset, s.offset + s.width)
    }
    moved = must = 0
    for s in shards:
        size = tables[s["table"]].rows * tables[s["table"]].dtype.bytes
        for column in range(s["offset"], s["offset"] + s["width"]):
            old = before.get((s["table"], column))
            if old is not None and old != s["device"]:
                moved += size
            if old is not None and (
                old >= spec.device_count or old not in pins.get(s["table"], {old})
            ):
                must += size
    if moved > max(rules.max_moved_gib * 2**30, must) * (1 + 1e-9):
        raise Disagreement(
            Fault.WRONG,
            f"{moved / 2**30} GiB move, {rules.max_moved_gib} may and {must / 2**30} must",
        )


def _check_prices(
    spec: ShardingSpec,
    pricer: Pricer,
    shards: list[dict[str, Any]],
    result: RunResult,
    best: Best | None,
) -> str:
    number = {t.name: i for i, t in enumerate(spec.tables)}
    placed: list[Placed] = [(number[s["table"]], s["width"], s["device"]) for s in shards]
    simulated = pricer.simulated_ms(placed)
    if (
        result.objective is None
        or abs(result.objective - simulated) > _PRICE_TOLERANCE * simulated
    ):
        raise Disagreement(
            Fault.WRONG,
            f"the objective is {result.objective} ms, the peer's price {simulated} ms",
        )
    certificate: Any = result.summary["certificate"]
    model, bound = pricer.model_of(placed), float(certificate["lower_bound_ms"])
    if abs(certificate["model_ms"] - model) > _MODEL_TOLERANCE * model:
        raise Disagreement(
            Fault.WRONG, f"model_ms is {certificate['model_ms']}, the peer's {model}"
        )
    if bound > model * (1 + _MODEL_TOLERANCE):
        raise Disagreement(
            Fault.WRONG, f"the lower bound {bound} ms is above the plan's own {model} ms"
        )
    if abs(certificate["gap"] - max(0.0, 1 - bound / model)) > 1e-6:
        raise Disagreement(
            Fault.WRONG,
            f"the gap is {certificate['gap']}, bound {bound} and cost {model}",
        )
    if best is None:
        return "plan, not enumerated"
    if bound > best.model_ms * (1 + _MODEL_TOLERANCE):
        raise Disagreement(
            Fault.WRONG,
            f"the lower bound {bound} ms is above {best.model_ms} ms of {best.shards}",
        )
    if model > best.model_ms * 1.02:
        return "plan, model more than 2 % above the best"
    return "plan, model within 2 % of the best"
