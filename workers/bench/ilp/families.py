"""`python -m workers.bench ilp families`: a policy fitted to a family, over none.

For each family and regime a policy is fitted to instances of seeds 1, 2, …; then held-out instances
are searched with the fitted arm beside the default ones and without it, from one start. Only the
neighbourhood search runs, in one process, and all seconds are of its processor time: the figures
hold on a busy machine. They say what the arm adds to the search, not what a whole run gains, where
a complete solver shares the incumbents. The file of results resumes: one line for each run.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from solvers.types import Floats, MilpModel
from trimtab import cards
from trimtab.specs.ilp import LnsOptions
from workers.bench.ilp import metrics
from workers.bench.lines import earlier_lines
from workers.bench.stats import machine, ratio_of_means
from workers.corpus.mixed_programs import FAMILIES, REGIMES, generate
from workers.train.ilp.trial import first_solution, run_trial

WITH, WITHOUT = "with", "without"
FIRST_SEED = 1000
_LEAST_S = 1e-9  # of a primal integral, of which ratios are taken
Row = dict[str, Any]


def main(argv: Sequence[str]) -> int:
    """Fit, run and report; or report the lines of earlier files."""
    options = _parser().parse_args(argv)
    if options.report:
        lines = [
            line for file in options.report for line in file.read_text().splitlines()
        ]
        print_report([json.loads(line) for line in lines])
        return 0
    import torch  # only here: a report needs none

    torch.set_num_threads(1)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for family, regime in itertools.product(options.families, options.regimes):
        policy = _fitted(family, regime, options)
        for row in _runs(family, regime, policy, options):
            print(json.dumps({k: v for k, v in row.items() if k != "trace"}), flush=True)
            with options.out.open("a") as out:
                out.write(json.dumps(row) + "\n")
    print_report(earlier_lines(options.out))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m workers.bench ilp families", description=__doc__
    )
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--regimes", nargs="+", choices=REGIMES, default=list(REGIMES))
    parser.add_argument(
        "--size", default="S", help="of all families that have it; else S"
    )
    parser.add_argument("--train", type=int, default=30, help="instances to fit to")
    parser.add_argument(
        "--train-seconds", type=float, default=3600.0, help="of a fit, processor time"
    )
    parser.add_argument("--instances", type=int, default=8, help="held out")
    parser.add_argument(
        "--starts", nargs="+", choices=("warm", "cold"), default=["warm", "cold"]
    )
    parser.add_argument(
        "--warm-seconds", type=float, default=30.0, help="of the search to a warm start"
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="of a run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--work", type=Path, default=Path("bench-results/families"), help="policies"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("bench-results/ilp-families.jsonl")
    )
    parser.add_argument("--report", type=Path, nargs="+", help="run nothing")
    return parser


def _size(family: str, wanted: str) -> str:
    return wanted if wanted in FAMILIES[family].sizes else "S"


def _folder(family: str, regime: str, options: argparse.Namespace) -> Path:
    work: Path = options.work
    return work / f"{family}-{_size(family, options.size)}-{regime}-{options.train}"


def _fitted(
    family: str, regime: str, options: argparse.Namespace
) -> Mapping[str, np.ndarray]:
    """Return the family's policy; fit it unless its weights are there."""
    from workers.train.ilp.fitting import WEIGHTS, Progress, fit, load_policy

    folder = _folder(family, regime, options)
    path = folder / WEIGHTS
    if path.is_file():
        return load_policy(path)
    size = _size(family, options.size)
    began = time.process_time()

    def progress(at: Progress) -> None:
        text = f"{family} {regime}: {at.stage} {at.step}/{at.steps} {at.text}"
        print(f"{text} {time.process_time() - began:.0f} s", file=sys.stderr, flush=True)

    models = [
        generate(family, seed, size=size, regime=regime)
        for seed in range(1, options.train + 1)
    ]
    return load_policy(
        fit(
            models,
            seconds=options.train_seconds,
            seed=options.seed,
            folder=folder,
            progress=progress,
        )
    )


def _runs(
    family: str,
    regime: str,
    policy: Mapping[str, np.ndarray],
    options: argparse.Namespace,
) -> Iterator[Row]:
    """Yield a line for each run that the output file lacks."""
    size = _size(family, options.size)
    measured = {_key(row) for row in earlier_lines(options.out)}
    for number, start in itertools.product(range(options.instances), options.starts):
        held_out = FIRST_SEED + number
        model = generate(family, held_out, size=size, regime=regime)
        x: Floats | None = None
        # Turns, so that a slow hour of the machine affects both alike.
        for arm in (WITH, WITHOUT)[:: 1 if number % 2 else -1]:
            row: Row = {
                "suite": "ilp families",
                "family": family,
                "size": size,
                "regime": regime,
                "instance": held_out,
                "start": start,
                "arm": arm,
                "limit": options.seconds,
                "warm_s": options.warm_seconds if start == "warm" else 0.0,
                "train": options.train,
                "train_s": options.train_seconds,
                "seed": options.seed,
            }
            if _key(row) in measured:
                continue
            if x is None:
                x = _start(model, row, _folder(family, regime, options))
            if x is None:
                yield {**row, "trace": [], "machine": machine()}
                continue
            yield {**row, **_run(model, x, policy if arm == WITH else None, row)}


def _start(model: MilpModel, row: Row, folder: Path) -> Floats | None:
    """Return (n,) the common start of an instance, made once and kept in a file."""
    path = folder / f"start-{row['instance']}-{row['warm_s']:g}-{row['seed']}.npy"
    if path.is_file():
        x: Floats = np.load(path, allow_pickle=False)
        return x
    rng = np.random.default_rng((row["seed"], 17))
    first = first_solution(model, seconds=60.0, rng=rng)
    if first is None:
        return None
    if row["warm_s"]:
        words = LnsOptions().neighbourhoods
        first = run_trial(
            model, first, words=words, seconds=row["warm_s"], seed=row["seed"]
        ).x
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npy")
    np.save(part, first, allow_pickle=False)
    os.replace(part, path)
    return first


def _run(
    model: MilpModel, x: Floats, policy: Mapping[str, np.ndarray] | None, row: Row
) -> Row:
    from workers.train.ilp.fitting import LEARNED

    words = LnsOptions().neighbourhoods
    notes: list[str] = []
    trial = run_trial(
        model,
        x,
        words=words if policy is None else (*words, LEARNED),
        seconds=row["limit"],
        seed=row["seed"],
        policy=policy,
        note=notes.append,
    )
    return {
        "trace": [(round(at, 3), value) for at, value in trial.log.trace],
        "objective": trial.objective,
        "arms": {
            name: {
                "calls": arm.calls,
                "improvements": arm.improvements,
                "seconds": round(arm.seconds, 2),
                "size": trial.sizes.get(name, 0),
            }
            for name, arm in trial.arms.items()
        },
        "notes": notes,
        "machine": machine(),
    }


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    names = ("family", "size", "regime", "instance", "start", "arm")
    return tuple(row[name] for name in (*names, "limit", "warm_s", "train", "seed"))


def print_report(rows: Sequence[Row]) -> None:
    """Print for each family, regime and start the primal integral with the arm over without."""
    for one in compared(rows):
        name = " ".join(one.group)
        print(
            f"{name:48s} {one.instances} instances  primal integral {one.with_s:.3f} s with, "
            f"{one.without_s:.3f} s without, ratio {one.ratio[0]:.3f} "
            f"[{one.ratio[1]:.3f}, {one.ratio[2]:.3f}]  "
            f"final better {one.ends.count(-1)}, tied {one.ends.count(0)}, "
            f"worse {one.ends.count(1)}"
        )


@dataclass(frozen=True, kw_only=True)
class Compared:
    """The arm over no arm, on the instances of one family, size, regime and start."""

    group: tuple[str, ...]
    instances: int
    with_s: float  # mean primal integral
    without_s: float
    ratio: tuple[float, float, float]  # of the means, and its 95 % interval
    ends: tuple[int, ...]  # of each instance: -1 with the better final objective, 0, 1
    card: (
        cards.Decision | None
    )  # by the rule of a card; None with too few instances for one


def compared(rows: Sequence[Row]) -> list[Compared]:
    """Return the comparison of each group that has a pair of runs."""
    groups: dict[tuple[str, ...], dict[tuple[Any, ...], dict[str, Row]]] = {}
    for row in rows:
        group = tuple(str(row[name]) for name in ("family", "size", "regime", "start"))
        instance = (row["instance"], row["limit"], row["warm_s"], row["train"])
        groups.setdefault(group, {}).setdefault(instance, {})[row["arm"]] = row
    results = []
    for group, instances in groups.items():
        pairs = [
            (runs[WITH], runs[WITHOUT])
            for runs in instances.values()
            if len(runs) == 2 and runs[WITH]["trace"]
        ]
        if not pairs:
            continue
        own, other = zip(*(_integrals(*pair) for pair in pairs), strict=True)
        results.append(
            Compared(
                group=group,
                instances=len(pairs),
                with_s=float(np.mean(own)),
                without_s=float(np.mean(other)),
                ratio=ratio_of_means(own, other),
                ends=tuple(
                    metrics.compared(a["objective"], b["objective"]) for a, b in pairs
                ),
                card=_card(own, other),
            )
        )
    return results


def _card(own: Sequence[float], other: Sequence[float]) -> cards.Decision | None:
    """Return what a card of these primal integrals decides."""
    if len(own) < cards.LEAST_HELD_OUT:
        return None
    rows = [
        cards.CardRow(
            instance=str(number),
            key=str(number),
            shipped=max(_LEAST_S, shipped),
            fitted=max(_LEAST_S, fitted),
        )
        for number, (fitted, shipped) in enumerate(zip(own, other, strict=True))
    ]
    metric = cards.Metric(name="primal integral", unit="s", compared=cards.Compared.RATIO)
    return cards.judged(rows, metric, seed=0)[1]


def _integrals(one: Row, other: Row) -> tuple[float, float]:
    """Return the primal integrals of two runs against the better end of both."""
    best = min(one["objective"], other["objective"])
    first, second = (
        metrics.integral(row["trace"], best, row["limit"]) for row in (one, other)
    )
    return first, second
