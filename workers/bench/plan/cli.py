"""`python -m workers.bench plan NAME`: outlines of goals against references; reports."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from workers.bench.lines import write_lines

# The arguments of `python -m workers.bench all`.
PUBLISHED: tuple[tuple[str, ...], ...] = (
    ("goals",),
    ("report",),
    ("adherence",),
    ("hostile",),
)
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
    parser.add_argument("--limit", type=int, help="goals, plans or leaves")
    parser.add_argument(
        "--model",
        default="embedded",
        help="language model of `report`, `adherence`; or none",
    )
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


def _report(options: argparse.Namespace) -> Iterator[Line]:
    from workers.bench.plan import report

    yield from report.fuzz(count=options.limit or 1000, seed=options.seed)
    plan = report.recorded(report.RECORDED)
    yield from report.long_report(plan, None, seed=options.seed)
    if options.model != "none":
        from workers.llm.open import open_model

        model = open_model(options.model)
        yield from report.long_report(plan, model, seed=options.seed)
        model.close()


def _adherence(options: argparse.Namespace) -> Iterator[Line]:
    from workers.bench.plan import adherence
    from workers.llm.open import open_model

    model = open_model(options.model if options.model != "none" else "embedded")
    yield from adherence.judged(
        model, count=options.limit or 390, seed=options.seed, substeps=(0, 1, 2)
    )
    model.close()


SUITES: Mapping[str, Callable[[argparse.Namespace], Iterator[Line]]] = MappingProxyType(
    {
        "goals": _goals,
        "hostile": _hostile,
        "durations": _durations,
        "report": _report,
        "adherence": _adherence,
    }
)
