"""`trimtab-ampl`: a solver executable for .nl and .sol files, for Pyomo, JuMP and AMPL.

    trimtab-ampl STUB[.nl] [-AMPL] [key=value ...]

It writes STUB.sol and exits 0 whenever it wrote one; the code in the file says what happened.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from trimtab import __version__

if TYPE_CHECKING:
    from trimtab.adapters.draft import Draft
    from trimtab.doors.answer import SolveOptions
    from trimtab.doors.drafts import DraftAnswer
    from trimtab.doors.nl import NlModel

VERSION = f"trimtab-ampl {__version__}"
_VARIABLES = ("trimtab_options", "trimtab-ampl_options")
_HELP = {
    "seconds": "time limit, seconds (also timelimit, maxtime)",
    "gap": "relative gap at which to end, 0 to 1 (also mipgap)",
    "absgap": "absolute gap at which to end (also mipgapabs)",
    "threads": "cores that the run may use",
    "engine": "complete solver: highs, scip or cp-sat",
    "seed": "seed of the search",
    "start": "1: begin with the values of the .nl (default), 0: do not",
    "objno": "objective to optimise, from 1 (default); 0: none",
    "relax": "1: ignore integrality, 0: do not (default)",
    "outlev": "1: show the log on standard output, 0: do not (default)",
    "wantsol": "sum of 1 write .sol without -AMPL, 2 print values, 4 print duals, 8 no message",
    "cutoff": "only solutions with this objective or a better one",
    "feastol": "violation of rows and bounds that is allowed, 1e-9 to 1e-3; default 1e-6",
    "bestobjstop": "end at a solution with this objective or a better one",
    "bestbndstop": "end once the bound goes this far",
    "nodelimit": "end at this many nodes of the complete solver",
    "sollimit": "end at this many solutions, each better than the one before",
    "poolsize": "number of solutions, for solutionstub; 1 to 200",
    "poolgap": "largest relative gap of a solution of the pool to the best",
    "poolgapabs": "largest difference of a solution of the pool to the best",
    "solutionstub": "write the pool as STUB1.sol, STUB2.sol, …, the best first",
    "url": "server to use; default: TRIMTAB_URL, else this machine",
}
_OTHER_NAMES = {
    "timelimit": "seconds",
    "timelim": "seconds",
    "maxtime": "seconds",
    "mipgap": "gap",
    "mipgapabs": "absgap",
    "mip:bestobjstop": "bestobjstop",
    "mip:bestbndstop": "bestbndstop",
    "lim:nodes": "nodelimit",
    "lim:sol": "sollimit",
    "alg:cutoff": "cutoff",
    "alg:feastol": "feastol",
    "poollimit": "poolsize",
    "sol:poollimit": "poolsize",
    "ams_limit": "poolsize",
    "poolepsrel": "poolgap",
    "ams_eps": "poolgap",
    "sol:poolgap": "poolgap",
    "ams_epsabs": "poolgapabs",
    "sol:poolgapabs": "poolgapabs",
    "ams_stub": "solutionstub",
    "sol:stub": "solutionstub",
    "lim:time": "seconds",
    "mip:gap": "gap",
    "mip:gapabs": "absgap",
    "tech:threads": "threads",
    "tech:outlev": "outlev",
}
# Codes of .sol: the hundreds are the protocol.
_SOLVED, _INFEASIBLE, _UNBOUNDED, _LIMIT, _NOTHING_YET = 0, 200, 300, 400, 470
_FAILED, _REFUSED, _LOST = 500, 510, 520


class _BadOption(Exception):
    """An option that is unknown or has no sensible value."""


def main(arguments: list[str] | None = None) -> int:
    """Run the executable and return its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    if not words or words[0] in ("-h", "--help", "-?", "-="):
        print(f"{__doc__}\nOptions:")
        print("\n".join(f"  {key:9}  {text}" for key, text in _HELP.items()))
        return 0
    # Callers ask for the version with a limit of 2 s: nothing is imported before this.
    if words[0] in ("-v", "--version", "-V"):
        print(VERSION)
        return 0
    stub, rest = Path(words[0]), words[1:]
    path = stub if stub.suffix == ".nl" else Path(f"{stub}.nl")
    if not path.is_file():
        print(f"trimtab-ampl: {path}: expected an .nl file, got none", file=sys.stderr)
        return 1
    for_ampl = "-AMPL" in rest
    target = path.with_suffix(".sol")
    try:
        options = _options([word for word in rest if word != "-AMPL"], os.environ)
    except _BadOption as error:
        print(f"trimtab-ampl: {error}", file=sys.stderr)
        _write_failure(target, str(error), _REFUSED)
        return 0
    return _solve(path, target, options, for_ampl=for_ampl)


def _options(words: list[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return key → value; the command line wins over the environment. Raises _BadOption."""
    import shlex

    chosen: dict[str, str] = {}
    for text in [*(environment.get(name, "") for name in _VARIABLES), None]:
        parts = words if text is None else shlex.split(text)
        for part in parts:
            key, equals, value = part.partition("=")
            key = _OTHER_NAMES.get(key.lower(), key.lower())
            if not equals or key not in _HELP:
                raise _BadOption(
                    f"option {part!r}: expected key=value with a key of {', '.join(_HELP)}"
                )
            chosen[key] = value.strip("'\"")
    return chosen


def _number(options: Mapping[str, str], key: str) -> float | None:
    if key not in options:
        return None
    try:
        return float(options[key])
    except ValueError:
        raise _BadOption(f"{key}: expected a number, got {options[key]!r}") from None


def _whole(options: Mapping[str, str], key: str, default: int | None) -> int | None:
    value = _number(options, key)
    if value is None:
        return default
    if value != int(value):
        raise _BadOption(f"{key}: expected an integer, got {options[key]!r}")
    return int(value)


def _solve_options(options: Mapping[str, str]) -> SolveOptions:
    from trimtab.doors.answer import SolveOptions

    try:
        return SolveOptions(
            seconds=_number(options, "seconds"),
            gap=_number(options, "gap"),
            absolute_gap=_number(options, "absgap"),
            cutoff=_number(options, "cutoff"),
            feasibility_tolerance=_number(options, "feastol"),
            objective_stop=_number(options, "bestobjstop"),
            bound_stop=_number(options, "bestbndstop"),
            node_limit=_whole(options, "nodelimit", None),
            solution_limit=_whole(options, "sollimit", None),
            pool=_whole(options, "poolsize", 10 if options.get("solutionstub") else None),
            pool_gap=_number(options, "poolgap"),
            pool_absolute_gap=_number(options, "poolgapabs"),
            threads=_whole(options, "threads", None),
            engine=options.get("engine"),
            seed=_whole(options, "seed", 0) or 0,
        )
    except ValueError as error:
        raise _BadOption(str(error)) from None


def _solve(
    path: Path, target: Path, options: Mapping[str, str], *, for_ampl: bool
) -> int:
    """Solve and write the .sol. Faults become codes in it."""
    from trimtab.doors.answer import DoorError
    from trimtab.doors.nl import read_nl
    from trimtab.errors import JobFailed, TrimtabError

    try:
        chosen = _solve_options(options)
        model = read_nl(path, objective=_whole(options, "objno", 1) or 0)
        result = _answer(model.draft, chosen, options)
        wants = _whole(options, "wantsol", 0) or 0
    except (_BadOption, DoorError, ValueError, OSError) as error:
        print(f"trimtab-ampl: {error}", file=sys.stderr)
        _write_failure(target, str(error), _REFUSED)
        return 0
    except (TrimtabError, KeyboardInterrupt) as error:
        print(f"trimtab-ampl: {error or 'cancelled'}", file=sys.stderr)
        lost = isinstance(error, JobFailed | KeyboardInterrupt)
        _write_failure(target, str(error) or "cancelled", _LOST if lost else _FAILED)
        return 0
    message, code = message_and_code(result)
    if for_ampl or wants & 1:
        with target.open("w", encoding="utf-8") as file:
            write_sol(file, model, result, message=message, code=code)
    _write_pool(options.get("solutionstub"), model, result)
    if not wants & 8:
        print(message)
    _print_tables(result, values=bool(wants & 2), duals=bool(wants & 4))
    return 0


def _answer(
    draft: Draft, chosen: SolveOptions, options: Mapping[str, str]
) -> DraftAnswer:
    from trimtab.doors.drafts import solve_draft
    from trimtab.doors.log import SolveLog

    if options.get("start") == "0":
        draft.start = {}
    if options.get("relax", "0") != "0":
        draft.columns = [replace(column, integer=False) for column in draft.columns]
    log = SolveLog.to(options.get("outlev", "0") != "0")
    return solve_draft(draft, chosen, where=options.get("url"), log=log)


def message_and_code(result: DraftAnswer) -> tuple[str, int]:
    """Return the message and the code of a .sol."""
    from trimtab.results import Limit, Reason

    answer = result.answer
    figures = f"objective {answer.objective!r}"
    if answer.bound is not None:
        figures += f"; bound {answer.bound!r}"
    match answer.reason:
        case Reason.OPTIMAL:
            words, code = f"optimal solution; {figures}", _SOLVED
        case Reason.FEASIBLE if answer.limit is Limit.TARGET_GAP:
            words, code = f"solution within the gap; {figures}", _SOLVED
        case Reason.FEASIBLE if answer.limit is Limit.TIME:
            # JuMP looks for exactly these words to give the values to its user.
            words, code = f"time limit, feasible solution; {figures}", _LIMIT
        case Reason.FEASIBLE:
            limit = answer.limit.value if answer.limit else "limit"
            words, code = f"{limit}, feasible solution; {figures}", _LIMIT
        case Reason.NO_SOLUTION_FOUND if answer.limit is Limit.CUTOFF:
            words, code = answer.detail, _NOTHING_YET
        case Reason.NO_SOLUTION_FOUND:
            words, code = "no solution found within the limits", _NOTHING_YET
        case Reason.INFEASIBLE:
            words, code = "infeasible problem", _INFEASIBLE
        case Reason.UNBOUNDED:
            words, code = "unbounded problem", _UNBOUNDED
        case _:
            words, code = f"{answer.reason.value}: {answer.detail}", _FAILED
    job = f" (job {answer.job})" if answer.job else ""
    return f"trimtab: {words}{job}", code


def write_sol(
    file: TextIO, model: NlModel, result: DraftAnswer, *, message: str, code: int
) -> None:
    """Write message, duals, values, code and, for an LP, the suffix `rc`."""
    values, duals = result.values or [], result.duals or []
    _write_head(file, message, model.options)
    counts = (len(model.draft.rows), len(duals), len(model.draft.columns), len(values))
    file.writelines(f"{count}\n" for count in counts)
    file.writelines(f"{value!r}\n" for value in (*duals, *values))
    file.write(f"objno 0 {code}\n")
    costs = [(j, value) for j, value in enumerate(result.reduced_costs or ()) if value]
    if costs:
        file.write(f"suffix 4 {len(costs)} 3 0 0\nrc\n")
        file.writelines(f"{column} {value!r}\n" for column, value in costs)


def _write_pool(stub: str | None, model: NlModel, result: DraftAnswer) -> None:
    """Write the solutions of the pool, one .sol each."""
    if not stub:
        return
    for number, (objective, values) in enumerate(result.pool, 1):
        one = replace(result, values=values, duals=None, reduced_costs=None)
        message = f"trimtab: solution {number} of the pool; objective {objective!r}"
        with Path(f"{stub}{number}.sol").open("w", encoding="utf-8") as file:
            write_sol(file, model, one, message=message, code=_SOLVED)


def _write_head(file: TextIO, message: str, options: list[int]) -> None:
    numbers = options[1:] or [1, 1, 0]
    file.write(f"{message}\n\nOptions\n{len(numbers)}\n")
    file.writelines(f"{number}\n" for number in numbers)


def _write_failure(target: Path, message: str, code: int) -> None:
    text = " ".join(message.split())
    with target.open("w", encoding="utf-8") as file:
        _write_head(file, f"trimtab: {text}", [3, 1, 1, 0])
        file.write(f"0\n0\n0\n0\nobjno 0 {code}\n")


def _print_tables(result: DraftAnswer, *, values: bool, duals: bool) -> None:
    if values and result.values is not None:
        print("\n".join(f"v{j} {value!r}" for j, value in enumerate(result.values)))
    if duals and result.duals is not None:
        print("\n".join(f"c{i} {value!r}" for i, value in enumerate(result.duals)))


if __name__ == "__main__":
    sys.exit(main())
