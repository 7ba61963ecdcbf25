"""Check of an answer: LLVM's own programs on its files, and the programs run again.

The check reads the unoptimised module and the answer's files, and none of the search's
measurements.

- verifier: `opt -passes=verify` accepts the optimised bitcode;
- symbols: `llvm-nm` lists the same external symbols, apart from those that may be dropped when
  unused;
- replay: the recipe makes the same bitcode, functions or object from the unoptimised module, by
  `opt -passes=...`, or by the replay command for a recipe that `opt` cannot run;
- sizes: `llvm-readelf` on the object gives the claimed bytes, and no more than an -Oz object
  made here;
- runs: the unoptimised program and the answer behave the same on every case.

Shared with the search, because both must mean the same by it: the runner of confined programs
and its comparison of two runs (`solvers.llvm.execute`), the statistics of paired runs
(`solvers.llvm.pairs`), the limits of a run (`run_limits`), and as data the cases to run
(`CompileSolution.cases`). No module of the compile kind's `search` or `encode`, of the engine or of
the learned models is imported, directly or indirectly (import contract).

One check is not independent. `opt` cannot run function pipelines or set attributes before a
pipeline (`Recipe.by_opt`), which the default `per_function: true` may choose. Such a recipe is
repeated by `python -m solvers.llvm.replay`, a process of its own with the search's engine
(`solvers.llvm.engine`). It proves that the recipe repeats the answer, but a fault of the engine
would repeat too. Verifier, symbols, sizes and runs do not depend on it: they use LLVM's programs on
the answer's files. `METHOD_WITH_ENGINE` says so in the result.
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

from search.domains.compile.answer import OURS, CompileSolution, ImageAnswer
from search.domains.compile.builds import (
    OZ,
    OZ_GC,
    OZ_LTO,
    PLAIN_FLAGS,
    Build,
    build_own,
    link_for_runs,
    link_objects,
    unoptimised_objects,
)
from search.domains.compile.gcc_builds import GCC, GCC_LTO, build_gcc, build_gcc_lto
from search.domains.compile.parse.problem import CompileProblem
from search.domains.compile.run_limits import MEMORY_BYTES, RETRY_FACTOR, limit_message
from solvers.llvm.execute import Ran, RunCase, compare, run_program
from solvers.llvm.frontend import SourceError
from solvers.llvm.pairs import time_pairs
from solvers.llvm.programs import LlvmProgramFailed, LlvmPrograms, discardable
from solvers.llvm.types import Metric
from trimtab.results import Verification, VerificationStatus

METHOD = "LLVM's own tools on the files; the program run against the unoptimised one"
METHOD_WITH_ENGINE = (
    "LLVM's own tools on the files, but replay by the search's engine; "
    "the program run against the unoptimised one"
)
UNVALIDATED = "unvalidated"
_REPLAY_S = 120.0
_TIMED_PAIRS = 9
_SHOWN = 5  # faults, and symbols of one fault, that are listed
_DETAIL_CHARS = 1000
_GROUP = re.compile(r"^attributes #(?P<number>\d+) = \{(?P<words>.*)\}$", re.MULTILINE)
_TARGET_WORD = re.compile(r'"(?:target-cpu|target-features|tune-cpu)"(?:="[^"]*")?')
_WORD = re.compile(r'(?:"[^"]*"|[^\s"])+')
# Quoted text is matched to be skipped.
_REFERENCE = re.compile(r'"[^"]*"|#(?P<number>\d+)\b')
_PRINTER_LINES = ("; ModuleID", "source_filename", "attributes #", "; Function Attrs:")


def verify_answer(
    problem: CompileProblem, solution: CompileSolution, programs: LlvmPrograms
) -> Verification:
    """Check an answer; valid only when no check reports a fault.

    `checks["runs_equal"]` is "N of M", or says why nothing could be run.
    """
    folder = problem.workdir / "check"
    folder.mkdir(exist_ok=True)
    return Check(problem, solution, programs, folder).run()


@dataclass
class Check:
    """Checks of one answer with the faults found so far."""

    problem: CompileProblem
    solution: CompileSolution
    programs: LlvmPrograms
    folder: Path
    faults: list[str] = field(default_factory=list)
    checks: dict[str, Any] = field(default_factory=dict)
    objective: float | None = None

    def run(self) -> Verification:
        """Run all checks; programs run only when the files have no fault."""
        sizes = self.sizes if self.solution.image is None else self.image
        for check in (self.verifier, self.symbols, self.replay, sizes):
            try:
                check()
            except (LlvmProgramFailed, SourceError) as error:
                self.faults.append(str(error))
                self.checks.setdefault(check.__name__, "failed")
        if not self.faults:
            try:
                self.runs()
                if self.problem.timed:
                    self.time()
            except (LlvmProgramFailed, SourceError) as error:
                self.checks["runs_equal"] = f"{UNVALIDATED}: {error}"
        valid = not self.faults
        return Verification(
            status=VerificationStatus.VALID if valid else VerificationStatus.INVALID,
            method=METHOD if self.solution.recipe.by_opt else METHOD_WITH_ENGINE,
            claimed_objective=self.solution.objective,
            objective=self.objective,
            max_violation=None,
            checks=self.checks,
            detail="; ".join(self.faults[:_SHOWN]) or self._sentence(),
        )

    def _sentence(self) -> str:
        runs = str(self.checks.get("runs_equal", UNVALIDATED))
        equal = f"{runs} runs equal to those of the unoptimised program"
        if "time" in self.checks:
            return f"accepted by LLVM's verifier, same symbols; {equal}; {self.checks['time']}"
        behaviour = f"behaviour {runs}" if runs.startswith(UNVALIDATED) else equal
        if self.solution.image is not None:
            return (
                "accepted by LLVM's verifier, linked again with the same result, not larger than "
                f"the user's own builds; {behaviour}"
            )
        return (
            f"accepted by LLVM's verifier, same symbols, not larger than -Oz; {behaviour}"
        )

    def verifier(self) -> None:
        """LLVM's verifier accepts the optimised bitcode."""
        self.programs.verify(self.solution.bitcode)
        self.checks["verifier"] = "accepts"

    def symbols(self) -> None:
        """Bitcode and object define the external symbols of the unoptimised module."""
        before = self.programs.external_symbols(self.problem.module)
        after = self.programs.external_symbols(self.solution.bitcode)
        lost, new = before - after, after - before
        if lost:
            lost -= discardable(self.programs.disassemble(self.problem.module))
        if lost:
            self.faults.append(f"external symbols are gone: {_listed(lost)}")
        if new:
            self.faults.append(f"external symbols are new: {_listed(new)}")
        intrinsic = {name for name in after if name.startswith("llvm.")}
        in_object = self.programs.external_symbols(self.solution.object)
        if missing := after - in_object - intrinsic:
            self.faults.append(
                f"the object lacks symbols of its bitcode: {_listed(missing)}"
            )
        self.checks["symbols"] = (
            f"{len(after)} the same" if not lost and not new else "differ"
        )

    def replay(self) -> None:
        """The recipe makes the answer again: same bitcode, same functions or same object."""
        out, recipe = self.folder / "replay.bc", self.solution.recipe
        if recipe.by_opt:
            maker = "opt -passes"
            self.programs.replay(recipe, self.problem.module, out)
            # The text that is compared below does not have them.
            if recipe.late_attributes:
                self._compare_late_attributes(out, maker)
        else:
            maker = "the replay command"
            # Joined of parts: the object shows more than the bitcode, which has no parts.
            out = out.with_suffix(".o") if recipe.function_options else out
            _replay_by_command(self.problem, self.solution, out)
        same = self._same_as_answer(out)
        self.checks["replay"] = f"{maker} makes {same or 'other bitcode'}"
        if not same:
            self.faults.append(
                f"{maker}: expected the answer from the unoptimised module, got another program"
            )

    def _compare_late_attributes(self, bitcode: Path, maker: str) -> None:
        made = self.folder / "replay.o"
        self.programs.emit_object(bitcode, made, options=self.solution.recipe.options)
        answer = self.programs.object_sizes(self.solution.object)
        if self.programs.object_sizes(made) != answer:
            self.faults.append(
                f"{maker} and late attributes make an object whose sizes differ from the answer's"
            )

    def _same_as_answer(self, bitcode: Path) -> str:
        """Name the strictest sense in which `bitcode`, or an object, equals the answer's.

        "" when in none.
        """
        answer = self.solution
        if bitcode.suffix == ".o":
            same = _digest(bitcode) == _digest(answer.object)
            return "the same object" if same else ""
        if _digest(bitcode) == _digest(answer.bitcode):
            return "the same bitcode"
        text = canonical(self.programs.disassemble(bitcode))
        if text == canonical(self.programs.disassemble(answer.bitcode)):
            return "the same functions"
        made = self.folder / "replayed.o"
        self.programs.emit_object(bitcode, made, options=answer.recipe.options)
        return (
            "the same object" if made.read_bytes() == answer.object.read_bytes() else ""
        )

    def sizes(self) -> None:
        """The object has the claimed bytes, and no more than an -Oz object made here."""
        oz_object, again = self.folder / "Oz.o", self.folder / "answer.o"
        answer, metric = self.solution, self.problem.metric
        self.programs.clang(self.problem.module, oz_object, level="Oz")
        self.programs.emit_object(answer.bitcode, again, options=answer.recipe.options)
        ours = self.programs.object_sizes(answer.object)
        theirs = self.programs.object_sizes(oz_object)
        repeated = self.programs.object_sizes(again)
        measured = {
            Metric.CODE_BYTES: (ours.code_bytes, theirs.code_bytes),
            Metric.LOADABLE_BYTES: (ours.loadable_bytes, theirs.loadable_bytes),
            Metric.IR_INSTRUCTIONS: self._instructions(),
        }
        size, reference = measured[metric]
        claimed = answer.sizes.of(metric)
        self.checks["sizes"] = (
            f"{ours.loadable_bytes:,} loadable, {ours.code_bytes:,} code bytes, "
            f"{measured[Metric.IR_INSTRUCTIONS][0]:,} IR instructions"
        )
        self.checks["oz_made_again"] = reference
        self.checks["object_made_again"] = (
            "same sizes" if repeated == ours else "other sizes"
        )
        if size != claimed:
            self.faults.append(
                f"{metric.value}: the search claimed {claimed:,}, the tools measure {size:,}"
            )
        if self.problem.timed:
            return
        if size > reference:
            self.faults.append(
                f"{metric.value}: {size:,} is larger than the {reference:,} of -Oz"
            )
        self.objective = float(size)

    def image(self) -> None:
        """The program links again to the same file, and is no larger than the user's builds."""
        answer, problem, metric = self.solution.image, self.problem, self.problem.metric
        assert answer is not None
        assert problem.image is not None
        again, own = self._linked_again(answer)
        same = again.read_bytes() == answer.file.read_bytes()
        self.checks["linked_again"] = "the same program" if same else "another program"
        if not same:
            self.faults.append("linking the answer again makes another program")
        size = self._image_size(answer.file)
        for name in self._smallest_builds():
            row = own if own is not None and answer.by == name else None
            if row is None:
                row = build_own(problem, name, self.folder / f"image-{len(self.checks)}")
            reference = self._image_size(row.file)
            self.checks[f"{name}_made_again"] = reference
            if size > reference and not row.overflow:
                self.faults.append(
                    f"{metric.value}: {size:,} is larger than the {reference:,} of {name}"
                )
        claimed, beyond = self.solution.sizes.of(metric), self.solution.sizes.beyond_bytes
        if not beyond and size != claimed:
            self.faults.append(
                f"{metric.value}: the search claimed {claimed:,}, the tools measure {size:,}"
            )
        defined = self.programs.external_symbols(answer.file)
        if missing := frozenset(problem.image.demanded) - defined:
            self.faults.append(f"symbols of image.keep are gone: {_listed(missing)}")
        measured = self.programs.object_sizes(answer.file)
        self.checks["sizes"] = (
            f"{measured.loadable_bytes:,} bytes of flash, {measured.ram_bytes:,} of RAM, "
            f"{measured.code_bytes:,} of code"
        )
        if answer.overflow:
            self.checks["fits"] = answer.overflow
        self.objective = float(claimed if beyond else size)

    def _smallest_builds(self) -> list[str]:
        """Name the user's build to make again: the one that the search claims is smallest.

        Builds that behave differently from the unoptimised program do not count.
        """
        metric, levels = self.problem.metric, self.solution.levels
        names = [name for name in (OZ_GC, OZ_LTO) if name in levels]
        names = [name for name in names if name not in self.solution.differing]
        return sorted(names, key=lambda name: levels[name].of(metric))[:1]

    def _image_size(self, file: Path) -> int:
        """Return the objective's bytes of a linked program by `llvm-readelf`."""
        image, sizes = self.problem.image, self.programs.object_sizes(file)
        assert image is not None
        if self.problem.metric is Metric.CODE_BYTES:
            return sizes.code_bytes
        if self.problem.metric is Metric.LOADABLE_BYTES:
            return sizes.loadable_bytes
        return round(
            image.flash_weight * sizes.loadable_bytes + image.ram_weight * sizes.ram_bytes
        )

    def _linked_again(self, answer: ImageAnswer) -> tuple[Path, Build | None]:
        """Link the answer's object, or make the user's own build, again: program and build."""
        folder = self.folder / "linked"
        folder.mkdir(exist_ok=True)
        assert self.problem.image is not None
        if answer.by == OURS:
            file, _ = link_objects(self.problem.image, [self.solution.object], folder)
            return file, None
        row: Build | None
        if answer.by == GCC:
            row = build_gcc(self.problem, folder)
        elif answer.by == GCC_LTO:
            row = build_gcc_lto(self.problem, folder, flags=answer.options)
        elif answer.by == PLAIN_FLAGS and answer.flags is not None:
            words = answer.flags.options
            name = OZ_LTO if "-flto" in answer.flags.compile_flags else OZ_GC
            row = build_own(self.problem, name, folder, flags=words)
        else:
            name = answer.by if answer.by in (OZ, OZ_GC, OZ_LTO) else OZ_GC
            row = build_own(self.problem, name, folder)
        assert row is not None
        return row.file, row

    def _instructions(self) -> tuple[int, int]:
        """IR instructions of the answer, and of -Oz where they are the objective (else 0)."""
        ours = self.programs.count_instructions(self.solution.bitcode)
        if self.problem.metric is not Metric.IR_INSTRUCTIONS:
            return ours, 0
        oz = self.folder / "Oz.bc"
        self.programs.clang(self.problem.module, oz, level="Oz", bitcode=True)
        return ours, self.programs.count_instructions(oz)

    def runs(self) -> None:
        """Both programs behave the same on every case that the unoptimised program repeats."""
        if not self.solution.cases:
            reason = self.solution.why_unvalidated or "there is nothing to run"
            self.checks["runs_equal"] = f"{UNVALIDATED}: {reason}"
            return
        reference, ours = self._programs()
        equal = counted = 0
        uncounted: list[str] = []
        for number, (case, timeout_s) in enumerate(self.solution.cases):
            first, second = (self._run(reference, case, timeout_s) for _ in range(2))
            if (difference := compare(first, second)) is not None:
                uncounted.append(
                    f"run {number}: the unoptimised program does not repeat itself ({difference})"
                )
                continue
            counted += 1
            ran = self._run(ours, case, timeout_s)
            if ran.limit == "seconds":
                ran = self._run(ours, case, RETRY_FACTOR * timeout_s)
            if ran.limit:
                self.faults.append(limit_message(number, ran, timeout_s))
            elif (difference := compare(first, ran)) is not None:
                self.faults.append(
                    f"run {number} differs from the unoptimised program: {difference}"
                )
            else:
                equal += 1
        if counted:
            self.checks["runs_equal"] = f"{equal} of {counted}"
        else:
            self.checks["runs_equal"] = f"{UNVALIDATED}: no run repeats itself"
        if uncounted:
            self.checks["runs_not_counted"] = uncounted

    def _programs(self) -> tuple[Path, Path]:
        """Return the linked unoptimised program, and the answer's."""
        if self.problem.image is not None and self.solution.image is not None:
            objects = unoptimised_objects(self.problem, self.folder / "O0")
            reference, message = link_objects(
                self.problem.image, objects, self.folder / "O0"
            )
            if message:
                raise SourceError("the unoptimised program does not fit", message)
            return reference, self.solution.image.file
        plain = self.folder / "O0.o"
        self.programs.emit_object(self.problem.module, plain, level="0")
        return self._link(plain, "O0"), self._link(self.solution.object, "ours")

    def time(self) -> None:
        """Objective run_time: time the answer against -O2 made here; clearly slower is a fault."""
        baseline, baseline_object = self.folder / "O2.bc", self.folder / "O2.o"
        self.programs.opt("default<O2>", self.problem.module, baseline)
        self.programs.emit_object(baseline, baseline_object)
        ours = self._cpu_s(self._link(self.solution.object, "timed"))
        theirs = self._cpu_s(self._link(baseline_object, "O2"))
        timing = time_pairs(ours, theirs, _TIMED_PAIRS)
        self.checks["time"] = timing.sentence()
        self.objective = timing.ours_s
        claimed = self.solution.timing
        if claimed is not None and timing.low > 1.0:
            self.faults.append(
                f"run_time: {timing.sentence()}: slower, though the search claimed "
                f"{claimed.sentence()}"
            )

    def _cpu_s(self, program: Path) -> Callable[[], float]:
        """Return a function that runs all cases once and returns their CPU seconds."""
        return lambda: sum(
            self._run(program, case, timeout_s).cpu_s
            for case, timeout_s in self.solution.cases
        )

    def _link(self, code: Path, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return link_for_runs(self.problem, code, folder)

    def _run(self, program: Path, case: RunCase, timeout_s: float) -> Ran:
        return run_program(
            program,
            case,
            timeout_s=timeout_s,
            memory_bytes=MEMORY_BYTES,
            workdir=self.folder,
            stopped=lambda: False,
            runner=self.problem.runner,
        )


def canonical(text: str) -> str:
    """Remove from textual IR what only the printer decides.

    That is: the names of the file, and the printed order of a block's predecessors, which is
    the order of a use list. Numbers of attribute groups are replaced by the groups' words,
    without the target words that `opt -mcpu` writes.
    """
    groups = {
        match["number"]: " ".join(_WORD.findall(_TARGET_WORD.sub("", match["words"])))
        for match in _GROUP.finditer(text)
    }

    def spelled_out(match: re.Match[str]) -> str:
        number = match["number"]
        return match[0] if number is None else f"[{groups.get(number, number)}]"

    return "\n".join(
        _REFERENCE.sub(spelled_out, line.partition("; preds = ")[0].rstrip())
        for line in text.splitlines()
        if not line.startswith(_PRINTER_LINES)
    )


def _replay_by_command(
    problem: CompileProblem, solution: CompileSolution, out: Path
) -> None:
    files = (str(solution.recipe_file), str(problem.module), str(out))
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "solvers.llvm.replay", *files],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_REPLAY_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        message = f"the replay command did not end within {_REPLAY_S:g} s"
        raise LlvmProgramFailed(message) from error
    if done.returncode != 0:
        errors = done.stderr.decode(errors="replace").strip()[-_DETAIL_CHARS:]
        raise LlvmProgramFailed(f"the replay command failed: {errors}")


def _listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(names)[:_SHOWN])


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
