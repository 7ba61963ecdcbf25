"""`python -m workers.bench plan NAME`: outlines of goals in words against reference graphs."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from workers.bench.lines import write_lines

# The arguments of `python -m workers.bench all`.
PUBLISHED: tuple[tuple[str, ...], ...] = (("goals",), ("hostile",))
Line = dict[str, Any]


def main(argv: list[str]) -> int:
    """Run a suite; lines go to --out and to standard output."""
    options = _parser().parse_args(argv)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before a suite imports numpy
    out = options.out or Path(f"bench-results/plan-{options.suite}.jsonl")
    lines = SUITES[options.suite](options)
    write_lines(lines, suite=f"plan-{options.suite}", seed=options.seed, out=out)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m workers.bench plan", description=__doc__
    )
    parser.add_argument("suite", choices=list(SUITES))
    parser.add_argument("--goals", type=Path, help="JSON lines of `goals`; default: ours")
    parser.add_argument(
        "--held-out", type=Path, help="sealed JSON lines of `goals`: only sums are shown"
    )
    parser.add_argument(
        "--arms", nargs="*", default=["templates"], help="see workers.bench.plan.arms"
    )
    parser.add_argument("--limit", type=int, help="goals, from the first on")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="default bench-results/plan-NAME.jsonl")
    return parser


def _goals(options: argparse.Namespace) -> Iterator[Line]:
    from workers.bench.plan import arms, goals, references

    path = options.held_out or options.goals or goals.FOLDER / "developer.jsonl"
    return goals.lines(
        {name: arms.planner(name) for name in options.arms},
        references.load(path)[: options.limit],
        goals.contents(),
        held_out=options.held_out is not None,
        seed=options.seed,
    )


def _hostile(options: argparse.Namespace) -> Iterator[Line]:
    from workers.bench.plan import arms, hostile

    return hostile.lines({name: arms.planner(name) for name in options.arms})


def _durations(options: argparse.Namespace) -> Iterator[Line]:
    from search.domains.plan.outline.estimate import TABLE
    from workers.bench.plan import durations

    return durations.lines(TABLE)


SUITES: Mapping[str, Callable[[argparse.Namespace], Iterator[Line]]] = MappingProxyType(
    {"goals": _goals, "hostile": _hostile, "durations": _durations}
)
