"""`python -m workers.train plan order`: the order model of an outline's display."""

from __future__ import annotations

import argparse
from pathlib import Path

from workers.train.steps import add_step, progress, run_step, step_parser


def parser() -> argparse.ArgumentParser:
    """Return the command line of this kind."""
    root, steps = step_parser("plan", __doc__)
    order = add_step(steps, "order", _order, "train on outlines made from templates")
    order.add_argument("--outlines", type=int, default=4000, help="of each set")
    order.add_argument("--seed", type=int, default=0)
    order.add_argument(
        "--out", type=Path, help="file of the weights; default the shipped"
    )
    return root


def main(argv: list[str]) -> int:
    """Run one step."""
    return run_step(parser(), argv)


def _order(options: argparse.Namespace) -> None:
    from search.domains.plan.outline.display import WEIGHTS
    from workers.train.plan.order import document, fit, measure

    model = fit(options.outlines, seed=options.seed)
    accuracy = measure(model, options.outlines, seed=options.seed + 1)
    command = f"plan order --outlines {options.outlines} --seed {options.seed}"
    out = options.out or WEIGHTS
    out.write_text(document(model, accuracy, command))
    progress(options)(f"accuracy {accuracy:.3f} on {options.outlines} other outlines")
