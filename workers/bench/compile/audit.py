"""`python -m workers.bench compile audit`: count miscompiles over programs that run.

Every program is built by every pipeline, linked, run, and compared with the unoptimised one: exit
code, output, files. What differs, crashes or is refused by the verifier is bisected to the first
pass after which it does. Sets: `levels` (O1 to Oz, the control), `coreset` (what trimtab tries
first), `experimental` (passes that LLVM ships and does not enable), `flat` (random flat
sequences, as the literature draws its candidates, and one that broke zlib on LLVM 10), or a JSON
list of your own.

    python -m workers.bench compile audit --sets levels coreset experimental flat
    python -m workers.bench compile audit --pipelines mine.json
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from search.domains.compile import build
from search.domains.compile.encode import Prepared
from search.domains.compile.search.behaviour import BehaviourOracle
from search.domains.compile.search.candidates import candidate_space
from search.domains.compile.search.coreset import LISTS, load_coreset
from search.domains.compile.search.edits import Candidate
from search.domains.compile.search.quarantine import (
    Differs,
    find_reproducer,
    minimise_passes,
)
from search.types import InvalidInput
from solvers.llvm.engine import CandidateFailed, Engine
from solvers.llvm.environment.actions import FLAT, known_to
from solvers.llvm.pipeline import BadPipeline
from solvers.llvm.types import Outcome, Recipe
from trimtab.specs.compile import CompileSpec, Tier
from workers.bench.lines import earlier_lines
from workers.bench.stats import machine
from workers.corpus import programs
from workers.corpus.sources import CorpusMissing
from workers.corpus.whole import WHOLE

SETS = ("levels", "coreset", "experimental", "flat")
WHOLE_PROGRAMS = ("zlib", "bzip2", "lua5.4")
_FLAT_LENGTH = (10, 45)
# No. 43 of the fifty sequences Liang et al. (ICML 2023) published: in their LLVM 10 it
# miscompiles zlib's inflate_table.
_PUBLISHED = (
    "function(mem2reg,loop-mssa(licm),gvn,instcombine<no-verify-fixpoint>,loop-vectorize,"
    "loop(indvars),instnamer,newgvn),inferattrs,function(speculative-execution,lcssa,"
    "instcombine<no-verify-fixpoint>),cgscc(inline),function(simplifycfg)"
)
_NOTHING = b"define i32 @main() {\n  ret i32 0\n}\n"


def main(argv: list[str]) -> int:
    """Run the audit; pairs that the output file has are not run again."""
    options = _parser().parse_args(argv)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    audited = list(_pipelines(options))
    lines = earlier_lines(options.out)
    done = {(line["program"], _recipe_of(line)) for line in lines}
    with tempfile.TemporaryDirectory(prefix="trimtab-audit-") as scratch:
        for number, (name, spec, file) in enumerate(_programs(options, Path(scratch))):
            pending = [row for row in audited if (name, _recipe_of(row)) not in done]
            if not pending:
                continue
            workdir = Path(scratch) / f"program-{number}"
            workdir.mkdir()
            try:
                for line in _of_program(spec, file, workdir, pending):
                    lines.append({"suite": "compile-audit", "program": name} | line)
                    with options.out.open("a") as out:
                        out.write(json.dumps(lines[-1] | {"machine": machine()}) + "\n")
            except InvalidInput as error:  # csmith also writes programs that do not end
                print(f"{name} is left out: {error}", file=sys.stderr, flush=True)
                continue
            outcomes = Counter(
                line["outcome"] for line in lines if line["program"] == name
            )
            print(f"{name}: {dict(outcomes)}", file=sys.stderr, flush=True)
    report(lines)
    if options.summary is not None:
        summary = [json.dumps(line) + "\n" for line in by_pipeline(lines)]
        options.summary.write_text("".join(summary))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m workers.bench compile audit", description=__doc__
    )
    parser.add_argument("--sets", nargs="*", choices=SETS, default=list(SETS))
    parser.add_argument(
        "--pipelines",
        type=Path,
        help="JSON file: a list of pipelines as opt -passes= takes them",
    )
    parser.add_argument("--flat", type=int, default=20, help="random flat sequences")
    parser.add_argument("--generated", type=int, default=12)
    parser.add_argument("--csmith", type=int, default=8)
    parser.add_argument(
        "--whole", nargs="*", choices=sorted(WHOLE), default=list(WHOLE_PROGRAMS)
    )
    parser.add_argument(
        "--corpus", type=Path, default=Path("bench-results/train/compile")
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--out", type=Path, default=Path("bench-results") / "compile-audit.jsonl"
    )
    parser.add_argument(
        "--summary",
        type=Path,
        help="JSON lines, one for each pipeline: its outcomes, and the programs it broke",
    )
    return parser


def by_pipeline(lines: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield one line for each pipeline.

    Those of the first three sets have names; a flat one is written in full.
    """
    rows: dict[Recipe, list[dict[str, Any]]] = {}
    for line in lines:
        rows.setdefault(_recipe_of(line), []).append(line)
    for recipe, of_it in rows.items():
        first = of_it[0]
        broken = [
            {
                "program": row["program"],
                "outcome": row["outcome"],
                "together": row.get("reproducer", {}).get("together", ""),
                "detail": row["detail"][:120],
            }
            for row in of_it
            if row["outcome"] != "equal"
        ]
        is_named = first["set"] in ("levels", "coreset", "experimental")
        yield {
            "suite": "compile-audit",
            "set": first["set"],
            "name": first["name"],
            "pipeline": hashlib.sha256(recipe.pipeline.encode()).hexdigest()[:16]
            if is_named
            else recipe.pipeline,
            "options": " ".join(recipe.options),
            "programs": len(of_it),
            "outcomes": dict(Counter(row["outcome"] for row in of_it)),
            "broken": broken,
            "llvm": first["llvm"],
            "machine": machine(),
        }


def _pipelines(options: argparse.Namespace) -> Iterator[dict[str, str]]:
    if options.pipelines is not None:
        for number, text in enumerate(json.loads(options.pipelines.read_text())):
            yield {
                "set": options.pipelines.name,
                "name": f"{number}",
                "pipeline": str(text),
            }
        return
    with Engine(_NOTHING) as engine:
        defaults = engine.default_pipelines()
        actions = known_to(engine, FLAT)
    if "levels" in options.sets:
        yield from (
            {"set": "levels", "name": level, "pipeline": defaults[level]}
            for level in defaults
            if level != "O0"
        )
    if "coreset" in options.sets:
        coreset = {c.digest: c for metric in LISTS for c in load_coreset(metric)}
        for candidate in coreset.values():
            yield _row("coreset", candidate, defaults)
    if "experimental" in options.sets:
        for candidate in candidate_space(defaults):
            if candidate.tier is Tier.EXPERIMENTAL:
                try:
                    yield _row("experimental", candidate, defaults)
                except BadPipeline:
                    continue
    if "flat" in options.sets:
        yield {"set": "flat", "name": "published-43", "pipeline": _PUBLISHED}
        rng = np.random.default_rng((options.seed, 50))
        for number in range(options.flat):
            length = int(rng.integers(_FLAT_LENGTH[0], _FLAT_LENGTH[1] + 1))
            text = ",".join(
                actions[int(i)].pipeline for i in rng.integers(len(actions), size=length)
            )
            yield {"set": "flat", "name": f"flat-{number}", "pipeline": text}


def _row(name: str, candidate: Candidate, defaults: Mapping[str, str]) -> dict[str, str]:
    recipe = candidate.recipe(defaults)
    return {
        "set": name,
        "name": candidate.name,
        "pipeline": recipe.pipeline,
        "options": " ".join(recipe.options),
    }


def _recipe_of(row: Mapping[str, Any]) -> Recipe:
    """Return the recipe of a result or of a pipeline to audit.

    Two recipes may differ in LLVM's options alone.
    """
    return Recipe(pipeline=row["pipeline"], options=tuple(row.get("options", "").split()))


def _programs(
    options: argparse.Namespace, scratch: Path
) -> Iterator[tuple[str, CompileSpec, Path]]:
    first = programs.FIRST_HELD_OUT
    for make, count in (
        (programs.generated, options.generated),
        (programs.csmith, options.csmith),
    ):
        try:
            for program in make(range(first, first + count), scratch / "programs"):
                yield (
                    f"{program.set}-{program.seed}",
                    program.spec(),
                    program.write_bitcode(scratch / "programs"),
                )
        except CorpusMissing as error:
            print(f"left out: {error}", file=sys.stderr)
    for name in options.whole:
        try:
            yield name, WHOLE[name].spec(), WHOLE[name].archive(options.corpus, scratch)
        except CorpusMissing as error:
            print(f"left out: {error}", file=sys.stderr)


def _of_program(
    spec: CompileSpec, file: Path, workdir: Path, audited: list[dict[str, str]]
) -> Iterator[dict[str, Any]]:
    domain = build()
    problem = domain.parse(spec, {"source": file}, workdir)
    prepared: Prepared = domain.encode(problem)
    with prepared.engine as engine:
        oracle = BehaviourOracle(problem, folder=workdir / "runs", stopped=lambda: False)
        oracle.record_reference(
            engine.build(Recipe(pipeline=prepared.pipelines["O0"])).object, has_main=True
        )
        outcomes: dict[str, dict[str, Any]] = {}  # by digest of the program
        for row in audited:
            yield {**row, "llvm": prepared.installed.build_id} | _outcome(
                engine, oracle, _recipe_of(row), outcomes
            )


def _outcome(
    engine: Engine,
    oracle: BehaviourOracle,
    recipe: Recipe,
    outcomes: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    """Build, run and compare.

    Outcomes: equal; miscompiled; endless (a run did not end); or the failure of the build:
    crashed, timeout, memory, refused (by the verifier, or because external symbols changed).
    """
    try:
        built = engine.build(recipe)
    except CandidateFailed as failed:
        outcome = failed.measured.outcome

        def fails(candidate: Recipe) -> str | None:
            (again,) = engine.measure([candidate])
            return again.outcome.value if again.outcome is outcome else None

        failure = {"outcome": outcome.value, "detail": failed.measured.detail[:300]}
        if outcome in (Outcome.CRASHED, Outcome.REFUSED):
            return failure | _reduced(recipe, fails)
        return failure
    digest, sizes = built.measured.program, built.measured.sizes
    if digest not in outcomes:
        assert sizes is not None
        bytes_of = {"loadable": sizes.loadable_bytes, "ir": sizes.ir_instructions}
        outcomes[digest] = _behaviour(engine, oracle, recipe, built.object) | bytes_of
    return outcomes[digest]


def _behaviour(
    engine: Engine, oracle: BehaviourOracle, recipe: Recipe, code: bytes
) -> dict[str, Any]:
    def differs(candidate: Recipe) -> str | None:
        try:
            verdict = oracle.compare(engine.build(candidate).object)
        except CandidateFailed:
            return None
        return None if verdict.equal else verdict.detail

    if not oracle.cases:
        return {"outcome": "not run", "detail": oracle.why_unvalidated}
    verdict = oracle.compare(code)
    if verdict.equal:
        return {"outcome": "equal"}
    reproducer = _reduced(recipe, differs)
    outcome = "endless" if "ended by the limit" in verdict.detail else "miscompiled"
    return {
        "outcome": outcome if reproducer else "not repeated",
        "detail": verdict.detail[:300],
    } | reproducer


def _reduced(recipe: Recipe, differs: Differs) -> dict[str, Any]:
    """Bisect to the first bad pass and the passes before it that it needs.

    Empty when the fault does not repeat.
    """
    reproducer = find_reproducer(recipe, differs, stopped=lambda: False)
    if reproducer is None:
        return {}
    together = minimise_passes(reproducer.bad, differs, stopped=lambda: False).pipeline
    return {"reproducer": {**reproducer.as_json(), "together": together}}


def report(lines: list[dict[str, Any]]) -> None:
    """Print the outcomes of each set, and its pipelines that miscompile."""
    sets: dict[str, list[Mapping[str, Any]]] = {}
    for line in lines:
        sets.setdefault(line["set"], []).append(line)
    for name, rows in sets.items():
        outcomes = Counter(row["outcome"] for row in rows)
        pipelines = {_recipe_of(row) for row in rows}
        bad = {_recipe_of(row) for row in rows if row["outcome"] == "miscompiled"}
        together = Counter(
            (row["outcome"], row["reproducer"]["together"])
            for row in rows
            if row.get("reproducer")
        )
        print(
            f"{name}: {len(pipelines)} pipelines on {len({row['program'] for row in rows})} "
            "programs: "
            f"{', '.join(f'{count} {outcome}' for outcome, count in outcomes.most_common())}; "
            f"{len(bad)} pipelines miscompile a program ({len(bad) / len(pipelines):.0%})"
        )
        for (outcome, passes), count in together.most_common(8):
            print(f"  {outcome} by {passes}: {count}")
