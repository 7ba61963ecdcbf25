"""Measured flash of linked programs, as a table."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from search.domains.compile.builds import OZ, OZ_GC, OZ_LTO
from search.domains.compile.gcc_builds import GCC, GCC_LTO
from workers.bench.compile.images import interval, machine_of, saved, saved_of_own
from workers.bench.compile.plain import SETS, best_of_sets, flash_by_set
from workers.bench.compile.report import saved as saved_ir
from workers.bench.tables.page import Table
from workers.bench.tables.results import rows_of, source
from workers.corpus.firmware import MACHINES

IMAGES_FILE = "2026-12-01-compile-images"
FIRMWARE_FILE = "2026-12-01-compile-firmware"
SIXTY_FILE = "2026-12-01-compile-images-sixty"
LINKED_IR_FILE = "2026-12-01-compile-linked-ir"
# With functions that have their own code generation, which with ten compilations is for RISC-V; its
# rows of Cortex-M4 show why.
FUNCTIONS_FILE = "2026-12-01-compile-firmware-functions"
_WITH_FUNCTIONS = "rv32imc"
PLAIN_FILE = "2026-12-01-compile-plain"
_GOAL, _GOAL_OF_SIXTY = 0.08, 0.10  # below `clang -Oz -flto` with --gc-sections
_COLUMNS = ("against", "saved, mean [95 % interval]", "smaller on", "larger on")


def asked_table() -> Table:
    """Return what was asked of linked programs, beside what was measured."""
    rows, sixty = (rows_of(file) for file in (IMAGES_FILE, SIXTY_FILE))
    best = {
        n: best_of_sets(sizes) for n, sizes in flash_by_set(rows_of(PLAIN_FILE)).items()
    }
    ours = {row["program"]: row["flash"]["trimtab"] for row in rows}
    smaller = sum(ours[name] < size for name, size in best.items())
    linked_ir = [
        row
        for row in rows_of(LINKED_IR_FILE)
        if (row["method"], row["pipelines"]) == ("trimtab", 10)
    ]
    bench = "python -m workers.bench compile"
    images = f"{bench} images --without-plain-flags"
    lines = [
        [
            "20 programs, x86-64, ten compilations: 8 % below LTO, none larger, all run",
            f"{_of(rows)}; {_larger(rows)} larger, {_equal(rows)} equal",
            f"`{images}`",
        ],
        [
            "below `gcc -Os`",
            _mean([saved(row, GCC) for row in rows if GCC in row["flash"]]),
            "the same",
        ],
        [
            "sixty compilations: 10 %",
            _of(sixty),
            f"`{images} --pipelines 60 --programs …` (below)",
        ],
    ]
    for machine in MACHINES:
        mine = _firmware(machine)
        own = _mean([saved_of_own(row, OZ_LTO) for row in mine])
        all_of_it = [row for row in rows_of(FIRMWARE_FILE) if machine_of(row) == machine]
        before = (
            f". With the lists for objects, on {len(all_of_it)}: "
            f"{_mean([saved(row, OZ_LTO) for row in all_of_it])}, "
            f"{_mean([saved_of_own(row, OZ_LTO) for row in all_of_it])} without the C library"
            if len(mine) < len(all_of_it)
            else ""
        )
        lines.append(
            [
                f"12 programs, {machine}, ten compilations: 8 %",
                f"{_of(mine)}: the image; **{own} without the C library**; "
                f"{_larger(mine)} larger, {_equal(mine)} equal{before}",
                f"`{images} --machine {machine}`",
            ]
        )
    return Table(
        title="Linked programs: what was asked",
        intro=f"Flash below `{OZ_LTO}`, mean over programs [95 % interval]. The C library of "
        "firmware is linked as it is and is half of an image: both figures are given.",
        columns=("asked", "measured", "command"),
        rows=[
            *lines,
            [
                "smaller than the best of 33 sets of plain flags on 90 %",
                f"{smaller} of {len(best)}",
                f"`{bench} plain --images FILE`",
            ],
            [
                "IR instructions of linked modules, ten pipelines: 4 %",
                f"{100 * statistics.fmean(saved_ir(row, 'ir') for row in linked_ir):.1f} % on "
                f"{len(linked_ir)}",
                f"`{bench} --linked --metric ir_instructions`",
            ],
        ],
        command="python -m workers.bench tables",
        source=source(
            IMAGES_FILE,
            FIRMWARE_FILE,
            FUNCTIONS_FILE,
            remark="Each figure's own table is below.",
        ),
    )


def _of(rows: Sequence[Mapping[str, Any]]) -> str:
    return f"**{_mean([saved(row, OZ_LTO) for row in rows])}** on {len(rows)}"


def _larger(rows: Sequence[Mapping[str, Any]]) -> int:
    return sum(saved(row, OZ_LTO) < 0 for row in rows)


def _equal(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return how many answers were run and behave as the unoptimised program."""
    same = [row for row in rows if len(set(str(row["runs_equal"]).split(" of "))) == 1]
    return f"{len(same)} of {len(rows)} run and"


def images_table() -> Table:
    """Return the table."""
    rows = rows_of(IMAGES_FILE)
    by_gcc = sum(row["answer_by"] == GCC_LTO for row in rows)
    reached = statistics.fmean(saved(row, OZ_LTO) for row in rows) >= _GOAL
    return Table(
        title="Linked programs: flash at ten compilations",
        intro="Whole programs of Debian source packages that nothing was mined or tuned on, "
        "x86-64, dynamically linked: loaded bytes of the file, start files and dynamic "
        f"symbols included. Goal: {100 * _GOAL:.0f} % below `{OZ_LTO}`"
        f"{'' if reached else ', missed'}, none larger.",
        columns=_COLUMNS,
        rows=_against(rows),
        notes=(
            f"All {len(rows)} answers were run and behave as the unoptimised programs. "
            f"{by_gcc} of them are gcc's program, for which the search spends two of its ten "
            f"compilations; `{GCC_LTO}` is `-fwhole-program` with the options that it chose.",
        ),
        command="python -m workers.bench compile images --without-plain-flags",
        source=source(IMAGES_FILE, remark="Bytes do not depend on the load."),
    )


def sixty_table() -> Table:
    """Return the table of the same programs with sixty compilations."""
    rows = rows_of(SIXTY_FILE)
    with_ten = {row["program"]: row["flash"]["trimtab"] for row in rows_of(IMAGES_FILE)}
    further = statistics.fmean(
        1 - row["flash"]["trimtab"] / with_ten[row["program"]] for row in rows
    )
    reached = statistics.fmean(saved(row, OZ_LTO) for row in rows) >= _GOAL_OF_SIXTY
    names = ", ".join(sorted(row["program"] for row in rows))
    return Table(
        title="Linked programs: flash at sixty compilations",
        intro=f"{len(rows)} of these programs, chosen by size for want of time ({names}). Goal: "
        f"{100 * _GOAL_OF_SIXTY:.0f} % below `{OZ_LTO}`{'' if reached else ', missed'}.",
        columns=_COLUMNS,
        rows=_against(rows),
        notes=(f"On the mean {100 * further:.1f} % smaller than with ten compilations.",),
        command="python -m workers.bench compile images --without-plain-flags --pipelines 60 \\\n"
        "  --programs " + " ".join(row["program"] for row in rows),
        source=source(SIXTY_FILE, remark="Bytes do not depend on the load."),
    )


def plain_table() -> Table:
    """Return the table of the search against the best of the plain flag sets."""
    flash = flash_by_set(rows_of(PLAIN_FILE))
    ours = {row["program"]: row["flash"] for row in rows_of(IMAGES_FILE)}
    best = {name: best_of_sets(sizes) for name, sizes in flash.items()}
    by_sets = [1 - best[name] / sizes["none"] for name, sizes in flash.items()]
    by_search = [1 - ours[name]["trimtab"] / best[name] for name in best]
    smaller = sum(value > 0 for value in by_search)
    names = ", ".join(sorted(best))
    return Table(
        title="Linked programs: plain flags alone",
        intro=f"`{OZ_LTO}` with each of {len(SETS)} sets of flags that people use, the smallest "
        f"counts; trimtab has ten compilations, so fewer. On {len(best)} of the programs "
        f"({names}). Goal: smaller than the best set on 90 %.",
        columns=("figure", "value"),
        rows=[
            ["best set below no further flags, mean", _mean(by_sets)],
            ["trimtab below the best set, mean", _mean(by_search)],
            ["trimtab smaller than the best set", f"{smaller} of {len(best)}"],
        ],
        command="python -m workers.bench compile plain --images \\\n"
        f"  deploy/docs/measured/results/{IMAGES_FILE}.jsonl",
        source=source(PLAIN_FILE, remark="Bytes do not depend on the load."),
    )


def _against(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return a line for each rival."""
    lines = []
    for rival in (OZ, OZ_GC, OZ_LTO, GCC, GCC_LTO):
        values = [saved(row, rival) for row in rows if rival in row["flash"]]
        lines.append(
            [
                f"`{rival}`" + (", as the search builds it" if rival == GCC_LTO else ""),
                _mean(values),
                f"{sum(value > 0 for value in values)} of {len(values)}",
                str(sum(value < 0 for value in values)),
            ]
        )
    return lines


def firmware_table() -> Table:
    """Return the table of programs without an operating system."""
    lines = []
    for machine in MACHINES:
        rows = _firmware(machine)
        for rival in (OZ_LTO, GCC):
            built = [row for row in rows if rival in row["flash"]]
            saving = [saved(row, rival) for row in built]
            # gcc calls other functions of the library, whose bytes are then not the program's.
            own = [saved_of_own(row, rival) for row in built if rival == OZ_LTO]
            cells = [_mean(saving), _mean(own) if own else ""]
            smaller = f"{sum(value > 0 for value in saving)} of {len(built)}"
            larger = str(sum(value < 0 for value in saving))
            lines.append([machine, f"`{rival}`", *cells, smaller, larger])
    rows = [row for machine in MACHINES for row in _firmware(machine)]
    by_gcc = sum(row["answer_by"] == GCC_LTO for row in rows)
    library = statistics.fmean(
        row["library"][OZ_LTO] / row["flash"][OZ_LTO] for row in rows
    )
    return Table(
        title="Firmware: flash at ten compilations",
        intro="Public libraries and programs that nothing was mined or tuned on, linked with "
        "picolibc and run on boards of QEMU. Its integer printf where a program prints no "
        f"floating-point numbers, in the rivals too. Of `{OZ_LTO}`, the C library is "
        f"{100 * library:.0f} % on the mean; the third column leaves it out. Goal: "
        f"{100 * _GOAL:.0f} % below `{OZ_LTO}` in the second, missed.",
        columns=(
            "machine", "against", "saved, mean [95 % interval]", "without the C library",
            "smaller on", "larger on",
        ),
        rows=lines,
        notes=(
            f"All {len(rows)} answers were run and behave as the unoptimised programs; {by_gcc} "
            "of them are gcc's program. "
            "From lists of pipelines to lists mined on firmware and code generation by function: "
            + "; ".join(map(_with_and_without, MACHINES))
            + ". So the latter is the default for RISC-V, and for Arm with twenty compilations and "
            "more; these programs chose that. "
            + _named(_WITH_FUNCTIONS),
        ),
        command="python -m workers.bench compile images --without-plain-flags "
        "--machine cortex-m4\npython -m workers.bench compile images --without-plain-flags "
        "--machine rv32imc",
        source=source(
            FIRMWARE_FILE, FUNCTIONS_FILE, remark="Bytes do not depend on the load."
        ),
    )  # fmt: skip


def _firmware(machine: str) -> list[Mapping[str, Any]]:
    """Return the rows of a machine by the search as it is."""
    file = FUNCTIONS_FILE if machine == _WITH_FUNCTIONS else FIRMWARE_FILE
    return [row for row in rows_of(file) if machine_of(row) == machine]


def _named(machine: str) -> str:
    names = ", ".join(sorted(row["program"] for row in _firmware(machine)))
    return f"Programs of {machine}: {names}."


def _with_and_without(machine: str) -> str:
    """Compare both files on the programs of a machine that both have."""
    after = [row for row in rows_of(FUNCTIONS_FILE) if machine_of(row) == machine]
    names = {row["program"] for row in after}
    before = [
        row
        for row in rows_of(FIRMWARE_FILE)
        if machine_of(row) == machine and row["program"] in names
    ]
    whole, own = (
        [
            100 * statistics.fmean(of(row, OZ_LTO) for row in rows)
            for rows in (before, after)
        ]
        for of in (saved, saved_of_own)
    )
    return (
        f"{machine}, {len(names)} programs: {whole[0]:.1f} to {whole[1]:.1f} % of the image, "
        f"{own[0]:.1f} to {own[1]:.1f} % without the C library"
    )


def _mean(values: Sequence[float]) -> str:
    low, high = interval(values)
    return f"{100 * statistics.fmean(values):.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


def images_headline() -> str:
    """Return the figure for the README."""
    rows = rows_of(IMAGES_FILE)
    lto, gcc = (
        statistics.fmean(saved(row, rival) for row in rows) for rival in (OZ_LTO, GCC)
    )
    return (
        f"{len(rows)} linked programs: {100 * lto:.1f} % less flash than `-Oz -flto`, "
        f"{100 * gcc:.1f} % less than `gcc -Os`"
    )
