"""`python -m workers.bench fuzz KIND --cases 10000 --seed 0`: differential fuzzing; exit code 1 if anything disagrees.

Case `i` of seed `s` depends on (s, i) alone, so `--first i --cases 1` repeats one case.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import MappingProxyType

import numpy as np

from workers.bench.fuzz.types import CheckCase, Outcome

FUZZERS = MappingProxyType(
    {
        "ilp": "workers.bench.fuzz.ilp:check",
        "ilp-reading": "workers.bench.fuzz.ilp_reading:check",
        "sharding": "workers.bench.fuzz.sharding:check",
        "compile": "workers.bench.fuzz.compile:check",
        "service": "workers.bench.fuzz.service:check",
    }
)
_REPORT_EVERY_S = 10.0


def load(kind: str) -> CheckCase:
    """The `check(index, rng)` function of a fuzzer."""
    module, _, name = FUZZERS[kind].partition(":")
    check: CheckCase = getattr(importlib.import_module(module), name)
    return check


def run_case(kind: str, seed: int, index: int) -> Outcome:
    """Run case `index` of `seed`."""
    return load(kind)(index, np.random.default_rng([seed, index]))


def main(argv: list[str]) -> int:
    """Run cases, write one JSON line per finding, and print counts by label."""
    parser = argparse.ArgumentParser(
        prog="python -m workers.bench fuzz", description=__doc__
    )
    parser.add_argument("kind", choices=sorted(FUZZERS))
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="index of the first case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument(
        "--out", type=Path, default=None, help="findings, one JSON object per line"
    )
    args = parser.parse_args(argv)

    labels: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    out = args.out or Path("bench-results") / f"fuzz-{args.kind}-seed{args.seed}.jsonl"
    out.parent.mkdir(parents=True, exist_ok=True)
    began = reported = time.monotonic()
    indices = range(args.first, args.first + args.cases)
    with out.open("w") as file, ProcessPoolExecutor(args.processes) as pool:
        outcomes = pool.map(
            run_case, [args.kind] * len(indices), [args.seed] * len(indices), indices
        )
        for done, (index, outcome) in enumerate(zip(indices, outcomes, strict=True), 1):
            labels[outcome.label] += 1
            if outcome.finding is not None:
                finding = outcome.finding
                faults[finding.fault.value] += 1
                row = {
                    "index": index,
                    "fault": finding.fault,
                    "detail": finding.detail,
                    "case": dict(finding.case),
                }
                file.write(json.dumps(row) + "\n")
                file.flush()
                print(f"case {index}: {finding.fault}: {finding.detail}", file=sys.stderr)
            if time.monotonic() - reported > _REPORT_EVERY_S:
                reported = time.monotonic()
                print(
                    f"{done} of {args.cases} cases, {sum(faults.values())} findings",
                    file=sys.stderr,
                )
    seconds = time.monotonic() - began
    summary = {
        "kind": args.kind,
        "cases": args.cases,
        "seed": args.seed,
        "seconds": round(seconds, 1),
    }
    print(json.dumps({**summary, "labels": dict(labels), "faults": dict(faults)}))
    return 1 if faults else 0
