"""`python -m workers.train.compile.paper discover|table|learn|publish`, in this order, after `python -m workers.corpus`.

The first two resume; the first three can be split between processes. What is published is what jobs in mode paper use.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cost_models.weights import FOLDER


def main(argv: list[str] | None = None) -> int:
    """Do what is named; progress goes to standard error."""
    parser = argparse.ArgumentParser(
        prog="python -m workers.train.compile.paper", description=__doc__
    )
    parser.add_argument("what", choices=["discover", "table", "learn", "publish"])
    parser.add_argument(
        "--work",
        type=Path,
        default=Path("bench-results/train/compile"),
        help="the corpus folder",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="learn: of initial weights and batches"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("bench-results") / "compile-paper.jsonl",
        help="learn: results",
    )
    parser.add_argument(
        "--part", type=int, default=0, help="which part of the work this process does"
    )
    parser.add_argument("--parts", type=int, default=1)
    parser.add_argument("--weights", type=Path, default=FOLDER, help="publish: where to")
    given = parser.parse_args(argv)
    part = (given.part, given.parts)

    def say(text: str) -> None:
        sys.stderr.write(f"{given.what}: {text}\n")
        sys.stderr.flush()

    if given.what == "learn":
        import torch

        from workers.train.compile.paper.learn import compare

        torch.set_num_threads(1)
        given.out.parent.mkdir(parents=True, exist_ok=True)
        compare(given.work, out=given.out, seed=given.seed, say=say, part=part)
        return 0
    if given.what == "publish":
        from workers.train.compile.paper.learn import publish_paper

        publish_paper(given.work, out=given.weights, seed=given.seed, say=say)
        return 0
    from workers.train.compile.paper import discover

    {"discover": discover.discover, "table": discover.table}[given.what](
        given.work, say=say, part=part
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
