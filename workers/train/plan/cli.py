"""`python -m workers.train plan order | roles | graphs | choice`.

The order of a display, the roles of numbers, the graph of a goal, the choice of a reader.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from workers.train.steps import Steps, add_step, progress, run_step, step_parser


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
    _add_graphs(steps)
    choice = add_step(steps, "choice", _choice, "fit the choice between two readers")
    choice.add_argument(
        "--graphs",
        type=Path,
        help="folder of weights of a graph reader that has not seen the authors of --goals",
    )
    choice.add_argument("--goals", type=Path, nargs="*", default=[], help="JSON lines")
    choice.add_argument(
        "--work",
        type=Path,
        default=Path("bench-results/train/plan-choice"),
        help="rated goals, to resume from and to fit again",
    )
    choice.add_argument("--out", type=Path, help="file of the weights; default shipped")
    return root


def _add_graphs(steps: Steps) -> None:
    graphs = add_step(
        steps, "graphs", _graphs, "train the reader of whole graphs on marked goals"
    )
    graphs.add_argument("--epochs", type=int, default=4, help="of the first training")
    graphs.add_argument("--more-epochs", type=int, default=2, help="of the second")
    graphs.add_argument("--layers", type=int, default=6, help="of MiniLM")
    graphs.add_argument("--seed", type=int, default=0)
    graphs.add_argument(
        "--leave-out", nargs="*", default=[], help="authors for the second training alone"
    )
    graphs.add_argument(
        "--never",
        nargs="*",
        default=["fourteenth", "thirty-first"],
        help="authors to measure on",
    )
    graphs.add_argument(
        "--goals", nargs="*", type=Path, default=[], help="files; default: the tree's"
    )
    graphs.add_argument(
        "--work",
        type=Path,
        default=Path("bench-results/train/plan-graphs"),
        help="to resume from",
    )
    graphs.add_argument("--out", type=Path, help="folder of the weights; default shipped")


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


def _graphs(options: argparse.Namespace) -> None:
    from workers.train.plan.graph_fit import Plan
    from workers.train.plan.graph_net import Sizes
    from workers.train.plan.graph_steps import train

    train(
        plan=Plan(
            epochs=options.epochs, seed=options.seed, sizes=Sizes(layers=options.layers)
        ),
        more_epochs=options.more_epochs,
        leave_out=options.leave_out,
        never=options.never,
        files=options.goals,
        work=options.work,
        out=options.out,
        say=progress(options),
    )


def _choice(options: argparse.Namespace) -> None:
    from search.domains.plan.choosing.choice import WEIGHTS
    from workers.train.plan.choice import train

    goals = " ".join(path.stem for path in options.goals)
    train(
        graphs=options.graphs,
        goals=options.goals,
        work=options.work,
        out=options.out or WEIGHTS,
        command=f"python -m workers.train plan choice; goals: {goals or 'as rated before'}",
        say=progress(options),
    )
