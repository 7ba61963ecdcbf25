"""`python -m workers.bench compile plain`: linked programs by plain flags alone.

The flag sets that people use to make programs smaller, each added to `clang -Oz -flto` with
`--gc-sections`, on the programs of `images`: the rival of a search with as many compilations. With
the lines of `images` in `--images`, the share of programs on which the search is smaller.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.domains.compile.baselines import measured
from search.domains.compile.builds import OZ_LTO, build_own
from search.domains.compile.parse.problem import CompileProblem, parse_problem
from search.types import InvalidInput
from solvers.llvm.eager_binding import NO_PLT
from solvers.llvm.frontend import SourceError
from workers.bench.lines import earlier_lines
from workers.bench.stats import machine
from workers.corpus.images import PROGRAMS
from workers.corpus.sources import CorpusMissing

_TSP, _LSR, _MLICM = (
    "-apply-ext-tsp-for-size",
    "-disable-lsr",
    "-disable-machine-licm",
)


@dataclass(frozen=True)
class FlagSet:
    """Flags of clang beside -Oz -flto."""

    front_end: tuple[str, ...] = ()  # decided in the IR
    llvm: tuple[str, ...] = ()  # after -mllvm


def _llvm(*words: str) -> FlagSet:
    return FlagSet(llvm=words)


# The 33 sets whose best is the bar: none, 29 single choices, three combinations.
SETS: Mapping[str, FlagSet] = {
    "none": FlagSet(),
    "Os": _llvm("-force-remove-attribute=minsize"),
    "no loop transformations": FlagSet(("-fno-unroll-loops", "-fno-vectorize")),
    **{
        f"inline threshold {count}": _llvm(f"-inline-threshold={count}")
        for count in (0, 5, 25, 50, 75, 100)
    },
    "no inlining": FlagSet(("-fno-inline-functions",)),
    "machine outliner": _llvm("-enable-machine-outliner=always"),
    "IR outliner": _llvm("-ir-outliner"),
    "merge functions": _llvm("-enable-merge-functions"),
    "no jump tables": FlagSet(("-fno-jump-tables",)),
    "no sibling calls": FlagSet(("-fno-optimize-sibling-calls",)),
    "GVN hoist": _llvm("-enable-gvn-hoist"),
    "GVN sink": _llvm("-enable-gvn-sink"),
    "NewGVN": _llvm("-enable-newgvn"),
    "hot-cold split": _llvm("-hot-cold-split"),
    "no LSR": _llvm(_LSR),
    "no machine LICM": _llvm(_MLICM),
    "no machine CSE": _llvm("-disable-machine-cse"),
    "ext-TSP": _llvm(_TSP),
    "no strict aliasing": FlagSet(("-fno-strict-aliasing",)),
    "merge all constants": FlagSet(("-fmerge-all-constants",)),
    "no builtins": FlagSet(("-fno-builtin",)),
    "omit frame pointer": FlagSet(("-fomit-frame-pointer",)),
    "no LICM promotion": _llvm("-disable-licm-promotion"),
    "no loop idioms": _llvm("-disable-loop-idiom-all"),
    "no shrink wrap": _llvm("-enable-shrink-wrap=false"),
    "merge, threshold 5, no LSR": _llvm(
        "-enable-merge-functions", "-inline-threshold=5", _LSR
    ),
    "ext-TSP, no LSR, no machine LICM": _llvm(_TSP, _LSR, _MLICM),
    "GVN hoist, GVN sink, ext-TSP": _llvm("-enable-gvn-hoist", "-enable-gvn-sink", _TSP),
}
# Ours, which flags.txt may name; not among the 33.
OURS: Mapping[str, FlagSet] = {
    "no PLT": _llvm(NO_PLT),
    "no PLT, ext-TSP, no LSR, no machine LICM": _llvm(NO_PLT, _TSP, _LSR, _MLICM),
}
ALL: Mapping[str, FlagSet] = {**SETS, **OURS}


def main(argv: list[str]) -> int:
    """Build every program by every set; resume from the lines in the output file."""
    options = _parser().parse_args(argv)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        line for line in earlier_lines(options.out) if line["program"] in options.programs
    ]
    done = {(line["program"], line["set"]) for line in lines}
    for name in options.programs:
        pending = [each for each in options.sets if (name, each) not in done]
        if not pending:
            continue
        try:
            fresh = _of_program(name, pending, options.corpus)
        except (InvalidInput, CorpusMissing) as error:
            print(f"{name} is left out: {error}", file=sys.stderr, flush=True)
            continue
        lines += fresh
        with options.out.open("a") as out:
            out.writelines(
                json.dumps(line | {"machine": machine()}) + "\n" for line in fresh
            )
        print(f"{name}: {len(fresh)} sets", file=sys.stderr, flush=True)
    report(lines, earlier_lines(options.images))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m workers.bench compile plain", description=__doc__
    )
    parser.add_argument(
        "--corpus", type=Path, default=Path("bench-results/train/compile")
    )
    parser.add_argument(
        "--programs", nargs="*", choices=list(PROGRAMS), default=list(PROGRAMS)
    )
    parser.add_argument("--sets", nargs="*", choices=list(ALL), default=list(ALL))
    parser.add_argument(
        "--images",
        type=Path,
        default=Path("bench-results") / "compile-images.jsonl",
        help="lines of `images` to compare with",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("bench-results") / "compile-plain.jsonl"
    )
    return parser


def _of_program(name: str, sets: Sequence[str], corpus: Path) -> list[dict[str, Any]]:
    lines = []
    with tempfile.TemporaryDirectory(prefix="trimtab-bench-") as scratch:
        archive = PROGRAMS[name].archive(corpus, Path(scratch))
        problems: dict[tuple[str, ...], CompileProblem] = {}
        for number, each in enumerate(sets):
            flags = ALL[each]
            folder = Path(scratch) / str(number)
            folder.mkdir()
            if flags.front_end not in problems:
                problems[flags.front_end] = _problem(name, flags, archive, folder)
            problem = problems[flags.front_end]
            assert problem.image is not None
            line: dict[str, Any] = {
                "suite": "compile-plain",
                "program": name,
                "set": each,
            }
            try:
                build = build_own(problem, OZ_LTO, folder / "build", flags=flags.llvm)
                sizes = measured(problem.image, build).sizes
                line["flash"] = sizes.loadable_bytes
            except SourceError as error:
                line["failed"] = f"{error}: {error.diagnostics}"[:500]
            lines.append(line)
    return lines


def _problem(name: str, flags: FlagSet, archive: Path, folder: Path) -> CompileProblem:
    spec = PROGRAMS[name].spec(image={})
    words = (*spec.build.flags, *flags.front_end)
    spec = spec.model_copy(
        update={"build": spec.build.model_copy(update={"flags": words})}
    )
    return parse_problem(spec, {"source": archive}, folder)


def flash_by_set(lines: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Return program → set → bytes, of the programs that were built without further flags."""
    flash: dict[str, dict[str, int]] = {}
    for line in lines:
        if "flash" in line:
            flash.setdefault(line["program"], {})[line["set"]] = line["flash"]
    return {name: row for name, row in flash.items() if "none" in row}


def best_of_sets(flash: Mapping[str, int]) -> int:
    """Return the fewest bytes of a program by any of SETS."""
    return min(flash[each] for each in SETS if each in flash)


def report(
    lines: Sequence[Mapping[str, Any]], images: Sequence[Mapping[str, Any]]
) -> None:
    """Print what each set saves on the mean, and the search against the best of the 33."""
    whole = flash_by_set(lines)
    for each in ALL:
        saved = [1 - row[each] / row["none"] for row in whole.values() if each in row]
        if saved:
            print(f"{each:45s} {statistics.fmean(saved):7.2%} on {len(saved)} programs")
    best = {name: best_of_sets(row) for name, row in whole.items()}
    if best:
        mean = statistics.fmean(1 - best[name] / whole[name]["none"] for name in best)
        print(f"{'best of the sets for each program':45s} {mean:7.2%}")
    for count in sorted({int(line["pipelines"]) for line in images}):
        ours = {
            str(line["program"]): int(line["flash"]["trimtab"])
            for line in images
            if line["pipelines"] == count and line["program"] in best
        }
        if ours:
            smaller = sum(ours[name] < best[name] for name in ours)
            print(f"{count} compilations: smaller on {smaller} of {len(ours)} programs")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
