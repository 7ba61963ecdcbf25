"""`python -m workers.train text STEP`: the head that holds a text to its item.

`control` reads documentation with the embedded language model, trains a head on the cached states
and measures it; `publish` adds the result to the shipped weights. The documentation is that of
Debian packages: `apt-get install --no-install-recommends postgresql-doc-15 python3.11-doc
sqlite3-doc apache2-doc`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workers.train.steps import (
    Say,
    StepError,
    add_step,
    progress,
    run_step,
    step_parser,
)
from workers.train.text.passages import PACKAGES, Part

if TYPE_CHECKING:
    from workers.train.text.fit import FitParams

TEXTS, HELD_OUT, SHARE = 3000, 600, 0.5
WORK = Path("bench-results/train/text")
HEAD, MEASURED = "head.safetensors", "head.json"
_SCALARS = "--scalars-only"


def parser() -> argparse.ArgumentParser:
    """Return the command line of this kind."""
    root, steps = step_parser("text", __doc__)
    states = add_step(
        steps, "states", _states, "read texts with the language model; resumes"
    )
    _add_data(states)
    control = add_step(steps, "control", _control, "read, train and measure; resumes")
    _add_data(control)
    control.add_argument("--epochs", type=int, default=4)
    control.add_argument("--rank", type=int, default=256)
    control.add_argument("--fit-seed", type=int, default=0)
    control.add_argument(
        "--without-hard",
        action="store_true",
        help="without spliced texts: the arm of the drift test that must not notice a splice",
    )
    control.add_argument(
        "--scalars-only",
        action="store_true",
        help="keep the matrices of the shipped head",
    )
    publish = add_step(steps, "publish", _publish, "add the head to the shipped weights")
    publish.add_argument("--work", type=Path, default=WORK)
    publish.add_argument(
        "--out", type=Path, help="folder of the weights; default the shipped"
    )
    return root


def main(argv: list[str]) -> int:
    """Run one step."""
    return run_step(parser(), argv)


def _add_data(step: argparse.ArgumentParser) -> None:
    step.add_argument("--texts", type=int, default=TEXTS, help="texts to train on")
    step.add_argument(
        "--held-out", type=int, default=HELD_OUT, help="texts to measure on"
    )
    step.add_argument(
        "--share", type=float, default=SHARE, help="of the documents, for items and texts"
    )
    step.add_argument("--seed", type=int, default=0)
    step.add_argument("--threads", type=int, default=1, help="threads of torch")
    step.add_argument(
        "--work",
        type=Path,
        default=WORK,
        help="cached states and checkpoints, to resume from",
    )


def _states(options: argparse.Namespace) -> Any:
    """Read what is missing; return the sections and the reader."""
    import torch

    from workers.train.text.passages import sections
    from workers.train.text.reader import EmbeddedReader
    from workers.train.text.states import make_states

    torch.set_num_threads(options.threads)
    pages = sections(share=options.share)
    if len({section.part for section in pages}) < 3:
        raise StepError(
            f"packages: expected the pages of {', '.join(PACKAGES)}, got {len(pages)} sections; "
            f"run `apt-get install --no-install-recommends {' '.join(PACKAGES)}`"
        )
    reader = EmbeddedReader()
    counts: dict[Part, int] = {
        "train": options.texts,
        "valid": options.held_out // 2,
        "test": options.held_out,
    }
    say = progress(options)
    make_states(pages, reader, options.work, counts=counts, seed=options.seed, say=say)
    return pages, reader


def _control(options: argparse.Namespace) -> None:
    from cost_models.text.head import head_name
    from cost_models.weights import load_weights
    from workers.llm.weights import EMBEDDED
    from workers.train.text.fit import FitParams
    from workers.train.text.train import train_head

    pages, reader = _states(options)
    params = FitParams(
        epochs=options.epochs,
        rank=options.rank,
        hard=not options.without_hard,
        seed=options.fit_seed,
    )
    measured = train_head(
        pages,
        reader,
        params,
        work=options.work,
        command=_command(options, params),
        say=progress(options),
        shipped=load_weights(head_name(EMBEDDED.name)) if options.scalars_only else None,
    )
    _tell(measured, progress(options))


def _command(options: argparse.Namespace, params: FitParams) -> str:
    from cost_models.text.head import head_name
    from cost_models.weights import manifest
    from workers.llm.weights import EMBEDDED

    command = (
        f"python -m workers.train text control --texts {options.texts} --share {options.share:g} "
        f"--seed {options.seed} --epochs {params.epochs} --rank {params.rank} "
        f"--fit-seed {params.seed}{'' if params.hard else ' --without-hard'}"
    )
    if not options.scalars_only:
        return command
    begun = str(manifest()[head_name(EMBEDDED.name)]["command"])
    return begun if begun.endswith(_SCALARS) else f"{begun} && {command} {_SCALARS}"


def _tell(measured: dict[str, Any], say: Say) -> None:
    for form, row in measured["auc"].items():
        say(
            f"{form} AUC "
            + ", ".join(f"{name} {value:.3f}" for name, value in row.items())
        )
    for name, values in measured["drift"].items():
        say(f"log D after the boundary, {name}: " + " ".join(f"{v:.2f}" for v in values))


def _publish(options: argparse.Namespace) -> None:
    from safetensors.numpy import load_file

    from cost_models.text.head import head_name
    from cost_models.weights import FOLDER
    from cost_models.weights.publish import publish
    from workers.llm.weights import EMBEDDED

    path = options.work / HEAD
    if not path.is_file():
        raise StepError(
            f"work: expected {path}, got nothing; run the step `control` first"
        )
    measured = json.loads((options.work / MEASURED).read_text())
    auc = measured["auc"]["one_pass"]
    publish(
        head_name(EMBEDDED.name),
        load_file(path),
        folder=options.out or FOLDER,
        command=measured["command"],
        data=measured["data"],
        metric=(
            f"held-out documents: AUC {auc['all']:.3f}, against the items of spliced texts "
            f"{auc['hard']:.3f}"
        ),
    )
