"""`python -m workers.bench pretrain NAME`: losses of self-supervised learning on a known graph."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workers.bench.lines import write_lines

PUBLISHED = (("bed",), ("selection",))  # arguments of `python -m workers.bench all`
SUITES = ("bed", "selection")


def main(argv: list[str]) -> int:
    """Run a suite; lines go to --out and to standard output."""
    parser = argparse.ArgumentParser(
        prog="python -m workers.bench pretrain", description=__doc__
    )
    parser.add_argument(
        "suite",
        choices=SUITES,
        help="`bed`: probes of every loss and of the controls; `selection`: label-free scores "
        "against the probe over settings of VICReg",
    )
    parser.add_argument("--seeds", type=int, default=5, help="graphs, from --seed on")
    parser.add_argument("--steps", type=int, default=150, help="of pre-training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("bench-results/pretrain.jsonl"))
    options = parser.parse_args(argv)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported
    suite = f"pretrain-{options.suite}"
    write_lines(_lines(options), suite=suite, seed=options.seed, out=options.out)
    return 0


def _lines(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    from workers.bench.pretrain import bed

    function = bed.run if options.suite == "bed" else bed.selection
    seeds = range(options.seed, options.seed + options.seeds)
    return function(seeds=seeds, steps=options.steps)
