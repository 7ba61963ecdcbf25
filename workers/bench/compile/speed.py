"""`python -m workers.bench compile speed`: run time of the smaller programs over -Oz's."""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from search import pipeline
from search.domains.compile import build
from search.domains.compile.search.behaviour import BehaviourOracle
from search.stop import from_budget
from solvers.llvm.pairs import time_pairs
from solvers.llvm.types import Recipe
from workers.bench.stats import machine
from workers.corpus.whole import WHOLE

_TEXT = "".join(
    f"{i * i % 9973}: the quick brown fox jumps over {i % 13} lazy dogs\n"
    for i in range(18_000)
)
_LUA = """
local words = {}
for i = 1, 300000 do words[i] = (i * 7919) % 10007 end
table.sort(words)
local seen, text = {}, {}
for _, w in ipairs(words) do
  seen[w] = (seen[w] or 0) + 1; text[#text + 1] = string.format("%d", w)
end
print(#table.concat(text, ","), seen[7], select(2, table.concat(text, " "):gsub("%d7", "")))
"""
RUNS: Mapping[str, list[dict[str, Any]]] = {
    "zlib": [{"arguments": ["-9"], "stdin": _TEXT}],
    "bzip2": [{"arguments": ["-c"], "stdin": _TEXT}],
    "lua5.4": [{"arguments": ["-"], "stdin": _LUA}],
}


def main(argv: list[str]) -> int:
    """Run the job of each program, then pairs of runs."""
    parser = argparse.ArgumentParser(
        prog="python -m workers.bench compile speed", description=__doc__
    )
    parser.add_argument(
        "--corpus", type=Path, default=Path("bench-results/train/compile")
    )
    parser.add_argument("--whole", nargs="*", choices=list(RUNS), default=list(RUNS))
    parser.add_argument("--pipelines", type=int, default=10)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--out", type=Path, default=Path("bench-results") / "compile-speed.jsonl"
    )
    options = parser.parse_args(argv)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for name in options.whole:
        with tempfile.TemporaryDirectory(prefix="trimtab-bench-") as scratch:
            line = _measure(name, options, Path(scratch))
        with options.out.open("a") as out:
            out.write(json.dumps(line | {"machine": machine()}) + "\n")
        interval = f"[{line['low']:.3f}, {line['high']:.3f}]"
        print(
            f"{name:8s} {line['saved']:6.2%} smaller, CPU time {line['ratio']:.3f} {interval} of "
            f"{line['oz_s']:.3f} s by -Oz, {line['pairs']} pairs"
        )
    return 0


def _measure(name: str, options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    spec = WHOLE[name].spec(runs=[run | {"timeout_seconds": 60.0} for run in RUNS[name]])
    file, workdir = WHOLE[name].archive(options.corpus, scratch), scratch / "job"
    workdir.mkdir()
    stop = from_budget(
        {"seconds": 600.0, "evaluations": options.pipelines}, threading.Event()
    )
    done = pipeline.run(
        build(),
        spec,
        inputs={"source": file},
        workdir=workdir,
        stop=stop,
        seed=options.seed,
    )
    (answer,) = [
        produced.path.read_bytes()
        for produced in done.produced
        if produced.name == "optimised.o"
    ]
    summary: Any = done.result.summary
    domain, again = build(), scratch / "again"
    again.mkdir()
    problem = domain.parse(spec, {"source": file}, again)
    prepared = domain.encode(problem)
    with prepared.engine as engine:
        oracle = BehaviourOracle(problem, folder=again / "runs", stopped=lambda: False)
        oracle.record_reference(
            engine.build(Recipe(pipeline=prepared.pipelines["O0"])).object, has_main=True
        )
        ours = oracle.link(answer)
        theirs = oracle.link(
            engine.build(Recipe(pipeline=prepared.pipelines["Oz"])).object
        )
    timing = time_pairs(
        lambda: oracle.cpu_s(ours), lambda: oracle.cpu_s(theirs), options.pairs
    )
    return {
        "suite": "compile-speed",
        "program": name,
        "pipelines": options.pipelines,
        "seed": options.seed,
        "saved": summary["saved"],
        "ratio": timing.ratio,
        "low": timing.low,
        "high": timing.high,
        "pairs": timing.pairs,
        "ours_s": timing.ours_s,
        "oz_s": timing.baseline_s,
    }
