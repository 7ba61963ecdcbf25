"""`python -m workers.bench doors SUITE`: pass rates of modelling languages' own solver tests.

SUITE is pulp, pyomo, cvxpy or pyomo-models. Each line names solver, counts and what failed. The
solves run on this machine, or on a server where TRIMTAB_URL is set. Suite `assistant` counts calls
and text of an exchange through MCP, one job of each kind, on a server of its own. `--resume FILE`
keeps the outcome of each test, so that a run that was cut off goes on with the next one.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import unittest
import warnings
from collections import Counter
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from workers.bench.doors import assistant, models
from workers.bench.doors.suites import SOLVERS, SUITES, Outcomes
from workers.bench.lines import write_lines

_MODELS, _ASSISTANT = "pyomo-models", "assistant"
_PACKAGES = {"pulp": "pulp", "pyomo": "pyomo", "cvxpy": "cvxpy", _MODELS: "pyomo"}


def main(argv: list[str]) -> int:
    """Run suites and write one line for each suite and solver. Exit code 1 if ours failed any."""
    parser = argparse.ArgumentParser(prog="workers.bench doors", description=__doc__)
    parser.add_argument("suite", choices=(*SUITES, _MODELS, _ASSISTANT), nargs="+")
    parser.add_argument(
        "--solver", choices=SOLVERS, action="append", help="default: both"
    )
    parser.add_argument("--out", type=Path, default=Path("bench-results/doors.jsonl"))
    parser.add_argument("--resume", type=Path, help="outcomes of tests, JSON lines")
    options = parser.parse_args(argv)
    failed = 0

    def lines() -> Iterator[dict[str, Any]]:
        nonlocal failed
        for suite in options.suite:
            if suite == _ASSISTANT:
                with tempfile.TemporaryDirectory(prefix="trimtab-bench-") as folder:
                    yield from assistant.measure(list(assistant.KINDS), Path(folder))
                continue
            for solver in options.solver or SOLVERS:
                line = _run(suite, solver, options.resume)
                failed += line["failed"] if solver == "trimtab" else 0
                yield line

    warnings.simplefilter("ignore")
    write_lines(lines(), suite="doors", seed=0, out=options.out)
    return 1 if failed else 0


def _run(suite: str, solver: str, kept: Path | None) -> dict[str, Any]:
    """Return the line of one suite and solver. `kept`: outcomes of a run that was cut off."""
    counts: Counter[str] = Counter()
    faults: dict[str, str] = {}
    earlier = _earlier(kept, suite, solver)

    def count(name: str, outcome: str, detail: str) -> None:
        counts[outcome] += 1
        if outcome == "failed":
            faults[name] = detail

    def report(name: str, outcome: str, detail: str) -> None:
        count(name, outcome, detail)
        print(f"{suite} {solver} {outcome:7} {name} {detail[:200]}", file=sys.stderr)
        if kept is not None:
            with kept.open("a") as file:
                file.write(json.dumps([suite, solver, name, outcome, detail]) + "\n")

    for name, (outcome, detail) in earlier.items():
        count(name, outcome, detail)
    began = time.monotonic()
    if suite == _MODELS:
        for one in models.outcomes(models.cases(), solver):
            if one[0] not in earlier:
                report(*one)
    else:
        left = [
            test for test in _tests(SUITES[suite](solver)) if test.id() not in earlier
        ]
        unittest.TestSuite(left).run(Outcomes(report))
    ran = counts["passed"] + counts["failed"]
    return {
        "case": suite,
        "solver": solver,
        "package": f"{_PACKAGES[suite]} {metadata.version(_PACKAGES[suite])}",
        "passed": counts["passed"],
        "failed": counts["failed"],
        "skipped": counts["skipped"],
        "pass_rate": counts["passed"] / ran if ran else None,
        "seconds": round(time.monotonic() - began, 1),
        "faults": faults,
    }


def _earlier(kept: Path | None, suite: str, solver: str) -> dict[str, tuple[str, str]]:
    """Return name → (outcome, detail) of the tests that an earlier run finished."""
    if kept is None or not kept.exists():
        return {}
    rows = [json.loads(line) for line in kept.read_text().splitlines()]
    return {row[2]: (row[3], row[4]) for row in rows if row[:2] == [suite, solver]}


def _tests(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from _tests(test)
        else:
            yield test
