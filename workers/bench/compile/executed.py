"""`python -m workers.bench compile executed`: held-out programs, linked and run.

Sets: our generator's and csmith's programs with seeds from 1000 on, bzip2 and lua whole. An
answer counts as equal when every run prints and ends as the unoptimised program's; the job
refuses it otherwise, and the check runs it again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from search import pipeline
from search.domains.compile import build
from search.stop import from_budget
from search.types import InvalidInput
from trimtab.specs.compile import CompileSpec
from workers.bench.lines import earlier_lines
from workers.bench.stats import machine
from workers.corpus import programs
from workers.corpus.sources import CorpusMissing
from workers.corpus.whole import WHOLE

HELD_OUT = ("bzip2", "lua5.4")
Job = tuple[str, str, CompileSpec, Path]  # set, name, spec, input


def main(argv: list[str]) -> int:
    """Run the protocol; resume from the lines in the output file."""
    options = _parser().parse_args(argv)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    lines = _earlier(options)
    done = {line["program"] for line in lines}
    with tempfile.TemporaryDirectory(prefix="trimtab-bench-") as scratch:
        for number, (kind, name, spec, file) in enumerate(_jobs(options, Path(scratch))):
            if name in done:
                continue
            workdir = Path(scratch) / f"job-{number}"
            workdir.mkdir()
            head = {"suite": "compile-executed", "set": kind, "program": name}
            head |= {"pipelines": options.pipelines, "seed": options.seed}
            try:
                line = head | _run(spec, file, workdir, options)
            except InvalidInput as error:  # csmith also writes programs that do not end
                print(f"{name} is left out: {error}", file=sys.stderr, flush=True)
                continue
            lines.append(line)
            with options.out.open("a") as out:
                out.write(json.dumps(line | {"machine": machine()}) + "\n")
            print(
                f"{kind:10s} {name:16s} {line['saved']:7.2%}  runs equal {line['runs_equal']}"
                f"  {line['seconds']:.1f} s",
                file=sys.stderr,
                flush=True,
            )
    report(lines)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m workers.bench compile executed", description=__doc__
    )
    parser.add_argument(
        "--corpus", type=Path, default=Path("bench-results/train/compile")
    )
    parser.add_argument(
        "--generated", type=int, default=40, help="held-out programs of our generator"
    )
    parser.add_argument("--csmith", type=int, default=16)
    parser.add_argument(
        "--whole",
        nargs="*",
        choices=HELD_OUT,
        default=list(HELD_OUT),
        help="whole programs of packages",
    )
    parser.add_argument("--pipelines", type=int, default=10)
    parser.add_argument(
        "--seconds",
        type=float,
        default=120.0,
        help="limit of a job, large enough not to bind",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--out", type=Path, default=Path("bench-results") / "compile-executed.jsonl"
    )
    return parser


def _earlier(options: argparse.Namespace) -> list[dict[str, Any]]:
    key = (options.pipelines, options.seed)
    lines = earlier_lines(options.out)
    return [line for line in lines if (line["pipelines"], line["seed"]) == key]


def _jobs(options: argparse.Namespace, scratch: Path) -> Iterator[Job]:
    first = programs.FIRST_HELD_OUT
    for make, count in (
        (programs.generated, options.generated),
        (programs.csmith, options.csmith),
    ):
        try:
            for program in make(range(first, first + count), scratch / "programs"):
                name = f"{program.set}-{program.seed}"
                bitcode = program.write_bitcode(scratch / "programs")
                yield program.set, name, program.spec(), bitcode
        except CorpusMissing as error:
            print(f"left out: {error}", file=sys.stderr)
    for name in options.whole:
        try:
            yield (
                name,
                name,
                WHOLE[name].spec(),
                WHOLE[name].archive(options.corpus, scratch),
            )
        except CorpusMissing as error:
            print(f"left out: {error}", file=sys.stderr)


def _run(
    spec: CompileSpec, file: Path, workdir: Path, options: argparse.Namespace
) -> dict[str, Any]:
    began = time.monotonic()
    budget = {"seconds": options.seconds, "evaluations": options.pipelines}
    result = pipeline.run(
        build(),
        spec,
        inputs={"source": file},
        workdir=workdir,
        stop=from_budget(budget, threading.Event()),
        seed=options.seed,
    ).result
    summary: Any = result.summary
    sizes = {row["level"]: row for row in summary["sizes"]}
    oz, ours = sizes["Oz"], list(sizes.values())[-1]
    return {
        "instructions": summary["instructions"],
        "oz": dict(oz),
        "ours": dict(ours),
        "saved": 1 - ours["loadable_bytes"] / oz["loadable_bytes"],
        "saved_ir": 1 - ours["ir_instructions"] / oz["ir_instructions"],
        "verified": result.verification.status.value,
        "runs_equal": str(result.verification.checks.get("runs_equal")),
        "quarantined": len(summary["quarantined"]),
        "seconds": round(time.monotonic() - began, 2),
    }


def report(lines: list[dict[str, Any]]) -> None:
    """Print a line for each set, one for all pooled, and the mean of set means."""
    sets: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        sets.setdefault(line["set"], []).append(line)
    print(
        "set         programs  loadable      IR   larger  run  equal  quarantined  median s"
    )
    for name, rows in [*sets.items(), ("pooled", lines)]:
        run = [row for row in rows if " of " in row["runs_equal"]]
        equal = [
            row
            for row in run
            if len(set(row["runs_equal"].split(" of "))) == 1
            and row["verified"] == "valid"
        ]
        saved, saved_ir = (
            statistics.fmean(r[k] for r in rows) for k in ("saved", "saved_ir")
        )
        larger, quarantined = (
            sum(r["saved"] < 0 for r in rows),
            sum(r["quarantined"] for r in rows),
        )
        seconds = statistics.median(r["seconds"] for r in rows)
        print(
            f"{name:11s} {len(rows):8d} {saved:9.2%} {saved_ir:7.2%} {larger:8d} {len(run):4d} "
            f"{len(equal):6d} {quarantined:12d} {seconds:9.2f}"
        )
    means = [statistics.fmean(row["saved"] for row in rows) for rows in sets.values()]
    print(f"mean of set means: {statistics.fmean(means):.2%} of loadable bytes")
