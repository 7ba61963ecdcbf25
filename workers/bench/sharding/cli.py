"""`python -m workers.bench sharding quality|scale|models|calibrate|exact|curve [options]`."""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from pathlib import Path
from typing import Any

from search.domains.sharding.search.models import shipped
from workers.bench.stats import machine

PUBLISHED: tuple[tuple[str, ...], ...] = (
    ("quality",),
    ("scale",),
    ("models",),
    ("exact",),
)  # the arguments of `python -m workers.bench all`


def main(argv: list[str]) -> int:
    """Run a suite; lines go to --out and to standard output."""
    parser = argparse.ArgumentParser(
        prog="python -m workers.bench sharding", description=__doc__
    )
    parser.add_argument(
        "suite", choices=["quality", "scale", "models", "calibrate", "exact", "curve"]
    )
    parser.add_argument("--tasks", type=int, default=100, help="tasks per setting")
    parser.add_argument(
        "--torchrec-tasks",
        type=int,
        default=5,
        help="of them, how many TorchRec's four planners get",
    )
    parser.add_argument("--settings", nargs="*", help="names of settings; default all")
    parser.add_argument(
        "--planners", nargs="*", help="names of planners; default all that are installed"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("bench-results/sharding.jsonl"))
    given = parser.parse_args(argv)
    given.out.parent.mkdir(parents=True, exist_ok=True)

    def say(text: str) -> None:
        sys.stderr.write(text + "\n")

    models = shipped()
    stamp = {
        "suite": f"sharding-{given.suite}",
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
    }

    def keep(line: dict[str, Any]) -> None:
        text = json.dumps({**stamp, "seed": given.seed, **line})
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
        with given.out.open("a") as file:
            file.write(text + "\n")

    match given.suite:
        case "quality":
            from workers.bench.sharding import quality

            names = given.planners or _installed()
            tasks = given.out.with_name(given.out.stem + "-tasks.jsonl")
            for setting in quality.SETTINGS:
                if given.settings and setting.name not in given.settings:
                    continue
                keep(
                    quality.run_setting(
                        setting,
                        names,
                        models,
                        count=given.tasks,
                        slow_count=given.torchrec_tasks,
                        seed=given.seed,
                        out=tasks,
                        say=say,
                    )
                )
        case "scale":
            from workers.bench.sharding import scale

            for line in scale.run(models):
                keep(line)
        case "models":
            from workers.bench.sharding import accuracy

            for line in accuracy.run(models, say=say):
                keep(line)
        case "calibrate":
            from workers.bench.sharding import interval

            keep(interval.calibrate(models, seed=given.seed, say=say))
        case "curve":
            from workers.bench.sharding import curve

            for line in curve.run(seed=given.seed, say=say):
                keep(line)
        case "exact":
            from workers.bench.sharding import optimum

            for line in optimum.run(models, count=given.tasks, seed=given.seed, say=say):
                keep(line)
    return 0


def _installed() -> list[str]:
    from importlib.util import find_spec

    from workers.bench.sharding.planners import PLANNERS

    there = find_spec("torchrec") is not None and find_spec("fbgemm_gpu") is not None
    return [name for name in PLANNERS if there or not name.startswith("torchrec")]
