"""Options of `trimtab solve`, with the names that `highs` and `scip` give them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
EngineName = Annotated[
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
Cutoff = Annotated[
    float | None,
    typer.Option(help="Only solutions with this objective or a better one."),
]
Tolerance = Annotated[
    float | None,
    typer.Option(
        "--feasibility-tolerance",
        "--primal-feasibility-tolerance",
        "--primal_feasibility_tolerance",
        help="Allowed relative violation of rows and bounds, 1e-9 to 1e-3.",
    ),
]
ObjectiveStop = Annotated[
    float | None,
    typer.Option(
        "--objective-stop",
        "--objective-target",
        "--objective_target",
        help="End at a solution with this objective or a better one.",
    ),
]
BoundStop = Annotated[
    float | None, typer.Option(help="End once the proved bound goes this far.")
]
NodeLimit = Annotated[
    int | None,
    typer.Option(
        "--node-limit",
        "--mip-max-nodes",
        "--mip_max_nodes",
        help="End at this many nodes of the complete solver.",
    ),
]
SolutionLimit = Annotated[
    int | None,
    typer.Option(help="End at this many solutions, each better than the one before."),
]
Pool = Annotated[
    int | None,
    typer.Option(help="Number of solutions for --solutions, the best one included."),
]
PoolGap = Annotated[
    float | None,
    typer.Option(help="Largest relative gap of a solution of the pool to the best."),
]
PoolDistance = Annotated[
    int, typer.Option(help="Integer variables in which solutions of the pool differ.")
]
SolutionFile = Annotated[
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
PoolFile = Annotated[
    Path | None,
    typer.Option(dir_okay=False, help="Where to write the solution pool, as JSON."),
]
IncumbentFile = Annotated[
    Path | None,
    typer.Option(
        "--incumbent",
        "--mip-improving-solution-file",
        "--mip_improving_solution_file",
        dir_okay=False,
        help="Where to keep the newest solution while the solve runs.",
    ),
]
DualsFile = Annotated[
    Path | None,
    typer.Option(
        dir_okay=False, help="Where to write duals and reduced costs of an LP, as JSON."
    ),
]
LogFile = Annotated[
    Path | None, typer.Option(dir_okay=False, help="Also append the log to a file.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No log on stderr.")]
ServerUrl = Annotated[
    str | None, typer.Option(help="Solve on this server. Default: TRIMTAB_URL.")
]
Local = Annotated[
    bool, typer.Option("--local", help="Solve here, whatever TRIMTAB_URL says.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON on stdout.")]
