"""`python -m workers.bench compile own`: a coreset mined on half of a project, on its other half.

Every project's modules are halved by the seed. The first half is mined (`workers.train compile
own`); on the second, the first pipeline of the mined coreset and of the shipped one are compiled,
one each. A module counts as the share of bytes saved against `clang -Oz`, 0 where larger. Goal: at
least 1 point more than the shipped one on at least 5 of 8 projects. `python -m workers.corpus
--per-package 24` fetches them. The first five took no part in the mining of the shipped one; of the
last three, up to 12 modules each did, which favours it. Resumes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from search.domains.compile.search.coreset import load_coreset
from search.domains.compile.search.edits import Candidate
from solvers.llvm.pipeline import BadPipeline
from solvers.llvm.types import Metric, Outcome, Recipe
from workers.bench.lines import earlier_lines
from workers.bench.stats import bootstrap_interval, machine
from workers.corpus.build import read
from workers.train.compile.own import MiningLimits, mine_own
from workers.train.compile.replay import MeasurementLog, OwnModule, ReplayEngine

PROJECTS = (
    "zopfli",
    "brotli",
    "lua5.4",
    "libuv1",
    "mbedtls",
    "opus",
    "libwebp",
    "bearssl",
)
GOAL_POINTS, GOAL_PROJECTS = 1.0, 5
_RESAMPLES = 10_000


def main(argv: list[str]) -> int:
    """Mine on each project's first half, measure on its second, print and store."""
    options = _parser().parse_args(argv)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    lines = _earlier(options)
    done = {line["project"] for line in lines}
    for project in options.projects:
        if project in done:
            continue
        modules = _modules(options.corpus, project, options.most_instructions)
        if len(modules) < 4:
            print(
                f"{project}: left out: expected at least 4 modules, got {len(modules)}; "
                f"run python -m workers.corpus --packages {project} --per-package 24",
                file=sys.stderr,
            )
            continue
        line = _project(project, modules, options)
        lines.append(line)
        with options.out.open("a") as out:
            out.write(json.dumps(line) + "\n")
        print(_text(line), file=sys.stderr, flush=True)
    return _report(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m workers.bench compile own", description=__doc__
    )
    parser.add_argument(
        "--corpus", type=Path, default=Path("bench-results/train/compile")
    )
    parser.add_argument("--projects", nargs="*", default=list(PROJECTS))
    parser.add_argument(
        "--metric", type=Metric, choices=list(Metric), default=Metric.LOADABLE_BYTES
    )
    parser.add_argument(
        "--per-module",
        type=int,
        default=100,
        help="compilations by modules of the fit half",
    )
    parser.add_argument("--most-instructions", type=int, default=2500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--work", type=Path, default=Path("bench-results/compile-own"), help="resumable"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("bench-results/compile-own.jsonl")
    )
    return parser


def _earlier(options: argparse.Namespace) -> list[dict[str, Any]]:
    rows = earlier_lines(options.out)
    same = (options.seed, options.metric.value, options.per_module)
    return [r for r in rows if (r["seed"], r["metric"], r["per_module"]) == same]


def _modules(corpus: Path, project: str, most: int) -> list[OwnModule]:
    """Modules of a project with at most so many instructions."""
    return [
        OwnModule(
            name=str(row["name"]),
            bitcode=(corpus / "modules" / f"{str(row['sha'])[:16]}.bc").read_bytes(),
        )
        for row in read(corpus)
        if row["package"] == project and int(str(row["ir_instructions"])) <= most
    ]


def halves(
    modules: Sequence[OwnModule], seed: int
) -> tuple[list[OwnModule], list[OwnModule]]:
    """Return (modules to fit, modules to measure); the first half is the larger one."""
    ordered = sorted(modules, key=lambda module: module.sha256)
    order = np.random.default_rng(seed).permutation(len(ordered))
    middle = (len(ordered) + 1) // 2
    return [ordered[i] for i in order[:middle]], [ordered[i] for i in order[middle:]]


def _project(
    project: str, modules: Sequence[OwnModule], options: argparse.Namespace
) -> dict[str, Any]:
    fit, held_out = halves(modules, options.seed)
    cpu, began = time.process_time(), time.monotonic()
    coreset = mine_own(
        fit,
        options.work / project,
        metric=options.metric,
        seed=options.seed,
        limits=MiningLimits(evaluations=options.per_module * len(fit)),
        report=lambda step: print(
            f"{project}: {step.stage}: {step.saved:.2%} after {step.evaluations}",
            file=sys.stderr,
            flush=True,
        ),
    )
    firsts = (load_coreset(options.metric)[0], coreset.candidates[0])
    log = MeasurementLog(options.work / f"{project}-held-out")
    rows = [
        [module.name, *saved_by(module, firsts, options.metric, log)]
        for module in held_out
    ]
    return {
        "suite": "compile-own",
        "project": project,
        "seed": options.seed,
        "metric": options.metric.value,
        "per_module": options.per_module,
        "evaluations": coreset.evaluations,
        "fit": len(fit),
        "held_out": rows,
        "fit_shipped": coreset.shipped,
        "fit_own": float(coreset.saved[:, 0].mean()),
        "first": coreset.candidates[0].as_json(),
        "seconds": round(time.monotonic() - began, 1),
        "own_process_cpu_s": round(time.process_time() - cpu, 1),
        "llvm": coreset.llvm,
        "machine": machine(),
    }


def saved_by(
    module: OwnModule,
    candidates: Sequence[Candidate],
    metric: Metric,
    log: MeasurementLog,
) -> list[float]:
    """Return the share that each pipeline saves on a module against -Oz; 0 where larger."""
    with ReplayEngine(module, log) as engine:
        defaults = engine.default_pipelines()
        (oz,) = engine.measure([Recipe(pipeline=defaults["Oz"])])
        assert oz.sizes is not None  # the corpus holds modules that -Oz compiles
        shares = []
        for candidate in candidates:
            try:
                (measured,) = engine.measure([candidate.recipe(defaults)])
            except BadPipeline:
                shares.append(0.0)
                continue
            made = measured.sizes if measured.outcome is Outcome.OK else None
            size = made.of(metric) if made is not None else oz.sizes.of(metric)
            shares.append(max(0.0, 1.0 - size / oz.sizes.of(metric)))
    return shares


def gain(line: dict[str, Any]) -> tuple[float, float, float]:
    """Return (points more than the shipped one, 95 % paired bootstrap interval over modules)."""
    points = [100 * (own - shipped) for _, shipped, own in line["held_out"]]
    return statistics.fmean(points), *bootstrap_interval(points, resamples=_RESAMPLES)


def _text(line: dict[str, Any]) -> str:
    middle, low, high = gain(line)
    shipped = statistics.fmean(row[1] for row in line["held_out"])
    return (
        f"{line['project']:10s} {line['fit']:3d} fit, {len(line['held_out']):3d} held out: "
        f"shipped {shipped:6.2%}, own {middle:+.2f} points [{low:+.2f}, {high:+.2f}]; on the fit "
        f"half {line['fit_shipped']:.2%} → {line['fit_own']:.2%}"
    )


def _report(lines: Sequence[dict[str, Any]]) -> int:
    if not lines:
        print("no project was measured", file=sys.stderr)
        return 2
    for line in lines:
        print(_text(line))
    reached = sum(gain(line)[0] >= GOAL_POINTS for line in lines)
    print(
        f"at least {GOAL_POINTS:g} point more on {reached} of {len(lines)} projects; goal "
        f"{GOAL_PROJECTS} of {len(PROJECTS)}"
    )
    return 0
