"""`python -m workers.bench pretrain NAME`: losses of self-supervised learning on a known graph."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workers.bench.lines import earlier_lines, write_lines

# Arguments of `python -m workers.bench all`.
PUBLISHED = (("bed",), ("selection",), ("labels",))
SUITES = ("bed", "selection", "labels")
TASKS = ("antennas", "programs")


def main(argv: list[str]) -> int:
    """Run a suite; lines go to --out and to standard output."""
    parser = argparse.ArgumentParser(
        prog="python -m workers.bench pretrain", description=__doc__
    )
    parser.add_argument(
        "suite",
        choices=SUITES,
        help="`bed`: probes of every loss and of the controls; `selection`: label-free scores "
        "against the probe over settings of VICReg; `labels`: label-efficiency curves and the "
        "rule's verdict by domain, resumes from --out",
    )
    parser.add_argument("--seeds", type=int, default=5, help="graphs, from --seed on")
    parser.add_argument("--steps", type=int, default=150, help="of pre-training")
    parser.add_argument(
        "--tasks", nargs="+", choices=TASKS, default=list(TASKS), help="of `labels`"
    )
    parser.add_argument("--graphs", type=int, default=240, help="of each task, at most")
    parser.add_argument("--width", type=int, default=16, help="of the encoder")
    parser.add_argument(
        "--corpus", type=Path, default=Path("bench-results/train/compile")
    )
    parser.add_argument(
        "--shards", type=Path, default=Path("bench-results/train/antenna")
    )
    parser.add_argument("--work", type=Path, default=Path("bench-results/encoders"))
    parser.add_argument("--picture", type=Path, help="SVG of `labels`")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("bench-results/pretrain.jsonl"))
    options = parser.parse_args(argv)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported
    suite = f"pretrain-{options.suite}"
    write_lines(_lines(options), suite=suite, seed=options.seed, out=options.out)
    return 0


def _lines(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    from workers.bench.pretrain import bed

    if options.suite == "labels":
        return _labels(options)
    function = bed.run if options.suite == "bed" else bed.selection
    seeds = range(options.seed, options.seed + options.seeds)
    return function(seeds=seeds, steps=options.steps)


def _labels(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    import torch

    from workers.bench.pretrain import label_domains, label_picture, labels

    torch.set_num_threads(1)
    earlier = earlier_lines(options.out)
    params = labels.CurveParams(
        width=options.width, pretrain_steps=options.steps, steps=options.steps
    )

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    cards = []
    for name in options.tasks:
        if name == "antennas":
            domain = label_domains.antennas(options.shards, most=options.graphs, say=say)
        else:
            domain = label_domains.programs(
                options.corpus, options.work, most=options.graphs, say=say
            )
        for line in labels.run(
            domain,
            seeds=range(options.seed, options.seed + options.seeds),
            params=params,
            earlier=[line for line in earlier if line["run_seed"] != "all"],
        ):
            if line["run_seed"] == "all":
                cards.append(line)
            yield line
    if options.picture is not None:
        options.picture.write_text(label_picture.draw_cards(cards))
