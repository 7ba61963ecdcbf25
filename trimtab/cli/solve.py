"""`trimtab solve FILE`: solve a model like `highs` and `scip` do, without a server."""

from __future__ import annotations

import shutil
import sys
import tempfile
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from trimtab.cli.terminal import out, say
from trimtab.results import DUALS_FILE, Reason

_ANSWERED = (Reason.OPTIMAL, Reason.FEASIBLE)
_UNSHOWN = ("nonzeros", "duals", "reduced_costs", "log", "files")


File = Annotated[
    Path, typer.Argument(help="An .mps or .lp file, plain or .gz; - is stdin.")
]
Seconds = Annotated[
    float,
    typer.Option(
        "--seconds", "--time-limit", "--time_limit", min=0.001, help="Time limit."
    ),
]
Gap = Annotated[
    float | None,
    typer.Option(
        "--gap",
        "--mip-rel-gap",
        "--mip_rel_gap",
        help="End at this relative gap, 0 to 1.",
    ),
]
AbsoluteGap = Annotated[
    float | None,
    typer.Option(
        "--absolute-gap",
        "--mip-abs-gap",
        "--mip_abs_gap",
        help="End at this absolute gap.",
    ),
]
Threads = Annotated[int | None, typer.Option(help="Cores to use.")]
Engine = Annotated[
    str | None, typer.Option(help="Complete solver: highs, scip or cp-sat.")
]
Seed = Annotated[
    int,
    typer.Option(
        "--seed", "--random-seed", "--random_seed", min=0, help="Seed of the search."
    ),
]
Start = Annotated[
    Path | None,
    typer.Option(
        "--start",
        "--read-solution-file",
        "--read_solution_file",
        exists=True,
        dir_okay=False,
        help="A .sol or .mst file to start from.",
    ),
]
Solution = Annotated[
    Path | None,
    typer.Option(
        "--solution",
        "--sol",
        "--solution-file",
        "--solution_file",
        dir_okay=False,
        help="Where to write the solution. Default: the model's name with .sol, here.",
    ),
]
Duals = Annotated[
    Path | None,
    typer.Option(
        dir_okay=False,
        help="Where to write duals and reduced costs of an LP, as JSON.",
    ),
]
LogFile = Annotated[
    Path | None, typer.Option(dir_okay=False, help="Also append the log to a file.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No log on stderr.")]
Server = Annotated[
    str | None, typer.Option(help="Solve on this server. Default: TRIMTAB_URL.")
]
Local = Annotated[
    bool, typer.Option("--local", help="Solve here, whatever TRIMTAB_URL says.")
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print the answer as JSON on stdout.")
]


def solve(
    file: File,
    seconds: Seconds = 60.0,
    gap: Gap = None,
    absolute_gap: AbsoluteGap = None,
    threads: Threads = None,
    engine: Engine = None,
    seed: Seed = 0,
    start: Start = None,
    solution: Solution = None,
    duals: Duals = None,
    log_file: LogFile = None,
    quiet: Quiet = False,
    server: Server = None,
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """Solve a model here, or on a server, and write its solution.

    The log goes to stderr, the path of the solution to stdout. Ctrl-C ends the solve with its best
    solution; a second one discards it. Exit codes: 0 with a solution, 1 without one.
    """
    from trimtab.doors.answer import DoorError, SolveOptions
    from trimtab.doors.log import SolveLog
    from trimtab.doors.solve import solve as run

    options = SolveOptions(
        seconds=seconds,
        gap=gap,
        absolute_gap=absolute_gap,
        threads=threads,
        engine=engine,
        seed=seed,
        start=start,
    )
    where: Any = "local" if local else server
    with tempfile.TemporaryDirectory(prefix="trimtab-solve-") as folder:
        model = _model(file, Path(folder))
        head = f"trimtab: {file}, {model.stat().st_size} bytes, {seconds:g} s at most"
        with closing(SolveLog(None if quiet else sys.stderr, log_file)) as log:
            log.line(head)
            try:
                answer = run(model, options, where=where, log=log, keep=Path(folder))
            except DoorError as error:
                say(f"trimtab: {error}")
                raise typer.Exit(2) from None
        written = _keep(answer.files, "solution.sol", solution or _default(file))
        _keep_duals(answer.files, duals)
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
