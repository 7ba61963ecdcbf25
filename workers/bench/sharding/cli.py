"""`python -m workers.bench sharding NAME`: plans and cost models beside other planners."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from search.domains.sharding.search.models import Models, shipped
from workers.bench.lines import write_lines

# The arguments of `python -m workers.bench all`.
PUBLISHED: tuple[tuple[str, ...], ...] = (
    ("quality",),
    ("scale",),
    ("models",),
    ("exact",),
)
Line = dict[str, Any]


def main(argv: list[str]) -> int:
    """Run a suite; lines go to --out and to standard output."""
    options = _parser().parse_args(argv)
    lines = SUITES[options.suite](shipped(), options)
    suite = f"sharding-{options.suite}"
    write_lines(lines, suite=suite, seed=options.seed, out=options.out)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m workers.bench sharding", description=__doc__
    )
    parser.add_argument("suite", choices=list(SUITES))
    parser.add_argument("--tasks", type=int, default=100, help="tasks per setting")
    parser.add_argument(
        "--torchrec-tasks",
        type=int,
        default=5,
        help="number of them that TorchRec's four planners run on",
    )
    parser.add_argument("--settings", nargs="*", help="names of settings; default all")
    parser.add_argument(
        "--planners", nargs="*", help="names of planners; default all that are installed"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("bench-results/sharding.jsonl"))
    return parser


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _quality(models: Models, options: argparse.Namespace) -> Iterator[Line]:
    from workers.bench.sharding import quality

    for setting in quality.SETTINGS:
        if options.settings and setting.name not in options.settings:
            continue
        yield quality.run_setting(
            setting,
            options.planners or _installed(),
            models,
            count=options.tasks,
            slow_count=options.torchrec_tasks,
            seed=options.seed,
            out=options.out.with_name(options.out.stem + "-tasks.jsonl"),
            say=_say,
        )


def _scale(models: Models, options: argparse.Namespace) -> Iterator[Line]:
    from workers.bench.sharding import scale

    return scale.run(models)


def _models(models: Models, options: argparse.Namespace) -> Iterator[Line]:
    from workers.bench.sharding import accuracy

    return accuracy.run(models, say=_say)


def _calibrate(models: Models, options: argparse.Namespace) -> Iterator[Line]:
    from workers.bench.sharding import interval

    yield interval.calibrate(models, seed=options.seed, say=_say)


def _exact(models: Models, options: argparse.Namespace) -> Iterator[Line]:
    from workers.bench.sharding import optimum

    return optimum.run(models, count=options.tasks, seed=options.seed, say=_say)


def _curve(models: Models, options: argparse.Namespace) -> Iterator[Line]:
    from workers.bench.sharding import curve

    return curve.run(seed=options.seed, say=_say)


SUITES: Mapping[str, Callable[[Models, argparse.Namespace], Iterator[Line]]] = (
    MappingProxyType(
        {
            "quality": _quality,
            "scale": _scale,
            "models": _models,
            "calibrate": _calibrate,
            "exact": _exact,
            "curve": _curve,
        }
    )
)


def _installed() -> list[str]:
    from importlib.util import find_spec

    from workers.bench.sharding.planners import PLANNERS

    installed = find_spec("torchrec") is not None and find_spec("fbgemm_gpu") is not None
    return [name for name in PLANNERS if installed or not name.startswith("torchrec")]
