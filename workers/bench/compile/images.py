"""`python -m workers.bench compile images`: linked programs against what users build themselves.

Whole public programs (`workers.corpus.images`), each sent as an image job with a budget of
compilations. Every answer is run and compared. Reported: flash of the linked program against
`clang -Oz` with --gc-sections, the same with LTO, `gcc -Os`, and the best plain flags, as means
over programs with 95 % intervals of a bootstrap over programs. With `--machine`, programs without
an operating system (`workers.corpus.firmware`), also without the bytes of the C library.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from search import pipeline
from search.domains.compile import build
from search.domains.compile.builds import OZ, OZ_GC, OZ_LTO, PLAIN_FLAGS
from search.domains.compile.gcc_builds import GCC, GCC_LTO
from search.stop import from_budget
from search.types import InvalidInput, Produced
from trimtab.flash.usage import read_file
from trimtab.specs.compile import Tier
from workers.bench.lines import earlier_lines
from workers.bench.stats import bootstrap_interval, machine
from workers.corpus.firmware import MACHINES
from workers.corpus.firmware import PROGRAMS as FIRMWARE
from workers.corpus.images import PROGRAMS
from workers.corpus.sources import CorpusMissing
from workers.corpus.whole import Whole

HOSTED = "x86-64"
RIVALS = (OZ, OZ_GC, OZ_LTO, GCC, PLAIN_FLAGS)
_RESAMPLES = 10_000


def main(argv: list[str]) -> int:
    """Run the protocol; resume from the lines in the output file."""
    options = _parser().parse_args(argv)
    known = _programs(options.machine)
    options.programs = options.programs or list(known)
    if unknown := sorted(set(options.programs) - set(known)):
        print(f"expected programs of {', '.join(known)}, got {unknown}", file=sys.stderr)
        return 2
    options.out.parent.mkdir(parents=True, exist_ok=True)
    lines = _earlier(options)
    done = {line["program"] for line in lines}
    for name in options.programs:
        if name in done:
            continue
        try:
            line = _run(name, options)
        except (InvalidInput, CorpusMissing) as error:
            print(f"{name} is left out: {error}", file=sys.stderr, flush=True)
            continue
        lines.append(line)
        with options.out.open("a") as out:
            out.write(json.dumps(line | {"machine": machine()}) + "\n")
        print(
            f"{name:12s} {line['flash']['trimtab']:7d} bytes, "
            f"{saved(line, OZ_LTO):+.2%} against LTO, runs {line['runs_equal']}",
            file=sys.stderr,
            flush=True,
        )
    report(lines)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m workers.bench compile images", description=__doc__
    )
    parser.add_argument(
        "--corpus", type=Path, default=Path("bench-results/train/compile")
    )
    parser.add_argument("--machine", choices=[HOSTED, *MACHINES], default=HOSTED)
    parser.add_argument("--programs", nargs="*", help="default: all of the machine")
    parser.add_argument("--pipelines", type=int, default=10)
    parser.add_argument(
        "--tier",
        type=Tier,
        choices=list(Tier),
        default=Tier.DEFAULT,
        help="experimental: with passes that LLVM leaves out, such as outlining",
    )
    parser.add_argument(
        "--without-plain-flags",
        action="store_true",
        help="do not build with sets of plain flags, which takes a third of the time",
    )
    parser.add_argument(
        "--seconds", type=float, default=1200.0, help="limit of a job, not to bind"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--out", type=Path, default=Path("bench-results") / "compile-images.jsonl"
    )
    return parser


def _earlier(options: argparse.Namespace) -> list[dict[str, Any]]:
    key = (options.machine, options.pipelines, options.seed, options.tier.value)
    return [
        line
        for line in earlier_lines(options.out)
        if (
            machine_of(line),
            line["pipelines"],
            line["seed"],
            line.get("tier", "default"),
        )
        == key
        and line["program"] in options.programs
    ]


def _programs(machine: str) -> Mapping[str, Whole]:
    return PROGRAMS if machine == HOSTED else FIRMWARE


def machine_of(line: Mapping[str, Any]) -> str:
    """Return the machine of a measured line: HOSTED, or a name of `firmware.MACHINES`."""
    return str(line.get("machine_of_program", HOSTED))


def _run(name: str, options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="trimtab-bench-") as scratch:
        folder = Path(scratch)
        program = _programs(options.machine)[name]
        fields: dict[str, Any] = {}
        if options.machine != HOSTED:
            fields = MACHINES[options.machine].spec_fields(program)
        archive = program.archive(options.corpus, folder)
        (folder / "work").mkdir()
        before = _cpu_s()
        budget = {"seconds": options.seconds, "evaluations": options.pipelines}
        finished = pipeline.run(
            build(),
            program.spec(
                **fields,
                image={"plain_flags": not options.without_plain_flags},
                tier=options.tier.value,
            ),
            inputs={"source": archive},
            workdir=folder / "work",
            stop=from_budget(budget, threading.Event()),
            seed=options.seed,
        )
        library = {} if options.machine == HOSTED else _libraries(finished, folder)
    result = finished.result
    summary: Any = result.summary
    if "instructions" not in summary:
        raise InvalidInput(
            f"the time of {options.seconds:g} s was up before the search ended; give --seconds"
        )
    return {
        "suite": "compile-images",
        "program": name,
        **(
            {"machine_of_program": options.machine, "library": library} if library else {}
        ),
        "pipelines": options.pipelines,
        "seed": options.seed,
        "tier": options.tier.value,
        "instructions": summary["instructions"],
        "flash": {row["level"]: row["flash_bytes"] for row in summary["sizes"]},
        "answer_by": summary["answer_by"],
        "plain_flags": summary.get("plain_flags", ""),
        "verified": result.verification.status.value,
        "runs_equal": str(result.verification.checks.get("runs_equal")),
        "quarantined": len(summary["quarantined"]),
        "cpu_s": round(_cpu_s() - before, 1),
        "llvm": summary["llvm"],
    }


def _libraries(finished: pipeline.Finished, folder: Path) -> dict[str, int]:
    """Return the flash bytes of C library and start files in builds and in the answer."""
    files = {p.name: p.path for p in finished.produced if isinstance(p, Produced)}
    programs = {
        OZ_LTO: folder / "work" / "baseline-1" / "image.elf",
        GCC: folder / "work" / "rival-gcc" / "image.elf",
    }
    found = {
        name: sum(
            size
            for object_, size in read_file(file, file.with_name("image.map"))
            .by_object()
            .items()
            if object_.startswith("/usr/")
        )
        for name, file in programs.items()
        if file.is_file()
    }
    answer = json.loads(files["image.json"].read_text())
    return {**found, "trimtab": answer["library"]["flash_bytes"]}


def _cpu_s() -> float:
    used = [
        resource.getrusage(who)
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    ]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def saved(line: Mapping[str, Any], rival: str) -> float:
    """Return the share by which the answer's flash is below a rival's."""
    return 1 - float(line["flash"]["trimtab"]) / float(line["flash"][rival])


def saved_of_own(line: Mapping[str, Any], rival: str) -> float:
    """Return the same without the bytes of the C library, which nobody optimises."""
    ours, theirs = (
        float(line["flash"][name]) - float(line["library"][name])
        for name in ("trimtab", rival)
    )
    return 1 - ours / theirs


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of the mean, by a bootstrap over programs."""
    return bootstrap_interval(values, resamples=_RESAMPLES)


def report(lines: Sequence[Mapping[str, Any]]) -> None:
    """Print a row for each program, and one for each rival."""
    print("program       instructions  Oz+gc   LTO+gc  gcc+gc  plain   trimtab")
    for line in lines:
        cells = (
            line["flash"].get(name, "-") for name in (OZ_GC, OZ_LTO, GCC, PLAIN_FLAGS)
        )
        print(
            f"{line['program']:13s} {line['instructions']:12,} "
            + " ".join(f"{cell:>7}" for cell in cells)
            + f" {line['flash']['trimtab']:>9}"
        )
    for rival in RIVALS:
        values = [saved(line, rival) for line in lines if rival in line["flash"]]
        if not values:
            continue
        low, high = interval(values)
        print(
            f"against {rival:20s} {statistics.fmean(values):7.2%} [{low:.2%}, {high:.2%}] on "
            f"{len(values)} programs; smaller on {sum(value > 0 for value in values)}, larger on "
            f"{sum(value < 0 for value in values)}"
        )
    own_parts = [saved_of_own(line, OZ_LTO) for line in lines if "library" in line]
    if own_parts:
        low, high = interval(own_parts)
        print(
            f"without the C library, against {OZ_LTO}: {statistics.fmean(own_parts):.2%} "
            f"[{low:.2%}, {high:.2%}]"
        )
    gcc = sum(line["answer_by"] == GCC_LTO for line in lines)
    own = sum(line["answer_by"] not in ("trimtab", GCC_LTO) for line in lines)
    print(f"{gcc} answers are the whole program by gcc, which the search tries")
    print(
        f"{own} answers are a build of the user's own, because no candidate was smaller"
    )
    valid = sum(line["verified"] == "valid" for line in lines)
    run = [line for line in lines if " of " in line["runs_equal"]]
    equal = sum(len(set(line["runs_equal"].split(" of "))) == 1 for line in run)
    print(f"{len(lines)} programs, {valid} valid, {len(run)} run, {equal} equal")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
