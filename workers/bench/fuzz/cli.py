"""`python -m workers.bench fuzz KIND --cases 10000 --seed 0`: differential fuzzing.

The exit code is 1 on a finding.

Case `i` of seed `s` depends on (s, i) alone, so `--first i --cases 1` repeats one case.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import pkgutil
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TextIO

import numpy as np

import workers.bench.fuzz
from workers.bench.fuzz.types import CheckCase, Finding, Outcome

_REPORT_EVERY_S = 10.0


def fuzzers() -> dict[str, str]:
    """Return the module `check` of each fuzzer, by kind.

    A fuzzer is a folder here with a module `check` that defines `check(index, rng)`.
    """
    folders = (
        m.name for m in pkgutil.iter_modules(workers.bench.fuzz.__path__) if m.ispkg
    )
    return {
        name.replace("_", "-"): f"workers.bench.fuzz.{name}.check" for name in folders
    }


def load(kind: str) -> CheckCase:
    """Return the `check(index, rng)` function of a fuzzer."""
    check: CheckCase = importlib.import_module(fuzzers()[kind]).check
    return check


def run_case(kind: str, seed: int, index: int) -> Outcome:
    """Run case `index` of `seed`."""
    return load(kind)(index, np.random.default_rng([seed, index]))


def main(argv: list[str]) -> int:
    """Run cases, write one JSON line for each finding, and print counts by label."""
    options = _parser().parse_args(argv)
    kind, seed = options.kind, options.seed
    out = options.out or Path("bench-results") / f"fuzz-{kind}-seed{seed}.jsonl"
    out.parent.mkdir(parents=True, exist_ok=True)
    labels: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    began = reported = time.monotonic()
    indices = range(options.first, options.first + options.cases)
    with out.open("w") as file, ProcessPoolExecutor(options.processes) as pool:
        outcomes = pool.map(functools.partial(run_case, kind, seed), indices)
        for done, (index, outcome) in enumerate(zip(indices, outcomes, strict=True), 1):
            labels[outcome.label] += 1
            if outcome.finding is not None:
                faults[outcome.finding.fault.value] += 1
                _write(file, index, outcome.finding)
            if time.monotonic() - reported > _REPORT_EVERY_S:
                reported = time.monotonic()
                count = sum(faults.values())
                print(
                    f"{done} of {options.cases} cases, {count} findings", file=sys.stderr
                )
    summary = {
        "kind": kind,
        "cases": options.cases,
        "seed": seed,
        "seconds": round(time.monotonic() - began, 1),
        "labels": dict(labels),
        "faults": dict(faults),
    }
    print(json.dumps(summary))
    return 1 if faults else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m workers.bench fuzz", description=__doc__
    )
    parser.add_argument("kind", choices=sorted(fuzzers()))
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="index of the first case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument(
        "--out", type=Path, default=None, help="findings, one JSON object per line"
    )
    return parser


def _write(file: TextIO, index: int, finding: Finding) -> None:
    row = {
        "index": index,
        "fault": finding.fault,
        "detail": finding.detail,
        "case": dict(finding.case),
    }
    file.write(json.dumps(row) + "\n")
    file.flush()
    print(f"case {index}: {finding.fault}: {finding.detail}", file=sys.stderr)
