"""`python -m workers.bench ilp arms`: each arm alone, and the portfolio, from one start.

The comparison of LB-RELAX and CL-LNS (Huang et al., 2023): destroy heuristics alone, with SCIP or
HiGHS for the sub-MIPs, on the four families. No complete solver runs beside; one process, one
thread, and all seconds are of its processor time, so the figures hold on a busy machine. A single
arm solves the root LP itself when it first needs it. The portfolio has it after the processor time
that it took, from another core as in a run. The file of results resumes: one line for each run,
instance by instance, so that any prefix is balanced.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from search.lns.constructive import constructive
from search.lns.loop import LnsParams
from search.lns.observer import LnsObserver
from search.lns.root_lp import SharedRootLp
from search.lns.sub_mip import Slicer
from solvers.relaxation import Basis, LpSolution, Relaxation, safe_bound
from solvers.table import make_solver
from solvers.types import Floats, MilpModel
from trimtab.specs.ilp import LnsOptions, Neighbourhood
from workers.bench.ilp.arms_report import PORTFOLIO, print_report
from workers.bench.lines import earlier_lines
from workers.bench.stats import machine
from workers.corpus.integer_programs import FAMILIES, generate
from workers.train.ilp.trial import CpuDeadline, guide_of, make_loop

# In the order of the papers.
SINGLE = (
    Neighbourhood.RANDOM,
    Neighbourhood.VARIABLE_GRAPH,
    Neighbourhood.LB_RELAX,
    Neighbourhood.LB_RELAX_R,
    Neighbourhood.LB_RELAX_S,
    Neighbourhood.CL_LNS,
)
METHODS: dict[str, tuple[Neighbourhood, ...]] = {
    **{arm.value: (arm,) for arm in SINGLE},
    PORTFOLIO: LnsOptions().neighbourhoods,
}
ENGINES = ("highs", "scip")
FIRST_SEED = 2000
_ROOT_WALL_S = 600.0
Row = dict[str, Any]


def main(argv: Sequence[str]) -> int:
    """Run what the output file lacks, and report; or report earlier files."""
    options = _parser().parse_args(argv)
    if options.report:
        print_report([row for file in options.report for row in earlier_lines(file)])
        return 0
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for row in _runs(options):
        print(json.dumps({k: v for k, v in row.items() if k != "trace"}), flush=True)
        with options.out.open("a") as out:
            out.write(json.dumps(row) + "\n")
    print_report(earlier_lines(options.out))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m workers.bench ilp arms", description=__doc__
    )
    families = sorted(FAMILIES)
    parser.add_argument("--families", nargs="+", choices=families, default=families)
    parser.add_argument("--size", choices=["1/5", "S", "L"], default="S")
    parser.add_argument("--instances", type=int, default=5, help="of each family")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seconds", type=float, default=30.0, help="of a run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("bench-results/ilp-arms.jsonl"))
    parser.add_argument("--report", type=Path, nargs="+", help="run nothing")
    return parser


def _runs(options: argparse.Namespace) -> Iterator[Row]:
    """Yield a line for each run that the output file lacks."""
    measured = {_key(row) for row in earlier_lines(options.out)}
    cells = list(itertools.product(options.methods, options.engines))
    for number, family in itertools.product(range(options.instances), options.families):
        instance = options.first_seed + number
        model = generate(family, options.size, instance)
        start: Floats | None = None
        root: Root | None = None
        # Another order each time, so that a slow hour of the machine affects all alike.
        turn = number % len(cells)
        for method, engine in cells[turn:] + cells[:turn]:
            row: Row = {
                "suite": "ilp arms",
                "family": family,
                "size": options.size,
                "instance": instance,
                "method": method,
                "engine": engine,
                "limit": options.seconds,
                "seed": options.seed,
            }
            if _key(row) in measured:
                continue
            if start is None:
                start = start_of(model)
            if method == PORTFOLIO and root is None:
                root = Root.of(model)
            shared = root if method == PORTFOLIO else None
            words = METHODS[method]
            yield {**row, **search(model, start, words, row=row, root=shared)}


def start_of(model: MilpModel) -> Floats:
    """Return (n,) the start of a run on such models: the construction for their rows."""
    slicer = Slicer(model)
    x = constructive(model, slicer.by_row, slicer.by_column)
    if x is None:
        raise RuntimeError("start: expected a construction for the family, got none")
    return x


@dataclass(frozen=True, kw_only=True, eq=False)
class Root:
    """Optimum of a root LP, and the processor seconds that it took."""

    solution: LpSolution
    basis: Basis
    bound: float
    seconds: float

    @classmethod
    def of(cls, model: MilpModel) -> Root | None:
        """Solve the root LP; None when that fails."""
        began = time.process_time()
        relaxation = Relaxation(model)
        solution = relaxation.root(time_limit_s=_ROOT_WALL_S)
        if not solution.optimal or solution.row_duals is None:
            return None
        seconds = time.process_time() - began
        return cls(
            solution=solution,
            basis=relaxation.basis(),
            bound=safe_bound(model, solution.row_duals),
            seconds=seconds,
        )


class RootBeside(SharedRootLp):
    """A root LP that is there after the processor seconds it takes on a core of its own."""

    def __init__(self, model: MilpModel, root: Root) -> None:
        super().__init__(model)
        self._from_s = time.process_time() + root.seconds
        self.put(root.solution, root.basis, root.bound)

    @property
    def pending(self) -> bool:
        """True until the time has come."""
        return time.process_time() < self._from_s

    def take(self) -> tuple[LpSolution, Basis] | None:
        """Return the optimum and its basis; None while it is pending."""
        return None if self.pending else super().take()


@dataclass(kw_only=True)
class Trace(LnsObserver):
    """Processor seconds and objective of each incumbent; `points` begins with the start."""

    began: float = field(default_factory=time.process_time)
    points: list[tuple[float, float]] = field(default_factory=list)

    def on_improvement(self, objective: float, x: Floats, source: str) -> None:
        """Record a better solution."""
        self.points.append((round(time.process_time() - self.began, 3), objective))


def search(
    model: MilpModel,
    start: Floats,
    words: Sequence[Neighbourhood],
    *,
    row: Row,
    root: Root | None = None,
    params: LnsParams | None = None,
) -> Row:
    """Improve `start` by these arms; return trace, final objective and the arms' figures.

    row: engine, limit and seed. root: as if solved beside; without it an arm solves it.
    """
    notes: list[str] = []
    trace = Trace()
    guide = guide_of(
        model,
        CpuDeadline(row["limit"]),
        shared_root=None if root is None else RootBeside(model, root),
    )
    loop = make_loop(
        guide,
        words=words,
        solver=make_solver(row["engine"]),
        rng=np.random.default_rng((row["seed"], row["instance"])),
        observer=trace,
        note=notes.append,
        params=params,
        local_search=Neighbourhood.ONE_SWAP in words,
    )
    trace.points.append((0.0, model.objective(start)))
    loop.run(start)
    return {
        "trace": trace.points,
        "objective": trace.points[-1][1],
        "used_s": round(time.process_time() - trace.began, 2),
        "root_s": None if root is None else round(root.seconds, 2),
        "arms": {
            name: {
                "calls": arm.calls,
                "improvements": arm.improvements,
                "seconds": round(arm.seconds, 2),
                "size": loop.sizes.get(name, 0),
            }
            for name, arm in loop.statistics.items()
        },
        "notes": notes,
        "machine": machine(),
    }


def _key(row: Row) -> tuple[Any, ...]:
    names = ("family", "size", "instance", "method", "engine", "limit", "seed")
    return tuple(row[name] for name in names)
