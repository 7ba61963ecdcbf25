"""`python -m workers.bench dynamics NAME`: Scan and Snap beside training, and its limits."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workers.bench.lines import write_lines

# The arguments of `python -m workers.bench all`.
PUBLISHED: tuple[tuple[str, ...], ...] = (
    ("levels",),
    ("signs", "--steps", "300"),
    ("published",),
    ("validity", "--seeds", "3"),
    ("text", "--seeds", "3"),
)
SUITES = ("levels", "signs", "published", "validity", "text")
Line = dict[str, Any]


def main(argv: list[str]) -> int:
    """Run a suite; lines go to --out and to standard output."""
    options = _parser().parse_args(argv)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported
    lines: list[Line] = []

    def seen() -> Iterator[Line]:
        for line in _lines(options):
            lines.append(line)
            yield line

    suite = f"dynamics-{options.suite}"
    write_lines(seen(), suite=suite, seed=options.seed, out=options.out)
    if options.picture is not None:
        _draw(options.suite, lines, options.picture)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m workers.bench dynamics", description=__doc__
    )
    parser.add_argument(
        "suite",
        choices=SUITES,
        help="`levels`: closed form, reduced equation, population training, sampled SGD; `signs`: "
        "theorem 2 at every step; `published`: the 64 cells of figure 6, resumes from --out; "
        "`validity`: the profile law by the ratio of the rates; `text`: prose",
    )
    parser.add_argument("--seeds", type=int, default=10, help="runs, from --seed on")
    parser.add_argument("--steps", type=int, default=100, help="of SGD or of `signs`")
    parser.add_argument(
        "--horizon", type=float, default=8.0, help="of `levels`, in units of t0"
    )
    parser.add_argument(
        "--start",
        choices=("uniform", "zero"),
        default="uniform",
        help="first weights of `published`",
    )
    parser.add_argument("--picture", type=Path, help="SVG of `levels` or `validity`")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("bench-results/dynamics.jsonl"))
    return parser


def _lines(options: argparse.Namespace) -> Iterator[Line]:
    from gnn.dynamics.training import SgdParams
    from workers.bench.dynamics import levels, published, text

    seeds = range(options.seed, options.seed + options.seeds)
    match options.suite:
        case "levels":
            return levels.run(horizon=options.horizon, seed=options.seed)
        case "signs":
            return levels.signs(steps=options.steps)
        case "validity":
            return levels.validity(seeds=options.seeds, steps=options.steps)
        case "text":
            return text.run(
                rates=(0.5, 1.0, 2.0, 5.0), seeds=seeds, params=text.TextParams()
            )
        case _:
            return published.run(
                seeds=seeds,
                params=SgdParams(steps=options.steps),
                start=options.start,
                out=options.out,
            )


def _draw(suite: str, lines: list[Line], file: Path) -> None:
    from workers.bench.dynamics import levels
    from workers.bench.dynamics.picture import draw

    if suite == "levels":
        panels, label = (
            levels.panels(lines),
            "Margin and attention over training, by level",
        )
    elif suite == "validity":
        panels, label = levels.validity_panels(lines), "Error of the profile law by ratio"
    else:
        raise SystemExit(f"--picture: expected suite levels or validity, got {suite}")
    file.write_text(draw(panels, label=label))
