"""Steps `collect-tbe`, `collect-all-to-all` and `analyse` for measured costs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from workers.train.steps import Steps, add_step


def add_collect_steps(steps: Steps) -> None:
    """Add the steps that time a device, and the one that analyses their output."""
    _add_tbe(steps)
    exchange = add_step(
        steps,
        "collect-all-to-all",
        _all_to_all,
        "time forward and backward all-to-all, with ranks that start apart",
    )
    _add_shared_options(exchange)
    exchange.add_argument(
        "--ranks",
        type=int,
        default=4,
        help="number of processes to start; under torchrun its own count applies",
    )
    analyse = add_step(
        steps,
        "analyse",
        _analyse,
        "noise floor and simple models of a file of collect-tbe",
    )
    analyse.add_argument("file", type=Path)
    analyse.add_argument("--seed", type=int, default=0, help="of the 80/20 split")


def _add_tbe(steps: Steps) -> None:
    tbe = add_step(
        steps,
        "collect-tbe",
        _tbe,
        "time FBGEMM's fused look-up: forward, and backward with SGD",
    )
    _add_shared_options(tbe)
    tbe.add_argument(
        "--singles",
        type=int,
        default=0,
        help="number of the pool's tables to time alone as well",
    )
    tbe.add_argument(
        "--noise", type=int, default=0, help="number of samples to time again, many times"
    )
    tbe.add_argument(
        "--pool",
        type=int,
        default=5_000,
        help="number of table configurations to draw sets from",
    )
    tbe.add_argument("--max-rows", type=int, default=4_000_000)
    tbe.add_argument("--max-pooling", type=float, default=50.0)
    tbe.add_argument(
        "--max-gib", type=float, default=4.0, help="upper limit of a set's weights, GiB"
    )
    tbe.add_argument("--rebuilds", type=int, default=3)
    tbe.add_argument("--noise-rebuilds", type=int, default=12)
    tbe.add_argument(
        "--interleave",
        type=int,
        default=10,
        help="number of samples whose rebuilds alternate",
    )


def _add_shared_options(step: argparse.ArgumentParser) -> None:
    step.add_argument("--device", choices=["cpu", "cuda"], required=True)
    step.add_argument("--samples", type=int, required=True)
    step.add_argument("--batch", type=int, default=65_536)
    step.add_argument("--seed", type=int, default=0)
    step.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE.jsonl",
        help="output; an existing file is continued",
    )
    step.add_argument(
        "--threads", type=int, default=1, help="threads of torch on the CPU"
    )
    step.add_argument("--warm-ups", type=int, default=5)
    step.add_argument("--repeats", type=int, default=10)


def _tbe(options: argparse.Namespace) -> None:
    from workers.train.sharding.collect import tbe  # only here: other steps need no torch
    from workers.train.sharding.collect.random_sets import DrawLimits

    limits = DrawLimits(
        seed=options.seed,
        batch=options.batch,
        pool=options.pool,
        max_rows=options.max_rows,
        max_pooling=options.max_pooling,
        max_gib=options.max_gib,
    )
    protocol = tbe.Protocol(
        device=options.device,
        threads=options.threads,
        warm_ups=options.warm_ups,
        repeats=options.repeats,
        rebuilds=options.rebuilds,
        noise_rebuilds=options.noise_rebuilds,
        interleave=options.interleave,
    )
    amounts = tbe.Amounts(
        sets=options.samples, singles=options.singles, noise=options.noise
    )
    added = tbe.collect(options.out, limits, protocol, amounts)
    sys.stderr.write(f"{added} samples added to {options.out}\n")


def _all_to_all(options: argparse.Namespace) -> None:
    from workers.train.sharding.collect import all_to_all

    exchange = all_to_all.Options(
        device=options.device,
        ranks=options.ranks,
        samples=options.samples,
        batch=options.batch,
        seed=options.seed,
        threads=options.threads,
        warm_ups=options.warm_ups,
        repeats=options.repeats,
    )
    added = all_to_all.collect(options.out, exchange)
    if added is not None:
        sys.stderr.write(f"{added} samples added to {options.out}\n")


def _analyse(options: argparse.Namespace) -> None:
    from workers.train.sharding.collect import analyse, journal

    header, lines = journal.read(options.file)
    sys.stdout.write(analyse.report(header, lines, seed=options.seed) + "\n")
