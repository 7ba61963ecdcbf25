"""Runs of a compile job: the command that runs its programs, and what they are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from search.domains.compile.parse.image import as_objects
from search.domains.compile.parse.sysroot import board_of
from search.types import InvalidInput
from solvers.llvm.c_library import CLibrary
from solvers.llvm.execute import RunCase
from solvers.llvm.frontend import SourceError
from solvers.llvm.lld import LinkLine, LinkOptions, decide_link
from solvers.llvm.runners import NoRunner, Runner, runner_for
from solvers.llvm.toolchain import is_hosted
from solvers.llvm.types import Target
from trimtab.specs.compile import CompileSpec, Objective, Run


def runner_of(
    spec: CompileSpec, triple: str, library: CLibrary | None
) -> Runner | NoRunner:
    """Return the command that runs the job's programs, or why there is none.

    Raises InvalidInput where the job asks for runs that cannot be made.
    """
    board = None if is_hosted(triple) else board_of(spec, triple)
    if is_hosted(triple) and spec.target.board is not None:
        raise InvalidInput(
            f"target.board: expected none for {spec.target.triple}, which has an operating system, "
            f"got {spec.target.board.value}; leave it out"
        )
    runner = runner_for(
        triple,
        board="" if board is None else board.name,
        names_program=library is None or library.names_program,
    )
    if isinstance(runner, NoRunner):
        if spec.runs:
            raise InvalidInput(
                f"runs: the code is for {spec.target.triple}, and {runner.why}; drop `runs` (the "
                "answer is then labelled unvalidated), or choose another triple"
            )
        if spec.objective is Objective.RUN_TIME:
            raise InvalidInput(
                f"objective run_time: code for {spec.target.triple} cannot be run here "
                f"({runner.why}); choose another objective"
            )
        return runner
    if spec.objective is Objective.RUN_TIME and runner.words:
        raise InvalidInput(
            f"objective run_time: code for {spec.target.triple} runs by {runner.name}, whose time "
            "is not that of the processor; choose another objective"
        )
    _check_runs(spec, runner)
    return runner


def _check_runs(spec: CompileSpec, runner: Runner) -> None:
    """Refuse runs that the runner cannot make. Raises InvalidInput."""
    for i, run in enumerate(spec.runs):
        if (run.stdin or run.stdin_file) and not runner.takes_stdin:
            raise InvalidInput(
                f"runs[{i}].stdin: expected none for {spec.target.triple}, because a program under "
                f"{runner.name} sees no end of its input; give the input as runs[{i}].files or "
                "arguments"
            )
        try:
            runner.command(Path("program"), run.arguments)
        except ValueError as error:
            raise InvalidInput(f"runs[{i}].{error}") from error


def run_line_of(
    spec: CompileSpec,
    runner: Runner | NoRunner,
    target: Target,
    objects: Sequence[Path],
    library: CLibrary | None,
    *,
    cxx: bool,
    workdir: Path,
) -> tuple[LinkLine | None, Runner | NoRunner]:
    """Return lld's line for programs that are linked for runs alone, and the runner.

    None: the system's own compiler links. A program that nothing here links has no runner. Raises
    InvalidInput where the job asks for runs.
    """
    own = target.triple.startswith("x86_64-") and not isinstance(runner, NoRunner)
    if isinstance(runner, NoRunner) or (own and not runner.words):
        return None, runner
    options = LinkOptions(
        cxx=cxx,
        script=None if library is None else library.script,
        library=library,
        libraries=tuple(f"-l{name.value}" for name in spec.link.libraries),
    )
    try:
        line = decide_link(target, options, workdir=workdir / "driver")
        return line.with_objects(as_objects(objects, target, workdir)), runner
    except SourceError as error:
        if spec.runs:
            raise InvalidInput(f"runs: {error}") from error
        return None, NoRunner(why=str(error))


def case_of(run: Run, i: int, inputs: Mapping[str, Path]) -> RunCase:
    """Return run `i` in the form that the sandbox takes."""
    stdout, stdin_file = run.expected_stdout, inputs.get(f"stdin_{i}")
    return RunCase(
        arguments=run.arguments,
        stdin=stdin_file.read_bytes() if stdin_file is not None else run.stdin.encode(),
        expected_stdout=None if stdout is None else stdout.encode(),
        expected_exit=run.expected_exit,
        files={
            reference.name: inputs[f"file_{i}_{j}"].read_bytes()
            for j, reference in enumerate(run.files)
        },
    )
