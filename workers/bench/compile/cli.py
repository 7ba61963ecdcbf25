"""`python -m workers.bench compile [NAME]`: bytes against -Oz.

Names: executed, images, plain, audit, overhead, own, speed.
Without one: modules of held-out packages, loadable bytes against true -Oz (minsize), methods
one after another. The corpus comes from `python -m workers.corpus`; nothing was tuned on the
held-out packages. The modules are compiled alone and not run here: the service runs a program
before an answer counts. With `--linked`, the programs of `images` instead, each linked as LLVM IR
with everything internal but what its link keeps.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from search.domains.compile.parse.problem import parse_problem
from search.domains.compile.search.coreset import LISTS, load_coreset
from search.types import InvalidInput
from solvers.llvm.engine import Engine
from solvers.llvm.types import Metric
from workers.bench.compile.methods import METHODS, Task
from workers.bench.compile.report import print_report
from workers.bench.lines import earlier_lines
from workers.bench.stats import machine
from workers.corpus.build import read
from workers.corpus.images import PROGRAMS
from workers.corpus.sources import CorpusMissing

BUDGETS = (1, 10, 60)
NAMED = (
    "dropin",
    "executed",
    "images",
    "audit",
    "overhead",
    "plain",
    "own",
    "speed",
)  # modules of this folder

# The arguments of `python -m workers.bench all`.
PUBLISHED: tuple[tuple[str, ...], ...] = ((),)


def main(argv: list[str]) -> int:
    """Run the protocol on modules, or the one that is named first."""
    if argv and argv[0] in NAMED:
        named: Callable[[list[str]], int]
        named = importlib.import_module(f"workers.bench.compile.{argv[0]}").main
        return named(argv[1:])
    options = _parser().parse_args(argv)
    modules = _linked_programs(options) if options.linked else _modules(options)
    if not modules:
        print(
            f"{options.corpus}: expected held-out modules, got none; run python -m "
            "workers.corpus first",
            file=sys.stderr,
        )
        return 2
    options.out.parent.mkdir(parents=True, exist_ok=True)
    lines = _earlier(options.out, options.seed, options.metric)
    done = {(line["module"], line["method"], line["pipelines"]) for line in lines}
    for number, row in enumerate(modules, start=1):
        pending = [run for run in _runs(options) if (row["name"], *run) not in done]
        if not pending:
            continue
        try:
            bitcode = _bitcode(row, options)
        except (InvalidInput, CorpusMissing) as error:
            print(f"{row['name']} is left out: {error}", file=sys.stderr, flush=True)
            continue
        with Engine(bitcode) as engine:
            row = {"ir_instructions": engine.info.ir_instructions} | row
            task = Task.of(engine, options.metric)
            fresh = [_run(task, row, method, n, options.seed) for method, n in pending]
        lines += fresh
        with options.out.open("a") as out:
            out.writelines(
                json.dumps(line | {"machine": machine()}) + "\n" for line in fresh
            )
        name = f"{row['package']}/{row['name']}"
        print(f"{number} of {len(modules)}: {name}", file=sys.stderr, flush=True)
    print_report(lines, options.metric.value, LISTS[options.metric])
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m workers.bench compile", description=__doc__
    )
    parser.add_argument(
        "--corpus", type=Path, default=Path("bench-results/train/compile")
    )
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
    parser.add_argument("--packages", nargs="*", help="default: every held-out one")
    parser.add_argument(
        "--linked", action="store_true", help="whole programs, linked and internalised"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="share of the modules")
    parser.add_argument(
        "--most-instructions", type=int, default=5000, help="larger modules are left out"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--out", type=Path, default=Path("bench-results") / "compile.jsonl"
    )
    return parser


def _modules(options: argparse.Namespace) -> list[dict[str, object]]:
    """Return the corpus rows of the held-out modules that the options select."""
    modules = [
        row
        for row in read(options.corpus)
        if row["split"] == "heldout"
        and row["set"] == "debian"
        and (options.packages is None or row["package"] in options.packages)
        and int(str(row["ir_instructions"])) <= options.most_instructions
    ]
    return modules[:: max(1, round(1 / options.scale))]


def _linked_programs(options: argparse.Namespace) -> list[dict[str, object]]:
    """Return a row for each whole program, without digest and size."""
    names = [n for n in PROGRAMS if options.packages is None or n in options.packages]
    rows: list[dict[str, object]] = [{"package": name, "name": name} for name in names]
    return rows[:: max(1, round(1 / options.scale))]


def _bitcode(row: Mapping[str, object], options: argparse.Namespace) -> bytes:
    """Return the module of a row; a whole program is linked and internalised.

    Raises InvalidInput and CorpusMissing.
    """
    if not options.linked:
        digest = str(row["sha"])[:16]
        return bytes((options.corpus / "modules" / f"{digest}.bc").read_bytes())
    program = PROGRAMS[str(row["name"])]
    with tempfile.TemporaryDirectory(prefix="trimtab-bench-") as scratch:
        archive = program.archive(options.corpus, Path(scratch))
        work = Path(scratch) / "work"
        work.mkdir()
        problem = parse_problem(program.spec(image={}), {"source": archive}, work)
        return problem.module.read_bytes()


def _runs(options: argparse.Namespace) -> list[tuple[str, int]]:
    """Return (method, number of pipelines) of every run on a module; an oracle has one budget."""
    size = len(load_coreset(options.metric))
    return [
        (method, budget)
        for method in options.methods
        for budget in ([size] if method == "oracle" else options.budgets)
    ]


def _earlier(out: Path, seed: int, metric: Metric) -> list[dict[str, Any]]:
    """Return the lines in the output file with this seed and metric, to resume from."""
    rows = earlier_lines(out)
    return [r for r in rows if r["seed"] == seed and r.get("metric") == metric.value]


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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
