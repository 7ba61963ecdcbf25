"""`python -m workers.bench compile overhead`: time to describe and order, on one core."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from search.domains.compile.search import policy
from search.domains.compile.search.coreset import load_coreset
from solvers.llvm.engine import Engine
from solvers.llvm.types import Metric, Recipe, Sizes
from workers.bench.stats import machine
from workers.corpus.build import read

_AROUND = 5000  # instructions


def main(argv: list[str]) -> int:
    """Measure the modules nearest to 5,000 instructions, each several times."""
    parser = argparse.ArgumentParser(
        prog="python -m workers.bench compile overhead", description=__doc__
    )
    parser.add_argument(
        "--corpus", type=Path, default=Path("bench-results/train/compile")
    )
    parser.add_argument("--modules", type=int, default=5)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument(
        "--out", type=Path, default=Path("bench-results") / "compile-overhead.jsonl"
    )
    options = parser.parse_args(argv)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    rows = sorted(
        read(options.corpus),
        key=lambda row: abs(int(str(row["ir_instructions"])) - _AROUND),
    )[: options.modules]
    coreset = load_coreset()
    lines = []
    for row in rows:
        with Engine(
            (options.corpus / "modules" / f"{str(row['sha'])[:16]}.bc").read_bytes()
        ) as engine:
            (oz,) = engine.measure([Recipe(pipeline=engine.default_pipelines()["Oz"])])
            assert oz.sizes is not None

            def ordered(engine: Engine = engine, sizes: Sizes = oz.sizes) -> None:
                policy.score_features(
                    engine.features(), sizes, coreset, Metric.LOADABLE_BYTES
                )

            def graphed(engine: Engine = engine) -> None:
                engine.graph().compact()

            line = {
                "suite": "compile-overhead",
                "module": f"{row['package']}/{row['name']}",
                "instructions": row["ir_instructions"],
                "order_ms": _median_ms(ordered, options.times),
                # The input of graph nets, which the shipped order does not need.
                "graph_ms": _median_ms(graphed, options.times),
                "oz_ms": round(1000 * oz.seconds, 1),
            }
        lines.append(line | {"machine": machine()})
        print(
            f"{line['module']:45s} {line['instructions']:6} instructions: order "
            f"{line['order_ms']:6.1f} ms, graph {line['graph_ms']:6.1f} ms, -Oz itself "
            f"{line['oz_ms']:6.1f} ms"
        )
    with options.out.open("a") as out:
        out.writelines(json.dumps(line) + "\n" for line in lines)
    return 0


def _median_ms(go: Callable[[], object], times: int) -> float:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        go()
        taken.append(1000 * (time.perf_counter() - began))
    return round(statistics.median(taken), 1)
