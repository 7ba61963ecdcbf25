"""`python -m workers.bench encoders NAME`: GRMP beside RGCN, GAT and GINE at equal parameters."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workers.bench.lines import write_lines

PUBLISHED = (("rivals",), ("ranges",))  # arguments of `python -m workers.bench all`
SUITES = ("rivals", "ranges")


def main(argv: list[str]) -> int:
    """Run a suite; lines go to --out and to standard output."""
    parser = argparse.ArgumentParser(
        prog="python -m workers.bench encoders", description=__doc__
    )
    parser.add_argument(
        "suite",
        choices=SUITES,
        help="`rivals`: all encoders at equal parameters; `ranges`: the same encoder with some "
        "ranges only, and with all edges as one relation",
    )
    parser.add_argument(
        "--encoders", nargs="+", default=None, help="default: all, or grmp for `ranges`"
    )
    parser.add_argument("--seeds", type=int, default=5, help="runs, from --seed on")
    parser.add_argument("--steps", type=int, default=250, help="of training")
    parser.add_argument("--width", type=int, default=32, help="of GRMP")
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

    every = [str(encoder) for encoder in Encoder]
    rivals = options.suite == "rivals"
    function = ring.rivals if rivals else ring.ranges
    return function(
        encoders=options.encoders or (every if rivals else ["grmp"]),
        seeds=range(options.seed, options.seed + options.seeds),
        params=ring.RingParams(steps=options.steps, width=options.width),
    )
