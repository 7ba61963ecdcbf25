"""Outcomes of searches that end without a plan: the reason and the remedies."""

from __future__ import annotations

import numpy as np

from search.domains.sharding.constants import GIB
from search.domains.sharding.encode.setup import Setup
from search.domains.sharding.parse.problem import ShardingProblem
from search.domains.sharding.search.infeasible import Infeasible
from search.stop import StoppingCriterion
from search.types import SearchOutcome
from trimtab.results import Reason, Termination
from trimtab.specs.sharding import ShardingSpec


def infeasible(proof: Infeasible) -> SearchOutcome:
    """Return the outcome of a proof by counting bytes that no plan exists."""
    return _outcome(
        Termination(reason=Reason.INFEASIBLE, detail=proof.argument),
        missing_gib=proof.missing_bytes / GIB,
        tables=list(proof.tables),
    )


def impossible(problem: ShardingProblem, setup: Setup) -> SearchOutcome:
    """Return the outcome of a proof by branch and bound, where memory suffices in total."""
    options = setup.items.options
    need = float(options.memory[setup.items.whole].sum())
    room = float(setup.capacity.sum())
    detail = (
        f"{len(problem.tables)} tables take {need / GIB:.2f} GiB and {len(setup.capacity)} devices "
        f"have {room / GIB:.2f} GiB, but branch and bound proved that no placement respects every "
        "device's memory with the pins, groups and shard widths allowed; increase memory_gib, "
        "lower min_shard_dim, or drop no_split, together or pin of the largest tables"
    )
    largest = np.argsort(-options.memory[setup.items.whole], kind="stable")[:5]
    names = [problem.tables[t].name for i in largest for t in setup.items.members[i]]
    return _outcome(Termination(reason=Reason.INFEASIBLE, detail=detail), tables=names)


def must_move_more(spec: ShardingSpec, setup: Setup) -> SearchOutcome:
    """Return the outcome when the constraints alone move more than the limit."""
    assert setup.in_use is not None
    need = setup.in_use.forced_bytes / GIB
    detail = (
        f"constraints.max_moved_gib: {spec.constraints.max_moved_gib:g} GiB may move, but "
        f"{need:.3f} GiB of current_plan must, because devices are gone or because pin, together, "
        "no_split and min_shard_dim require tables to be joined. "
        f"Give at least {need * 1.001 + 0.001:.3f}, or drop those constraints"
    )
    termination = Termination(reason=Reason.NO_SOLUTION_FOUND, detail=detail)
    return _outcome(termination, must_move_gib=need)


def nothing_found(stop: StoppingCriterion) -> SearchOutcome:
    """Return the outcome of a search that found no plan and proved nothing."""
    detail = (
        "no plan that fits was found, and none was proved impossible; give more memory, allow "
        "narrower shards (min_shard_dim), or relax pins and the limit on moved bytes"
    )
    return _outcome(
        Termination(reason=Reason.NO_SOLUTION_FOUND, limit=stop.limit, detail=detail)
    )


def _outcome(termination: Termination, **summary: object) -> SearchOutcome:
    return SearchOutcome(
        termination=termination,
        solution=None,
        objective=None,
        bound=None,
        summary=summary,
    )
