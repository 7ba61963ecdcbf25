"""`python -m workers.bench learn NAME`: few-shot fitting of cost models to another device."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workers.bench.lines import write_lines
from workers.bench.tables.results import RESULTS

# Arguments of `python -m workers.bench all`.
PUBLISHED = (("sharding",), ("measured", "--seeds", "3"))
SUITES = ("sharding", "measured")
# 200 sets of tables on a CPU that no model was trained on.
MEASURED = RESULTS / "2026-11-23-tbe-cpu.jsonl"


def main(argv: list[str]) -> int:
    """Run a suite; lines go to --out and to standard output."""
    parser = argparse.ArgumentParser(
        prog="python -m workers.bench learn", description=__doc__
    )
    parser.add_argument(
        "suite",
        choices=SUITES,
        help="`sharding`: a simulated device, also against training from scratch; `measured`: the "
        "cards of jobs on a file of the collector's",
    )
    parser.add_argument("--file", type=Path, default=MEASURED, help="of `measured`")
    parser.add_argument(
        "--measurements", type=int, default=500, help="of the other device"
    )
    parser.add_argument("--seeds", type=int, default=5, help="runs, from --seed on")
    parser.add_argument("--steps", type=int, default=2_500, help="of the fine-tuning")
    parser.add_argument(
        "--scratch-steps", type=int, default=10_000, help="of training from scratch"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("bench-results/learn.jsonl"))
    options = parser.parse_args(argv)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    suite = f"learn-{options.suite}"
    write_lines(_lines(options), suite=suite, seed=options.seed, out=options.out)
    return 0


def _lines(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    if options.suite == "measured":
        from workers.bench.learn.measured import judge

        for seed in range(options.seed, options.seed + options.seeds):
            yield judge(options.file, seed, steps=options.steps)
        return
    from workers.bench.learn.sharding import compare

    for seed in range(options.seed, options.seed + options.seeds):
        yield from compare(
            seed,
            measurements=options.measurements,
            steps=options.steps,
            scratch_steps=options.scratch_steps,
        )
