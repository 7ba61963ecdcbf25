"""`python -m workers.train.compile mine|mean|screen|keep|matrix|race|matrix|coreset|policy`, in this order.

After `python -m workers.corpus`; `encoders` compares nets. All resume but `race`, which goes on from the best known;
`mine`, `screen` and `matrix` can be split between processes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cost_models.weights import FOLDER
from solvers.llvm.types import Metric


def main(argv: list[str] | None = None) -> int:
    """Do what is named; progress goes to standard error."""
    parser = argparse.ArgumentParser(
        prog="python -m workers.train.compile", description=__doc__
    )
    parser.add_argument(
        "what",
        choices=[
            "mine",
            "mean",
            "screen",
            "keep",
            "matrix",
            "race",
            "coreset",
            "policy",
            "encoders",
        ],
    )
    parser.add_argument(
        "--work",
        type=Path,
        default=Path("bench-results/train/compile"),
        help="the corpus folder",
    )
    parser.add_argument(
        "--part",
        type=int,
        default=0,
        help="mine, screen, matrix: which part of the modules this process does",
    )
    parser.add_argument("--parts", type=int, default=1)
    parser.add_argument(
        "--metric", type=Metric, choices=list(Metric), default=Metric.LOADABLE_BYTES
    )
    parser.add_argument(
        "--count", type=int, default=20, help="coreset: how many candidates"
    )
    parser.add_argument(
        "--out", type=Path, default=FOLDER, help="coreset: where it is published"
    )
    parser.add_argument(
        "--results",
        type=Path,
        default=Path("bench-results") / "compile-encoders.jsonl",
        help="encoders",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="encoders: of weights and batches; race: of changes",
    )
    parser.add_argument("--seconds", type=float, default=900.0, help="race: how long")
    given = parser.parse_args(argv)

    def say(text: str) -> None:
        sys.stderr.write(f"{given.what}: {text}\n")
        sys.stderr.flush()

    if given.what == "mine":
        from workers.train.compile.mine import mine

        mine(given.work, metric=given.metric, say=say, part=(given.part, given.parts))
        return 0
    if given.what == "mean":
        from workers.train.compile.mine import best_on_mean

        best_on_mean(given.work, metric=given.metric, say=say)
        return 0
    if given.what in ("screen", "keep"):
        from workers.train.compile import screen

        if given.what == "screen":
            screen.screen(given.work, say=say, part=(given.part, given.parts))
        else:
            screen.keep(given.work, say=say)
        return 0
    if given.what == "matrix":
        from workers.train.compile.matrix import measure

        measure(
            given.work, splits=("train", "val"), say=say, part=(given.part, given.parts)
        )
        return 0
    if given.what == "race":
        from workers.train.compile.race import race

        race(
            given.work, metric=given.metric, seconds=given.seconds, seed=given.seed, say=say
        )
        return 0
    if given.what == "policy":
        from workers.train.compile.policy import train

        command = f"python -m workers.train.compile policy --metric {given.metric.value}"
        train(given.work, metric=given.metric, out=given.out, command=command, say=say)
        return 0
    if given.what == "encoders":
        import torch

        from workers.train.compile.encoders import compare

        torch.set_num_threads(1)
        compare(
            given.work, metric=given.metric, out=given.results, seed=given.seed, say=say
        )
        return 0
    from workers.train.compile.coreset import publish_coreset

    command = f"python -m workers.train.compile coreset --count {given.count}"
    publish_coreset(given.work, count=given.count, out=given.out, command=command, say=say)
    return 0


if __name__ == "__main__":
    sys.exit(main())
