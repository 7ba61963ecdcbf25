"""`python -m workers.train plan order | roles`: the order of a display, the roles of numbers."""

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
    roles = add_step(
        steps, "roles", _roles, "train on goals of all authors and on made-up ones"
    )
    roles.add_argument("--made-up", type=int, default=800, help="made-up goals")
    roles.add_argument("--seed", type=int, default=0, help="of the made-up goals")
    roles.add_argument(
        "--leave-out", nargs="*", help="authors to measure on; default fifth to seventh"
    )
    roles.add_argument(
        "--work",
        type=Path,
        default=Path("bench-results/train/plan-roles"),
        help="to resume from",
    )
    roles.add_argument("--out", type=Path, help="folder of the weights; default shipped")
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


def _roles(options: argparse.Namespace) -> None:
    from workers.train.plan.role_steps import train

    train(
        made_up=options.made_up,
        seed=options.seed,
        leave_out=options.leave_out,
        work=options.work,
        out=options.out,
        say=progress(options),
    )
