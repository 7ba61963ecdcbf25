"""`python -m workers.bench compile`: held-out packages, loadable bytes against true -Oz (minsize), methods one after another.

The corpus comes from `python -m workers.corpus`; only modules of held-out packages are used: nothing was tuned on them.
The modules are compiled alone and not run here: the service runs a program before an answer counts.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from search.domains.compile.search.coreset import LISTS, load_coreset
from solvers.llvm.engine import Engine
from solvers.llvm.types import Metric
from workers.bench.compile.methods import METHODS, Task
from workers.bench.ilp.metrics import ratio_of_means
from workers.bench.stats import machine
from workers.corpus.build import read

BUDGETS = (1, 10, 60)


def main(argv: list[str]) -> int:
    """Run the protocol, or the one that is named first: `executed`, `audit`, `overhead`, `speed`."""
    if argv and argv[0] == "executed":
        from workers.bench.compile import executed

        return executed.main(argv[1:])
    if argv and argv[0] == "overhead":
        from workers.bench.compile import overhead

        return overhead.main(argv[1:])
    if argv and argv[0] == "speed":
        from workers.bench.compile import speed

        return speed.main(argv[1:])
    if argv and argv[0] == "audit":
        from workers.bench.compile import audit

        return audit.main(argv[1:])
    parser = argparse.ArgumentParser(
        prog="python -m workers.bench compile", description=__doc__
    )
    parser.add_argument("--corpus", type=Path, default=Path("bench-results/train/compile"))
    parser.add_argument(
        "--methods",
        nargs="*",
        choices=list(METHODS),
        default=[m for m in METHODS if m != "without-policy"],
    )
    parser.add_argument(
        "--metric", type=Metric, choices=list(Metric), default=Metric.LOADABLE_BYTES
    )
    parser.add_argument("--budgets", nargs="*", type=int, default=list(BUDGETS))
    parser.add_argument(
        "--packages", nargs="*", default=None, help="none given: every held-out one"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="share of the modules")
    parser.add_argument(
        "--most-instructions", type=int, default=5000, help="larger modules are left out"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("bench-results") / "compile.jsonl")
    given = parser.parse_args(argv)
    modules = [
        row
        for row in read(given.corpus)
        if row["split"] == "heldout" and row["set"] == "debian"
    ]
    modules = [
        row for row in modules if given.packages is None or row["package"] in given.packages
    ]
    modules = [
        row
        for row in modules
        if int(str(row["ir_instructions"])) <= given.most_instructions
    ]
    if not modules:
        print(
            f"no held-out module in {given.corpus}; make the corpus first: python -m workers.corpus",
            file=sys.stderr,
        )
        return 2
    modules = modules[:: max(1, round(1 / given.scale))]
    given.out.parent.mkdir(parents=True, exist_ok=True)
    lines = _earlier(given.out, given.seed, given.metric)
    done = {(line["module"], line["method"], line["pipelines"]) for line in lines}
    for number, row in enumerate(modules):
        name = f"{row['package']}/{row['name']}"
        # An oracle has no budget: one line.
        wanted = [
            (m, b)
            for m in given.methods
            for b in (given.budgets if m != "oracle" else [len(load_coreset(given.metric))])
        ]
        left = [
            (method, budget)
            for method, budget in wanted
            if (row["name"], method, budget) not in done
        ]
        if not left:
            continue
        bitcode = (given.corpus / "modules" / f"{str(row['sha'])[:16]}.bc").read_bytes()
        with Engine(bitcode) as engine:
            task = Task.of(engine, given.metric)
            fresh = [_run(task, row, method, budget, given.seed) for method, budget in left]
        lines += fresh
        with given.out.open("a") as out:
            out.writelines(
                json.dumps(line | {"machine": machine()}) + "\n" for line in fresh
            )
        print(f"{number + 1} of {len(modules)}: {name}", file=sys.stderr, flush=True)
    report(lines, given.metric)
    return 0


def _earlier(out: Path, seed: int, metric: Metric) -> list[dict[str, Any]]:
    """Lines of the same seed and metric that the file has: a measurement that broke off goes on where it was."""
    found = (
        [json.loads(line) for line in out.read_text().splitlines()] if out.is_file() else []
    )
    return [
        line
        for line in found
        if line["seed"] == seed and line.get("metric") == metric.value
    ]


def _run(
    task: Task, row: dict[str, object], method: str, budget: int, seed: int
) -> dict[str, Any]:
    began = time.monotonic()
    best = METHODS[method](task, budget, seed)
    assert best.sizes is not None
    assert task.oz.sizes is not None
    return {
        "suite": "compile",
        "package": row["package"],
        "module": row["name"],
        "instructions": row["ir_instructions"],
        "method": method,
        "metric": task.metric.value,
        "pipelines": budget,
        "seed": seed,
        "seconds": round(time.monotonic() - began, 3),
        "oz": {
            "loadable": task.oz.sizes.loadable_bytes,
            "code": task.oz.sizes.code_bytes,
            "ir": task.oz.sizes.ir_instructions,
        },
        "best": {
            "loadable": best.sizes.loadable_bytes,
            "code": best.sizes.code_bytes,
            "ir": best.sizes.ir_instructions,
        },
        "llvm": task.engine.installed.build_id,
    }


def report(lines: list[dict[str, Any]], metric: Metric) -> None:
    """Share saved against -Oz: mean of package means, its share of the oracle's, pooled mean with a bootstrap interval.

    Searches that leave the coreset can have more than all of it. The last columns are pooled means by every measure.
    """
    keys = sorted({(line["pipelines"], line["method"]) for line in lines})
    chief = LISTS[metric]
    whole = _package_mean([line for line in lines if line["method"] == "oracle"], chief)
    print(f"{metric.value}:")
    print(
        "pipelines method           packages oracle   pooled [95 %]           loadable     code       IR larger median s"
    )
    for pipelines, method in keys:
        rows = [
            line
            for line in lines
            if (line["pipelines"], line["method"]) == (pipelines, method)
        ]
        mean = _package_mean(rows, chief)
        ratio, low, high = ratio_of_means(
            [line["best"][chief] / line["oz"][chief] for line in rows], [1.0] * len(rows)
        )
        pooled = " ".join(
            f"{statistics.fmean(_saved(row, what) for row in rows):8.2%}"
            for what in ("loadable", "code", "ir")
        )
        larger = sum(_saved(line, chief) < 0 for line in rows)
        print(
            f"{pipelines:9d} {method:15s} {mean:9.2%} {mean / whole if whole else float('nan'):6.0%} "
            f"{1 - ratio:8.2%} [{1 - high:6.2%}, {1 - low:6.2%}] {pooled} {larger:6d} "
            f"{statistics.median(line['seconds'] for line in rows):8.2f}"
        )


def _package_mean(rows: list[dict[str, Any]], what: str) -> float:
    packages: dict[str, list[float]] = {}
    for line in rows:
        packages.setdefault(line["package"], []).append(_saved(line, what))
    return (
        statistics.fmean(statistics.fmean(values) for values in packages.values())
        if packages
        else 0.0
    )


def _saved(line: dict[str, Any], what: str) -> float:
    return 1.0 - float(line["best"][what]) / float(line["oz"][what])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
