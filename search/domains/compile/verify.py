"""The check of an answer: LLVM's own programs on the files, and the programs run again.

It reads the unoptimised module and the files of the answer, nothing of what the search measured. What it says:

- verifier: `opt -passes=verify` accepts the optimised bitcode, read anew;
- symbols: `llvm-nm` finds the same external symbols (those that may be dropped when unused excepted);
- replay: `opt -passes=...` makes the same bitcode from the unoptimised module, where a pipeline alone is the recipe;
- sizes: `llvm-readelf` on the object gives the claimed bytes, and no more than the -Oz object made here has;
- runs: the program of unoptimised code and the answer's were run on every case and told the same.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from search.domains.compile.problem import CompileProblem
from search.domains.compile.runs import PATIENCE, exceeded
from search.domains.compile.solution import CompileSolution
from search.domains.compile.timing import paired
from search.domains.compile.tools import ToolFailed, Tools, discardable
from solvers.llvm.execute import Ran, RunCase, compare, link_program, run_program
from solvers.llvm.types import Metric
from trimtab.results import Verification, VerificationStatus

METHOD = "LLVM's own tools on the files; the program run against the unoptimised one"
UNVALIDATED = "unvalidated"
_REPLAY_S = 120.0
_MEMORY_BYTES = 2 * 2**30
_TIMED_PAIRS = 9
_GROUP = re.compile(r"^attributes #(?P<number>\d+) = \{(?P<words>.*)\}$", re.MULTILINE)
_TARGET_WORD = re.compile(r'"(?:target-cpu|target-features|tune-cpu)"(?:="[^"]*")?')
_WORD = re.compile(r'(?:"[^"]*"|[^\s"])+')
_REFERENCE = re.compile(r'"[^"]*"|#(?P<number>\d+)\b')  # what stands in quotes is text


@dataclass
class _Found:
    """What the check found so far."""

    faults: list[str] = field(default_factory=list)
    checks: dict[str, Any] = field(default_factory=dict)
    objective: float | None = None


def verify_answer(
    problem: CompileProblem, solution: CompileSolution, tools: Tools
) -> Verification:
    """Valid only when nothing is wrong. `checks["runs_equal"]` says `n of m`, or that nothing could be run."""
    folder = problem.workdir / "check"
    folder.mkdir(exist_ok=True)
    found = _Found()
    for check in (_verifier, _symbols, _replay, _sizes):
        try:
            check(problem, solution, tools, folder, found)
        except ToolFailed as error:
            found.faults.append(str(error))
            found.checks.setdefault(check.__name__.strip("_"), "failed")
    if not found.faults:
        try:
            _runs(problem, solution, tools, folder, found)
            if problem.timed:
                _times(problem, solution, tools, folder, found)
        except ToolFailed as error:
            found.checks["runs_equal"] = f"{UNVALIDATED}: {error}"
    return Verification(
        status=VerificationStatus.INVALID if found.faults else VerificationStatus.VALID,
        method=METHOD,
        claimed_objective=solution.objective,
        objective=found.objective,
        max_violation=None,
        checks=found.checks,
        detail="; ".join(found.faults[:5]) or _sentence(found),
    )


def _sentence(found: _Found) -> str:
    runs = str(found.checks.get("runs_equal", UNVALIDATED))
    if "time" in found.checks:
        return f"verifier-clean, same symbols; {runs} runs told the same as the unoptimised program; {found.checks['time']}"
    if runs.startswith(UNVALIDATED):
        return f"verifier-clean, same symbols, not larger than -Oz; behaviour {runs}"
    return f"verifier-clean, same symbols, not larger than -Oz; {runs} runs told the same as the unoptimised program"


def _verifier(
    problem: CompileProblem,
    solution: CompileSolution,
    tools: Tools,
    folder: Path,
    found: _Found,
) -> None:
    tools.check(solution.bitcode)
    found.checks["verifier"] = "accepts"


def _symbols(
    problem: CompileProblem,
    solution: CompileSolution,
    tools: Tools,
    folder: Path,
    found: _Found,
) -> None:
    before, after = tools.symbols(problem.module), tools.symbols(solution.bitcode)
    lost = before - after
    if lost:
        lost -= discardable(tools.text(problem.module))
    if lost:
        found.faults.append(f"external symbols are gone: {', '.join(sorted(lost)[:5])}")
    if new := after - before:
        found.faults.append(f"external symbols are new: {', '.join(sorted(new)[:5])}")
    in_object = tools.symbols(solution.object)
    if missing := after - in_object - {name for name in after if name.startswith("llvm.")}:
        found.faults.append(
            f"the object lacks symbols of its bitcode: {', '.join(sorted(missing)[:5])}"
        )
    found.checks["symbols"] = f"{len(after)} the same" if not lost and not new else "differ"


def _replay(
    problem: CompileProblem,
    solution: CompileSolution,
    tools: Tools,
    folder: Path,
    found: _Found,
) -> None:
    out = folder / "replay.bc"
    if solution.recipe.by_opt:
        tools.again(solution.recipe, problem.module, out)
        how = "opt -passes"
        if (
            solution.recipe.late_attributes
        ):  # which are no part of the text that is compared below
            made = folder / "replay.o"
            tools.emit(out, made, options=solution.recipe.options)
            if tools.sizes(made) != tools.sizes(solution.object):
                found.faults.append(
                    f"{how} and late attributes make an object of other sizes than the answer's"
                )
    else:
        _replay_by_command(problem, solution, out)
        how = "the replay command"
    if _digest(out) == _digest(solution.bitcode):
        found.checks["replay"] = f"{how} makes the same bitcode"
        return
    if canonical(tools.text(out)) == canonical(tools.text(solution.bitcode)):
        found.checks["replay"] = f"{how} makes the same functions"
        return
    repeated = folder / "replayed.o"
    tools.emit(out, repeated, options=solution.recipe.options)
    if repeated.read_bytes() == solution.object.read_bytes():
        found.checks["replay"] = f"{how} makes the same object"
        return
    found.checks["replay"] = f"{how} makes other bitcode"
    found.faults.append(f"{how} does not repeat the answer from the unoptimised module")


def _replay_by_command(
    problem: CompileProblem, solution: CompileSolution, out: Path
) -> None:
    command = [
        sys.executable,
        "-P",
        "-m",
        "solvers.llvm.replay",
        str(solution.recipe_file),
        str(problem.module),
        str(out),
    ]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_REPLAY_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ToolFailed(
            f"the replay command did not end within {_REPLAY_S:g} s"
        ) from error
    if done.returncode != 0:
        raise ToolFailed(
            f"the replay command failed: {done.stderr.decode(errors='replace').strip()[-1000:]}"
        )


def canonical(text: str) -> str:
    """Textual IR with nothing in it that only the printer decides.

    Left out: what names the file, and the printed order of a block's predecessors, which is that of a use list. Numbers of
    attribute groups are replaced by the groups' own words, without those for the target that `opt -mcpu` writes.
    """
    groups = {
        match["number"]: " ".join(_WORD.findall(_TARGET_WORD.sub("", match["words"])))
        for match in _GROUP.finditer(text)
    }

    def spelled(match: re.Match[str]) -> str:
        number = match["number"]
        return match[0] if number is None else f"[{groups.get(number, number)}]"

    kept = [
        _REFERENCE.sub(spelled, line.partition("; preds = ")[0].rstrip())
        for line in text.splitlines()
        if not line.startswith(
            ("; ModuleID", "source_filename", "attributes #", "; Function Attrs:")
        )
    ]
    return "\n".join(kept)


def _sizes(
    problem: CompileProblem,
    solution: CompileSolution,
    tools: Tools,
    folder: Path,
    found: _Found,
) -> None:
    """Bytes from the object by other eyes; -Oz made again here is what it must not exceed."""
    oz_object, again = folder / "Oz.o", folder / "answer.o"
    tools.clang(problem.module, oz_object, level="Oz")
    tools.emit(solution.bitcode, again, options=solution.recipe.options)
    ours, theirs, repeated = (
        tools.sizes(solution.object),
        tools.sizes(oz_object),
        tools.sizes(again),
    )
    measured = {
        Metric.CODE_BYTES: (ours.code_bytes, theirs.code_bytes),
        Metric.LOADABLE_BYTES: (ours.loadable_bytes, theirs.loadable_bytes),
        Metric.IR_INSTRUCTIONS: _instructions(problem, solution, tools, folder),
    }
    mine, reference = measured[problem.metric]
    claimed = solution.sizes.of(problem.metric)
    found.checks["sizes"] = (
        f"{ours.loadable_bytes:,} loadable, {ours.code_bytes:,} code bytes, "
        f"{measured[Metric.IR_INSTRUCTIONS][0]:,} IR instructions"
    )
    found.checks["oz_made_again"] = reference
    found.checks["object_made_again"] = "same sizes" if repeated == ours else "other sizes"
    if mine != claimed:
        found.faults.append(
            f"{problem.metric.value}: the search claimed {claimed:,}, the tools say {mine:,}"
        )
    if problem.timed:
        return
    if mine > reference:
        found.faults.append(
            f"{problem.metric.value}: {mine:,} is larger than the {reference:,} of -Oz"
        )
    found.objective = float(mine)


def _instructions(
    problem: CompileProblem, solution: CompileSolution, tools: Tools, folder: Path
) -> tuple[int, int]:
    """IR instructions of the answer and of -Oz; the second is made only where they are the objective."""
    mine = tools.instructions(solution.bitcode)
    if problem.metric is not Metric.IR_INSTRUCTIONS:
        return mine, 0
    oz = folder / "Oz.bc"
    tools.clang(problem.module, oz, level="Oz", bitcode=True)
    return mine, tools.instructions(oz)


def _runs(
    problem: CompileProblem,
    solution: CompileSolution,
    tools: Tools,
    folder: Path,
    found: _Found,
) -> None:
    """Both programs on every case. What the unoptimised program does not repeat proves nothing and is not counted."""
    if not solution.cases:
        found.checks["runs_equal"] = (
            f"{UNVALIDATED}: {solution.why_unvalidated or 'there is nothing to run'}"
        )
        return
    plain = folder / "O0.o"
    tools.emit(problem.module, plain, level="0")
    reference = _linked(problem, plain, folder / "O0")
    ours = _linked(problem, solution.object, folder / "ours")
    equal = counted = 0
    uncounted: list[str] = []
    for number, (case, timeout_s) in enumerate(solution.cases):
        go = _runner(case, timeout_s, folder)
        first, second = go(reference), go(reference)
        if (differs := compare(first, second)) is not None:
            uncounted.append(
                f"run {number}: the unoptimised program does not repeat itself ({differs})"
            )
            continue
        counted += 1
        ran = go(ours)
        if ran.limit == "seconds":
            ran = _runner(case, PATIENCE * timeout_s, folder)(ours)
        told = exceeded(number, ran, timeout_s) if ran.limit else compare(first, ran)
        if told is None:
            equal += 1
        else:
            found.faults.append(
                told
                if ran.limit
                else f"run {number} differs from the unoptimised program: {told}"
            )
    found.checks["runs_equal"] = (
        f"{equal} of {counted}" if counted else f"{UNVALIDATED}: no run repeats itself"
    )
    if uncounted:
        found.checks["runs_not_counted"] = uncounted


def _times(
    problem: CompileProblem,
    solution: CompileSolution,
    tools: Tools,
    folder: Path,
    found: _Found,
) -> None:
    """Objective run_time: -O2 made here and the answer in fresh pairs of runs. Clearly slower is a fault."""
    baseline, baseline_object = folder / "O2.bc", folder / "O2.o"
    tools.opt("default<O2>", problem.module, baseline)
    tools.emit(baseline, baseline_object)
    programs = [
        _linked(problem, solution.object, folder / "timed"),
        _linked(problem, baseline_object, folder / "O2"),
    ]
    ours, theirs = (
        lambda program=program: sum(
            _runner(case, limit, folder)(program).cpu_s for case, limit in solution.cases
        )
        for program in programs
    )
    timing = paired(ours, theirs, _TIMED_PAIRS)
    found.checks["time"] = timing.told()
    found.objective = timing.ours_s
    if solution.timing is not None and timing.low > 1.0:
        found.faults.append(
            f"run_time: {timing.told()}: slower, though the search claimed {solution.timing.told()}"
        )


def _linked(problem: CompileProblem, code: Path, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    flags = (*problem.libraries, *(("-lstdc++",) if problem.cxx else ()))
    return link_program(
        [code, *problem.objects], workdir=folder, target=problem.target, flags=flags
    )


def _runner(case: RunCase, timeout_s: float, folder: Path) -> Callable[[Path], Ran]:
    def go(program: Path) -> Ran:
        return run_program(
            program,
            case,
            timeout_s=timeout_s,
            memory_bytes=_MEMORY_BYTES,
            workdir=folder,
            stopped=lambda: False,
        )

    return go


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
