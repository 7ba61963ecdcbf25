"""`python -m workers.train antenna STEP`: surrogates of antennas.

`data` solves designs, `fit` trains on them and measures, `publish` adds the result to the shipped
weights. `python -m workers.train antenna --board FILE` does the first two for a board of your own
and writes a file that a job's `model` can name.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from workers.train.antenna.boards import DEFAULT, TrainingBoard, read_board
from workers.train.steps import (
    StepError,
    add_step,
    progress,
    run_step,
    step_parser,
)

SAMPLES, FINE_SAMPLES = 40_000, 4_000
NAME = "antenna-duroid"
_TRUNKS, _HEADS = (
    ("cnn", "attention", "mlp"),
    ("modal", "rlc", "pr", "czps", "czp", "direct", "db"),
)


def parser() -> argparse.ArgumentParser:
    """Return the command line of this kind."""
    root, steps = step_parser("antenna", __doc__)
    collect = add_step(
        steps, "data", _collect, "solve designs; several processes may run it"
    )
    _add_data(collect)
    _add_work(collect)
    train = add_step(steps, "fit", _fit, "train on the solved designs; resumes")
    _add_plan(train)
    _add_work(train)
    train.add_argument(
        "--out", type=Path, help="file of the surrogate; default in --work"
    )
    publish = add_step(
        steps, "publish", _publish, "add a trained file to the shipped weights"
    )
    publish.add_argument("file", type=Path)
    publish.add_argument("--name", default=NAME, help="name of the manifest's row")
    publish.add_argument("--command", required=True, help="command that made the file")
    publish.add_argument(
        "--out", type=Path, help="folder of the weights; default the shipped"
    )
    whole = add_step(steps, "board", _board_step, "both steps, for a board of your own")
    _add_data(whole)
    _add_plan(whole)
    _add_work(whole)
    whole.add_argument(
        "--out", type=Path, help="file of the surrogate; default in --work"
    )
    return root


def main(argv: list[str]) -> int:
    """Run one step; options alone are those of `board`."""
    words = ["board", *argv] if argv and argv[0].startswith("--board") else argv
    return run_step(parser(), words)


def _add_data(step: argparse.ArgumentParser) -> None:
    step.add_argument("--samples", type=_count, default=SAMPLES, help="coarse designs")
    step.add_argument(
        "--fine", type=_count_or_none, default=FINE_SAMPLES, help="fine designs; may be 0"
    )
    step.add_argument("--seed", type=int, default=0)


def _add_plan(step: argparse.ArgumentParser) -> None:
    step.add_argument("--trunk", choices=_TRUNKS, default="cnn")
    step.add_argument("--head", choices=_HEADS, default="modal")
    step.add_argument("--width", type=_count, default=32, help="of the trunk")
    step.add_argument("--depth", type=_count, default=3, help="blocks of the trunk")
    step.add_argument("--readout", type=_count, default=128, help="before the head")
    step.add_argument("--poles", type=_count, help="of the head; default 12, or 20 modes")
    step.add_argument("--epochs", type=int, default=30, help="passes, coarse mesh")
    step.add_argument("--fine-epochs", type=int, default=40, help="passes, fine mesh")
    step.add_argument("--batch", type=_count, default=32)
    step.add_argument("--rate", type=float, default=2e-3, help="learning rate")
    step.add_argument(
        "--start", type=Path, help="surrogate to begin with, of this or another board"
    )
    step.add_argument("--fit-seed", type=int, default=0)
    step.add_argument("--threads", type=int, default=1, help="threads of torch")


def _add_work(step: argparse.ArgumentParser) -> None:
    step.add_argument("--board", type=Path, help="JSON file of another board")
    step.add_argument(
        "--work",
        type=Path,
        default=Path("bench-results/train/antenna"),
        help="shards and checkpoints, to resume from; one folder a board",
    )


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a positive number, got {text}")
    return value


def _count_or_none(text: str) -> int:
    return 0 if text == "0" else _count(text)


def _board(options: argparse.Namespace) -> TrainingBoard:
    board = DEFAULT if options.board is None else read_board(options.board)
    options.work.mkdir(parents=True, exist_ok=True)
    noted = options.work / "board.sha256"
    if noted.is_file() and noted.read_text() != board.digest:
        raise StepError(
            f"work: expected a folder of this board, got {options.work} of another one; "
            "choose another folder"
        )
    noted.write_text(board.digest)
    return board


def _collect(options: argparse.Namespace) -> None:
    from workers.train.antenna.shards import make_shards

    make_shards(
        _board(options),
        options.work,
        samples=options.samples,
        fine=options.fine,
        seed=options.seed,
        say=progress(options),
    )


def _fit(options: argparse.Namespace) -> None:
    import torch  # only here: `--help` and the other steps need no torch

    from cost_models.antenna.heads import Head
    from cost_models.antenna.nets import Trunk
    from cost_models.antenna.surrogate import Surrogate
    from workers.train.antenna.train import Plan, make_surrogate

    torch.set_num_threads(options.threads)
    plan = Plan(
        trunk=Trunk(options.trunk),
        head=Head(options.head),
        width=options.width,
        depth=options.depth,
        readout=options.readout,
        poles=options.poles or (20 if options.head == "modal" else 12),
        epochs=options.epochs,
        fine_epochs=options.fine_epochs,
        batch=options.batch,
        rate=options.rate,
        seed=options.fit_seed,
    )
    surrogate = make_surrogate(
        _board(options),
        options.work,
        plan,
        say=progress(options),
        start=None if options.start is None else Surrogate.load(options.start),
    )
    out = options.out or options.work / "surrogate.safetensors"
    part = out.with_suffix(".part")
    part.write_bytes(surrogate.to_bytes())
    os.replace(part, out)
    card = out.with_suffix(".json")
    card.write_text(json.dumps(json.loads(surrogate.facts.to_json()), indent=2) + "\n")
    print(out)


def _board_step(options: argparse.Namespace) -> None:
    if options.board is None:
        raise StepError("board: expected --board FILE, got none")
    _collect(options)
    _fit(options)


def _publish(options: argparse.Namespace) -> None:
    from cost_models.antenna.surrogate import PREFIX, Surrogate
    from cost_models.weights import FOLDER
    from cost_models.weights.publish import publish_file

    if not options.name.startswith(PREFIX):
        raise StepError(
            f"name: expected one that begins with {PREFIX!r}, got {options.name!r}"
        )
    surrogate = Surrogate.load(options.file)
    facts = surrogate.facts
    figures = ", ".join(f"{name} {value:.3g}" for name, value in facts.errors.items())
    publish_file(
        f"{options.name}.safetensors",
        surrogate.to_bytes(),
        folder=options.out or FOLDER,
        command=options.command,
        data=facts.data_sha256,
        metric=f"held-out designs: {figures}",
    )
