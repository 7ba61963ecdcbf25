"""`python -m workers.train ilp STEP`: the neighbourhood policy of integer programs (CL-LNS).

`collect` or `hindsight` makes the states that `policy` trains on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from cost_models.weights import FOLDER, load_weights
from workers.train.steps import Steps, add_step, progress, run_step, step_parser

# Those of gnn.policies.relational, which imports torch.
ENCODERS = ("paper", "grmp", "rgcn", "gat", "gine")


def parser() -> argparse.ArgumentParser:
    """Return the command line of this kind."""
    root, steps = step_parser("ilp", __doc__)
    collect = add_step(steps, "collect", _collect, "states from a local-branching expert")
    hindsight = add_step(
        steps, "hindsight", _hindsight, "states from ordinary runs, read backwards"
    )
    for step in (collect, hindsight):
        step.add_argument(
            "--instances",
            type=int,
            default=20,
            help="of each family, to collect from; seeds from 1",
        )
        _add_work(step)
    _add_policy(steps)
    return root


def main(argv: list[str]) -> int:
    """Run one step."""
    return run_step(parser(), argv)


def _add_policy(steps: Steps) -> None:
    step = add_step(steps, "policy", _policy, "train the policy on the collected states")
    step.add_argument("--epochs", type=int, default=30)
    step.add_argument("--seed", type=int, default=0)
    step.add_argument(
        "--published", action="store_true", help="start from the published weights"
    )
    step.add_argument("--rate", type=float, default=1e-3, help="learning rate")
    step.add_argument(
        "--encoder",
        choices=ENCODERS,
        default=ENCODERS[0],
        help="of the graph; other than the paper's: compared, not published",
    )
    step.add_argument("--threads", type=int, default=1, help="threads of torch")
    step.add_argument("--out", type=Path, default=FOLDER, help="folder of the weights")
    _add_work(step)


def _add_work(step: argparse.ArgumentParser) -> None:
    step.add_argument(
        "--work",
        type=Path,
        default=Path("bench-results/train"),
        help="states and checkpoints, to resume from",
    )


def _states(options: argparse.Namespace) -> Path:
    work: Path = options.work
    return work / "ilp-states"


def _collect(options: argparse.Namespace) -> None:
    from workers.train.ilp.published import collect_all_expert
    from workers.train.ilp.states import ExpertParams

    collect_all_expert(
        _states(options),
        instances=options.instances,
        first_seed=1,
        params=ExpertParams(),
        say=progress(options),
    )


def _hindsight(options: argparse.Namespace) -> None:
    from workers.train.ilp.hindsight import HindsightParams
    from workers.train.ilp.published import collect_all_hindsight

    collect_all_hindsight(
        _states(options),
        instances=options.instances,
        params=HindsightParams(),
        say=progress(options),
    )


def _policy(options: argparse.Namespace) -> None:
    import torch  # only here: `--help` and the other steps need no torch

    from workers.train.ilp import policy

    torch.set_num_threads(options.threads)
    command = (
        f"python -m workers.train ilp policy --epochs {options.epochs} "
        f"--seed {options.seed} --rate {options.rate:g}"
    )
    policy.train(
        _states(options),
        policy.TrainParams(
            epochs=options.epochs,
            seed=options.seed,
            rate=options.rate,
            encoder=options.encoder,
        ),
        work=options.work,
        out=options.out,
        command=command + " --published" * options.published,
        say=progress(options),
        start=load_weights(policy.NAME) if options.published else None,
    )
