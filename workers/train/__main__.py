"""`python -m workers.train sharding paper-compute|paper-exchange|compute|exchange [options]`
`python -m workers.train ilp collect|hindsight|policy [options]`. Everything resumes from where it was left."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from cost_models.weights import FOLDER, load_weights, manifest
from trimtab.specs.sharding import Hardware


def main(argv: list[str] | None = None) -> int:
    """Train what is named; progress goes to standard error."""
    parser = argparse.ArgumentParser(prog="python -m workers.train", description=__doc__)
    areas = parser.add_subparsers(dest="area", required=True)
    sharding = areas.add_parser("sharding", help="cost models of embedding sharding")
    sharding.add_argument(
        "what", choices=["paper-compute", "paper-exchange", "compute", "exchange", "all"]
    )
    sharding.add_argument(
        "--hardware", type=Hardware, choices=list(Hardware), default=Hardware.A100
    )
    sharding.add_argument(
        "--devices", type=int, default=4, help="device count of a paper-exchange net"
    )
    sharding.add_argument(
        "--member", type=int, default=0, help="which member of the ensemble"
    )
    sharding.add_argument(
        "--samples", type=int, default=100_000, help="sets per hardware profile"
    )
    sharding.add_argument("--epochs", type=int, default=100)
    sharding.add_argument("--seed", type=int, default=0)
    sharding.add_argument("--threads", type=int, default=1)
    sharding.add_argument(
        "--work",
        type=Path,
        default=Path("bench-results/train"),
        help="checkpoints, to resume from",
    )
    sharding.add_argument("--out", type=Path, default=FOLDER, help="where the weights go")
    ilp = areas.add_parser(
        "ilp", help="the neighbourhood scorer of integer programs (CL-LNS)"
    )
    ilp.add_argument("what", choices=["collect", "hindsight", "policy"])
    ilp.add_argument(
        "--instances",
        type=int,
        default=20,
        help="of each family, to collect from; seeds from 1",
    )
    ilp.add_argument("--epochs", type=int, default=30)
    ilp.add_argument("--seed", type=int, default=0)
    ilp.add_argument(
        "--published", action="store_true", help="policy: go on from the published weights"
    )
    ilp.add_argument("--rate", type=float, default=1e-3, help="policy: learning rate")
    ilp.add_argument("--threads", type=int, default=1)
    ilp.add_argument(
        "--work",
        type=Path,
        default=Path("bench-results/train"),
        help="states and checkpoints, to resume from",
    )
    ilp.add_argument("--out", type=Path, default=FOLDER, help="where the weights go")
    given = parser.parse_args(argv)

    def say(text: str) -> None:
        sys.stderr.write(f"{given.what}: {text}\n")
        sys.stderr.flush()

    return _ilp(given, say) if given.area == "ilp" else _sharding(given, say)


def _ilp(given: argparse.Namespace, say: Callable[[str], None]) -> int:
    states = given.work / "ilp-states"
    if given.what == "collect":
        from workers.train.ilp.states import Recipe, collect_all

        collect_all(
            states, instances=given.instances, first_seed=1, recipe=Recipe(), say=say
        )
        return 0
    if given.what == "hindsight":
        from workers.train.ilp import hindsight

        hindsight.collect_all(
            states, instances=given.instances, recipe=hindsight.Hindsight(), say=say
        )
        return 0
    import torch

    from workers.train.ilp import policy

    torch.set_num_threads(given.threads)
    command = f"python -m workers.train ilp policy --epochs {given.epochs} --seed {given.seed} --rate {given.rate:g}"
    policy.train(
        states,
        epochs=given.epochs,
        seed=given.seed,
        work=given.work,
        out=given.out,
        command=command + " --published" * given.published,
        say=say,
        start=load_weights(policy.NAME) if given.published else None,
        rate=given.rate,
    )
    return 0


def _sharding(given: argparse.Namespace, say: Callable[[str], None]) -> int:
    import torch  # only here: `--help` needs none

    from workers.train.sharding import compute, exchange

    torch.set_num_threads(given.threads)

    common = {
        "samples": given.samples,
        "epochs": given.epochs,
        "seed": given.seed,
        "work": given.work,
        "out": given.out,
        "say": say,
    }
    if given.what == "all":
        return _everything(given)
    match given.what:
        case "paper-compute":
            compute.paper_compute(given.hardware, **common)
        case "compute":
            compute.conditioned_compute(member=given.member, **common)
        case "paper-exchange":
            exchange.paper_exchange(given.hardware, given.devices, **common)
        case "exchange":
            exchange.conditioned_exchange(**common)
    return 0


def _everything(given: argparse.Namespace) -> int:
    """Every shipped weights file, by the commands its manifest row names; each resumes from its checkpoint."""
    where = [
        "--work",
        str(given.work),
        "--out",
        str(given.out),
        "--threads",
        str(given.threads),
    ]
    for row in manifest().values():
        command = str(row["command"]).split()
        if "sharding" not in command:
            continue
        code = main([*command[command.index("sharding") :], *where])
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
