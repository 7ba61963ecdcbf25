"""`python -m workers.train sharding STEP`: cost models of embedding sharding.

The `collect-` steps time look-ups and exchanges on a device; `analyse` reads what they wrote.
The other steps train on the simulated oracle and write the shipped weights.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cost_models.weights import FOLDER, manifest
from trimtab.specs.sharding import Hardware
from workers.train.sharding.collect.steps import add_collect_steps
from workers.train.steps import Steps, add_step, progress, run_step, step_parser


def parser() -> argparse.ArgumentParser:
    """Return the command line of this kind."""
    root, steps = step_parser("sharding", __doc__)
    _add_paper_steps(steps)
    compute = add_step(steps, "compute", _compute, "one member of our compute ensemble")
    compute.add_argument("--member", type=int, default=0, help="index in the ensemble")
    exchange = add_step(
        steps, "exchange", _exchange, "our model of the all-to-all exchange"
    )
    for step in (compute, exchange):
        _add_training_options(step)
    every = add_step(
        steps, "all", _all, "every shipped sharding net, by the commands of MANIFEST.toml"
    )
    _add_shared_options(every)
    add_collect_steps(steps)
    return root


def main(argv: list[str]) -> int:
    """Run one step."""
    return run_step(parser(), argv)


def _add_paper_steps(steps: Steps) -> None:
    compute = add_step(steps, "paper-compute", _paper_compute, "NeuroShard's compute net")
    exchange = add_step(
        steps, "paper-exchange", _paper_exchange, "NeuroShard's exchange net"
    )
    exchange.add_argument(
        "--devices", type=int, default=4, help="device count of the net"
    )
    for step in (compute, exchange):
        step.add_argument(
            "--hardware", type=Hardware, choices=list(Hardware), default=Hardware.A100
        )
        _add_training_options(step)


def _add_training_options(step: argparse.ArgumentParser) -> None:
    step.add_argument(
        "--samples", type=int, default=100_000, help="sets per hardware profile"
    )
    step.add_argument("--epochs", type=int, default=100)
    step.add_argument("--seed", type=int, default=0)
    _add_shared_options(step)


def _add_shared_options(step: argparse.ArgumentParser) -> None:
    step.add_argument("--threads", type=int, default=1, help="threads of torch")
    step.add_argument(
        "--work",
        type=Path,
        default=Path("bench-results/train"),
        help="checkpoints, to resume from",
    )
    step.add_argument("--out", type=Path, default=FOLDER, help="folder of the weights")


def _training(options: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments that all training functions share; limits the threads of torch."""
    import torch  # only here: `--help` and the collect steps' parsers need no torch

    torch.set_num_threads(options.threads)
    return {
        "samples": options.samples,
        "epochs": options.epochs,
        "seed": options.seed,
        "work": options.work,
        "out": options.out,
        "say": progress(options),
    }


def _paper_compute(options: argparse.Namespace) -> None:
    from workers.train.sharding.compute import paper_compute

    paper_compute(options.hardware, **_training(options))


def _paper_exchange(options: argparse.Namespace) -> None:
    from workers.train.sharding.exchange import paper_exchange

    paper_exchange(options.hardware, options.devices, **_training(options))


def _compute(options: argparse.Namespace) -> None:
    from workers.train.sharding.compute import conditioned_compute

    conditioned_compute(member=options.member, **_training(options))


def _exchange(options: argparse.Namespace) -> None:
    from workers.train.sharding.exchange import conditioned_exchange

    conditioned_exchange(**_training(options))


def _all(options: argparse.Namespace) -> None:
    """Run the command of every manifest row of this kind; each resumes from its checkpoint."""
    shared = ["--work", str(options.work), "--out", str(options.out)]
    shared += ["--threads", str(options.threads)]
    for row in manifest().values():
        words = str(row["command"]).split()
        if words[:4] == ["python", "-m", "workers.train", "sharding"]:
            main([*words[4:], *shared])
