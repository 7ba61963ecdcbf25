"""`trimtab solve FILE`: solve a model like `highs` and `scip` do, without a server."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trimtab.cli import solve_options as o
from trimtab.cli.terminal import out, say
from trimtab.results import DUALS_FILE, POOL_FILE, Reason

if TYPE_CHECKING:
    from trimtab.doors.answer import Answer, Improvement, OnSolution, SolveOptions

_ANSWERED = (Reason.OPTIMAL, Reason.FEASIBLE)
_UNSHOWN = ("nonzeros", "duals", "reduced_costs", "log", "files", "pool")


def solve(
    file: Annotated[
        Path, typer.Argument(help="An .mps or .lp file, plain or .gz; - is stdin.")
    ],
    seconds: o.Seconds = 60.0,
    gap: o.Gap = None,
    absolute_gap: o.AbsoluteGap = None,
    threads: o.Threads = None,
    engine: o.EngineName = None,
    seed: o.Seed = 0,
    start: o.Start = None,
    cutoff: o.Cutoff = None,
    feasibility_tolerance: o.Tolerance = None,
    objective_stop: o.ObjectiveStop = None,
    bound_stop: o.BoundStop = None,
    node_limit: o.NodeLimit = None,
    solution_limit: o.SolutionLimit = None,
    pool: o.Pool = None,
    pool_gap: o.PoolGap = None,
    pool_distance: o.PoolDistance = 1,
    solution: o.SolutionFile = None,
    solutions: o.PoolFile = None,
    incumbent: o.IncumbentFile = None,
    duals: o.DualsFile = None,
    log_file: o.LogFile = None,
    quiet: o.Quiet = False,
    server: o.ServerUrl = None,
    local: o.Local = False,
    as_json: o.Json = False,
) -> None:
    """Solve a model here, or on a server, and write its solution.

    The log goes to stderr, the path of the solution to stdout. Ctrl-C ends the solve with its best
    solution; a second one discards it. Exit codes: 0 with a solution, 1 without one.
    """
    from trimtab.doors.answer import SolveOptions

    options = SolveOptions(
        seconds=seconds,
        gap=gap,
        absolute_gap=absolute_gap,
        threads=threads,
        engine=engine,
        seed=seed,
        start=start,
        cutoff=cutoff,
        feasibility_tolerance=feasibility_tolerance,
        objective_stop=objective_stop,
        bound_stop=bound_stop,
        node_limit=node_limit,
        solution_limit=solution_limit,
        pool=10 if pool is None and solutions is not None else pool,
        pool_gap=pool_gap,
        pool_distance=pool_distance,
    )
    files = _Files(solution=solution, pool=solutions, incumbent=incumbent, duals=duals)
    where: Any = "local" if local else server
    answer, written = _run(file, options, where, files, log_file, quiet=quiet)
    if as_json:
        shown = {
            key: value for key, value in asdict(answer).items() if key not in _UNSHOWN
        }
        out({**shown, "solution": None if written is None else str(written)})
    elif written is not None:
        print(written)
    elif answer.detail:
        say(f"trimtab: {answer.reason.value}: {answer.detail}")
    raise typer.Exit(0 if answer.reason in _ANSWERED else 1)


@dataclass(frozen=True, kw_only=True)
class _Files:
    """Files that the user asked for."""

    solution: Path | None
    pool: Path | None
    incumbent: Path | None
    duals: Path | None


def _run(
    file: Path,
    options: SolveOptions,
    where: Any,
    files: _Files,
    log_file: Path | None,
    *,
    quiet: bool,
) -> tuple[Answer, Path | None]:
    """Solve and write the files; return the answer and the path of the solution."""
    from trimtab.doors.answer import DoorError
    from trimtab.doors.log import SolveLog
    from trimtab.doors.solve import solve as run

    with tempfile.TemporaryDirectory(prefix="trimtab-solve-") as folder:
        model = _model(file, Path(folder))
        head = f"trimtab: {file}, {model.stat().st_size} bytes, {options.seconds:g} s at most"
        with closing(SolveLog(None if quiet else sys.stderr, log_file)) as log:
            log.line(head)
            try:
                answer = run(
                    model,
                    options,
                    where=where,
                    log=log,
                    keep=Path(folder),
                    on_solution=_writer(files.incumbent),
                )
            except DoorError as error:
                say(f"trimtab: {error}")
                raise typer.Exit(2) from None
        written = _keep(answer.files, "solution.sol", files.solution or _default(file))
        if files.pool is not None:
            _keep(answer.files, POOL_FILE, files.pool)
        if files.incumbent is not None:
            _keep(answer.files, "solution.sol", files.incumbent)
        _keep_duals(answer.files, files.duals)
    return answer, written


def _writer(target: Path | None) -> OnSolution | None:
    """Return what replaces `target` by each better solution, whole at every moment."""
    if target is None:
        return None

    def write(found: Improvement) -> None:
        beside = target.with_name(target.name + ".new")
        with beside.open("w", encoding="utf-8") as stream:
            stream.write(f"=obj= {found.objective!r}\n")
            stream.writelines(f"{name} {x!r}\n" for name, x in found.values.items())
        os.replace(beside, target)

    return write


def _model(file: Path, folder: Path) -> Path:
    """Return the model's file; standard input becomes one. Raises BadParameter."""
    if str(file) == "-":
        model = folder / "stdin.model"
        with model.open("wb") as target:
            shutil.copyfileobj(sys.stdin.buffer, target)
        return model
    if not file.is_file():
        raise typer.BadParameter(f"FILE: expected a model file, got {str(file)!r}")
    return file


def _default(file: Path) -> Path:
    """Return where the solution of a model goes when the user does not say."""
    if str(file) == "-":
        return Path("solution.sol")
    name = file.name.removesuffix(".gz")
    for suffix in (".mps", ".lp"):
        name = name.removesuffix(suffix)
    return Path(f"{name}.sol")


def _keep(files: Any, name: str, target: Path) -> Path | None:
    if name not in files:
        return None
    shutil.copyfile(files[name], target)
    return target


def _keep_duals(files: Any, target: Path | None) -> None:
    if target is not None and _keep(files, DUALS_FILE, target) is None:
        say(
            "trimtab: no duals: expected a linear program without integers that was solved to "
            f"optimality; {target} is not written"
        )
