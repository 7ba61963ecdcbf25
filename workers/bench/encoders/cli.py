"""`python -m workers.bench encoders NAME`: GRMP beside RGCN, GAT and GINE at equal parameters."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workers.bench.lines import earlier_lines, write_lines

if TYPE_CHECKING:
    from workers.bench.encoders.graphs import Task

# Arguments of `python -m workers.bench all`.
PUBLISHED = (("rivals",), ("ranges",), ("domains",))
SUITES = ("rivals", "ranges", "domains")
TASKS = ("programs", "antennas", "models")


def main(argv: list[str]) -> int:
    """Run a suite; lines go to --out and to standard output."""
    parser = argparse.ArgumentParser(
        prog="python -m workers.bench encoders", description=__doc__
    )
    parser.add_argument(
        "suite",
        choices=SUITES,
        help="`rivals`: all encoders at equal parameters on rings; `ranges`: the same encoder with "
        "some ranges only, and with all edges as one relation; `domains`: all encoders and those "
        "of the domains' papers on programs, antennas and integer programs, resumes from --out",
    )
    parser.add_argument(
        "--encoders", nargs="+", default=None, help="default: all, or grmp for `ranges`"
    )
    parser.add_argument("--seeds", type=int, default=5, help="runs, from --seed on")
    parser.add_argument(
        "--steps", type=int, help="of training; default 250, or 80 for `domains`"
    )
    parser.add_argument("--width", type=int, help="of GRMP; default 32, or 24")
    parser.add_argument(
        "--tasks", nargs="+", choices=TASKS, default=list(TASKS), help="of `domains`"
    )
    parser.add_argument("--graphs", type=int, default=160, help="of each task, at most")
    parser.add_argument(
        "--corpus", type=Path, default=Path("bench-results/train/compile")
    )
    parser.add_argument(
        "--shards", type=Path, default=Path("bench-results/train/antenna")
    )
    parser.add_argument("--work", type=Path, default=Path("bench-results/encoders"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("bench-results/encoders.jsonl"))
    options = parser.parse_args(argv)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported
    suite = f"encoders-{options.suite}"
    write_lines(_lines(options), suite=suite, seed=options.seed, out=options.out)
    return 0


def _lines(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    from gnn.layers.encoders import Encoder
    from workers.bench.encoders import ring

    if options.suite == "domains":
        return _domains(options)
    every = [str(encoder) for encoder in Encoder]
    rivals = options.suite == "rivals"
    function = ring.rivals if rivals else ring.ranges
    return function(
        encoders=options.encoders or (every if rivals else ["grmp"]),
        seeds=range(options.seed, options.seed + options.seeds),
        params=ring.RingParams(steps=options.steps or 250, width=options.width or 32),
    )


def _domains(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    import torch

    from workers.bench.encoders import domains
    from workers.bench.encoders.graphs import ENCODERS, Training

    torch.set_num_threads(1)
    earlier = earlier_lines(options.out)
    for name in options.tasks:
        yield from domains.rivals(
            task_of(name, options),
            encoders=options.encoders or list(ENCODERS),
            seeds=range(options.seed, options.seed + options.seeds),
            width=options.width or 24,
            training=Training(steps=options.steps or 80),
            earlier=[line for line in earlier if line["run_seed"] != "all"],
        )


def task_of(name: str, options: argparse.Namespace) -> Task:
    """Return a task by its name, from --corpus, --shards or --work. Raises ValueError."""
    from workers.bench.encoders import data

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    match name:
        case "programs":
            return data.programs(
                options.corpus, options.work, most=options.graphs, say=say
            )
        case "antennas":
            return data.antennas(options.shards, most=options.graphs, say=say)
        case _:
            return data.models(most=options.graphs, say=say)
