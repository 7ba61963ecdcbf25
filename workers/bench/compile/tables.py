"""Measured figures of kind compile, as tables."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence

from workers.bench.compile.image_table import (
    LINKED_IR_FILE,
    asked_table,
    firmware_table,
    images_headline,
    images_table,
    plain_table,
    sixty_table,
)
from workers.bench.compile.report import Row, package_mean, pooled, saved
from workers.bench.tables.page import Headline, Page, Table
from workers.bench.tables.results import rows_of, source

LOADABLE_FILE = "2026-11-28-compile"
IR_FILE = "2026-11-28-compile-ir"
CODE_FILE = "2026-11-28-compile-code"
EXECUTED_FILE = "2026-11-28-compile-executed"
AUDIT_FILE = "2026-11-28-compile-audit"
EARLIER_AUDIT_FILE = "2026-11-26-compile-audit"
SPEED_FILE = "2026-11-28-compile-speed"
PAPER_FILE = "2026-11-28-compile-paper"
BEFORE = "Measured before clang's own -Oz became the baseline (2026-11-29)."
_METHODS = {
    "trimtab": "trimtab",
    "whole-modules": "without decisions on single functions",
    "passes-only": "passes alone (`llvm_options: false`)",
    "nevergrad-1+1": "Nevergrad (1+1)",
    "random": "random",
    "opentuner-style": "OpenTuner-style bandit",
}
_RIVALS = ("nevergrad-1+1", "random", "opentuner-style")


def page() -> Page:
    """Return the page."""
    loadable = rows_of(LOADABLE_FILE)
    return Page(
        title="Measured: compile",
        intro="Saved against `clang -Oz` (minsize) of the same LLVM 22.1.8, x86-64, on "
        "held-out modules of "
        "up to 5,000 instructions out of packages that nothing was mined, trained or tuned "
        "on (lua 5.4, "
        "bzip2, mbedtls, cJSON, lz4, jq). Each search has the same space of changes to `-Oz` "
        "and the "
        "same number of compilations. Cells: mean of package means; pooled mean [95 % interval].",
        tables=(
            _searches_table(loadable),
            _metric_table(
                "IR instructions", IR_FILE, "ir", "ir_instructions", (1, 10, 60)
            ),
            _metric_table("Code bytes", CODE_FILE, "code", "code_bytes", (1, 10)),
            _linked_ir_table(),
            asked_table(),
            images_table(),
            sixty_table(),
            plain_table(),
            firmware_table(),
            _executed_table(),
            _audit_table(),
            _speed_table(),
            _paper_table(),
        ),
        headline=_headline(loadable),
    )


def _group(rows: Sequence[Row], method: str, pipelines: int) -> list[Row]:
    return [
        row for row in rows if (row["method"], row["pipelines"]) == (method, pipelines)
    ]


def _cell(rows: Sequence[Row], measure: str) -> str:
    if not rows:
        return ""
    middle, low, high = pooled(rows, measure)
    interval = f"[{100 * low:.2f}, {100 * high:.2f}]"
    return f"{_percent(package_mean(rows, measure))}; {_percent(middle)} {interval}"


def _search_rows(
    rows: Sequence[Row], methods: Iterable[str], budgets: Sequence[int], measure: str
) -> list[list[str]]:
    return [
        [_METHODS[m], *(_cell(_group(rows, m, budget), measure) for budget in budgets)]
        for m in methods
    ]


def _searches_table(rows: Sequence[Row]) -> Table:
    budgets = (1, 10, 60)
    seconds = [
        statistics.median(row["seconds"] for row in _group(rows, "trimtab", b))
        for b in budgets
    ]
    return Table(
        title="Loadable bytes, by number of pipelines",
        intro=f"{len(_group(rows, 'trimtab', 1))} modules. Goals: 1.5 % with one pipeline; 3 "
        "% in 2 s with "
        "ten; with one tenth of the pipelines as small as any other search.",
        columns=("search", *(f"{b} pipeline{'s' * (b > 1)}" for b in budgets)),
        rows=[
            *_search_rows(rows, _METHODS, budgets, "loadable"),
            ["seconds a module (trimtab), median", *(f"{s:.2g} s" for s in seconds)],
        ],
        notes=_searches_notes(rows),
        command="python -m workers.corpus && python -m workers.bench compile",
        source=source(
            LOADABLE_FILE, remark="The same with IR instructions ran beside it. " + BEFORE
        ),
    )


def _searches_notes(rows: Sequence[Row]) -> list[str]:
    ten, oracle = _group(rows, "trimtab", 10), _group(rows, "oracle", 24)
    larger = sum(saved(row, "loadable") < 0 for row in rows if row["method"] == "trimtab")
    code = package_mean(ten, "code"), statistics.fmean(saved(row, "code") for row in ten)
    return [
        f"{larger or 'No'} module was larger than by `-Oz`. Most of the saving comes from options "
        "of LLVM's code "
        "generator that no pass pipeline reaches "
        "([ADR 11](../adr/0011-options-of-llvm-are-part-of-a-recipe.md)) and code without "
        "`minsize`, "
        "whose unwind entries are shorter ([ADR "
        "12](../adr/0012-minsize-function-by-function.md)): the "
        f"code bytes of these answers at ten pipelines are {_percent(code[0])} smaller "
        f"(pooled {_percent(code[1])}). For builds without "
        "unwind tables, use `objective: code_bytes`.",
        "All 24 pipelines of the coreset together save "
        f"{_percent(package_mean(oracle, 'loadable'))}; "
        f"{_shares(rows, 'loadable')}",
    ]


def _shares(rows: Sequence[Row], measure: str) -> str:
    """Return how much of the whole coreset's saving its first pipelines get."""
    whole = package_mean(_group(rows, "oracle", 24), measure)
    one, ten = (
        package_mean(_group(rows, "trimtab", b), measure) / whole for b in (1, 10)
    )
    missed = "" if one >= 0.77 else "; missed"
    return (
        f"of that, the search gets {100 * ten:.0f} % with ten pipelines and {100 * one:.0f} "
        "% with one "
        f"(goal with one: 77 %{missed})."
    )


def _metric_table(
    title: str, file: str, measure: str, metric: str, budgets: tuple[int, ...]
) -> Table:
    rows = rows_of(file)
    methods = [m for m in ("trimtab", "nevergrad-1+1", "random") if _group(rows, m, 1)]
    goal = "Goal: 4 % with ten pipelines; missed." if measure == "ir" else ""
    return Table(
        title=f"{title}, by number of pipelines",
        intro=f"The same modules by another objective, with its own list of pipelines. {goal}",
        columns=("search", *(f"{b} pipeline{'s' * (b > 1)}" for b in budgets)),
        rows=_search_rows(rows, methods, budgets, measure),
        notes=(
            "All 24 pipelines of its list save "
            f"{_percent(package_mean(_group(rows, 'oracle', 24), measure))}; "
            + _shares(rows, measure),
        ),
        command=f"python -m workers.bench compile --metric {metric}",
        source=source(file, remark=BEFORE),
    )


def _linked_ir_table() -> Table:
    rows = rows_of(LINKED_IR_FILE)
    budgets = (1, 10)
    programs = len(_group(rows, "trimtab", 10))
    reached = package_mean(_group(rows, "trimtab", 10), "ir") >= 0.04
    return Table(
        title="IR instructions of linked programs, by number of pipelines",
        intro=f"{programs} whole programs, each linked as LLVM IR with everything internal but "
        "what its link keeps, against -Oz on that module. Goal: 4 % with ten pipelines"
        f"{'' if reached else '; missed'}.",
        columns=("search", *(f"{b} pipeline{'s' * (b > 1)}" for b in budgets)),
        rows=_search_rows(rows, ("trimtab", "nevergrad-1+1", "random"), budgets, "ir"),
        command="python -m workers.bench compile --linked --metric ir_instructions \\\n"
        "  --methods trimtab nevergrad-1+1 random --budgets 1 10 --packages "
        + " ".join(sorted({str(row["package"]) for row in rows})),
        source=source(LINKED_IR_FILE, remark="Counts do not depend on the load."),
    )


def _executed_table() -> Table:
    rows = rows_of(EXECUTED_FILE)
    sets: dict[str, list[Row]] = {}
    for row in rows:
        sets.setdefault(row["set"], []).append(row)
    lines = [
        [
            name,
            str(len(group)),
            _percent(_mean(group, "saved")),
            _percent(_mean(group, "saved_ir")),
            f"{statistics.median(row['seconds'] for row in group):.2g} s",
        ]
        for name, group in sets.items()
    ]
    of_sets = [
        statistics.fmean(_mean(g, k) for g in sets.values())
        for k in ("saved", "saved_ir")
    ]
    overall = [_mean(rows, key) for key in ("saved", "saved_ir")]
    pairs = [
        f"{_percent(a)}; {_percent(b)}" for a, b in zip(of_sets, overall, strict=True)
    ]
    equal = sum(row["verified"] == "valid" for row in rows)
    larger = sum(row["saved"] < 0 for row in rows)
    return Table(
        title="Programs that run",
        intro="Held-out programs, ten pipelines each, through the job's own path: linked, "
        "run, and compared "
        "with the unoptimised program. csmith's programs that do not end are left out.",
        columns=(
            "set",
            "programs",
            "loadable bytes saved",
            "IR instructions saved",
            "a job, median",
        ),
        rows=[*lines, ["mean of set means; pooled", str(len(rows)), *pairs, ""]],
        notes=(
            f"{equal} of {len(rows)} behave the same as unoptimised; {larger} are larger; "
            f"{sum(row['quarantined'] for row in rows)} candidates were quarantined. The generated "
            "programs call their units with known arguments and shrink more than most code.",
        ),
        command="python -m workers.bench compile executed --generated 20 --csmith 12",
        source=source(EXECUTED_FILE, remark="Other work ran beside it. " + BEFORE),
    )


def _audit_table() -> Table:
    now, before = rows_of(AUDIT_FILE), rows_of(EARLIER_AUDIT_FILE)
    attributor = [row for row in before if "attributor" in row["name"]]
    groups = {
        "LLVM's own levels": [row for row in now if row["set"] == "levels"],
        "trimtab's coreset, all three lists": [
            row for row in now if row["set"] == "coreset"
        ],
        "single changes of the experimental tier": [
            row for row in now if row["set"] == "experimental"
        ],
        "`attributor` and `attributor-cgscc` in front": attributor,
        "flat sequences, one of them published": [
            row for row in before if row["set"] == "flat"
        ],
    }
    return Table(
        title="Audit: pipelines over programs that run",
        intro="15 programs (eight generated, five of csmith's, zlib's minigzip and bzip2 "
        "whole), each built "
        "by every pipeline and run against the unoptimised one.",
        columns=(
            "pipelines",
            "builds",
            "equal",
            "miscompiled",
            "crashed; timed out",
            "miscompiling pipelines",
        ),
        rows=[_audit_row(name, rows) for name, rows in groups.items()],
        notes=(
            "LLVM 22.1.8's `attributor`, which no default pipeline runs, breaks zlib and "
            "bzip2; it is why "
            "the experimental tier is off by default and has no attributor. The last two "
            "rows are of "
            "2026-11-26.",
        ),
        command="python -m workers.bench compile audit \\\n"
        "  --generated 8 --csmith 6 --flat 15 --whole zlib bzip2",
        source=source(AUDIT_FILE, EARLIER_AUDIT_FILE, seeds="seed 0", remark=BEFORE),
    )


def _audit_row(name: str, rows: Sequence[Row]) -> list[str]:
    counts = {
        outcome: sum(row["outcomes"].get(outcome, 0) for row in rows)
        for outcome in ("equal", "miscompiled", "crashed", "endless")
    }
    bad = sum(row["outcomes"].get("miscompiled", 0) > 0 for row in rows)
    return [
        name,
        str(sum(sum(row["outcomes"].values()) for row in rows)),
        str(counts["equal"]),
        str(counts["miscompiled"]),
        f"{counts['crashed']}; {counts['endless']}",
        f"{bad} of {len(rows)}",
    ]


def _speed_table() -> Table:
    return Table(
        title="Run time of the smaller programs",
        intro="CPU time over `-Oz`'s, ten pipelines, 15 pairs, 95 % interval. Small code "
        "leaves out loop "
        "transformations; for speed use `objective: run_time`. No goal; reported.",
        columns=("program", "loadable bytes saved", "CPU time / -Oz"),
        rows=[
            [
                row["program"],
                _percent(row["saved"], 1),
                f"{row['ratio']:.3f} [{row['low']:.3f}, {row['high']:.3f}]",
            ]
            for row in rows_of(SPEED_FILE)
        ],
        command="python -m workers.bench compile speed",
        source=source(SPEED_FILE, remark="Other work ran beside it. " + BEFORE),
    )


def _paper_table() -> Table:
    rows = {row["method"]: row for row in rows_of(PAPER_FILE)}
    chosen = {"oracle of the 50 sequences": rows["Oracle"], "blind order": rows["Top-45"]}
    for encoder in ("Autophase", "GEAN", "GRMP"):
        tried = [row for name, row in rows.items() if name.startswith(f"{encoder}-NVP")]
        chosen[f"{encoder}, NVP"] = max(tried, key=lambda row: row["on_validation"])
        for loss in ("BC", "Q"):
            chosen[f"{encoder}, {loss}"] = rows[f"{encoder}-{loss}"]
    return Table(
        title="Mode paper",
        intro="The method of Liang et al. (ICML 2023) on LLVM 22: flat passes from nothing, "
        "45 in all, "
        "trained on 334 programs; IR instructions saved against `-Oz`. For NVP the "
        "temperature that "
        "the validation packages chose.",
        columns=(
            "order of the sequences",
            "validation, 29 modules",
            "held-out packages, 26 modules",
            "generated, 55",
            "csmith, 21",
        ),
        rows=[_paper_row(name, row) for name, row in chosen.items()],
        notes=(
            "Held-out packages: mean of the means of 5 packages. Goal: NVP > BC > Q; Q is "
            "last on validation and held-out packages, NVP and BC are alike. With so few "
            "programs GEAN "
            "and GRMP learn one order for all programs. Product mode is smaller on every set.",
        ),
        command="python -m workers.train compile paper-discover\n"
        "python -m workers.train compile paper-table\n"
        "python -m workers.train compile paper-learn",
        source=source(PAPER_FILE, remark=BEFORE),
    )


def _paper_row(name: str, row: Mapping[str, object]) -> list[str]:
    sets = row["sets"]
    assert isinstance(sets, dict)
    figures = [
        row["on_validation"],
        row["mean_of_packages"],
        sets["generated"],
        sets["csmith"],
    ]
    return [
        name,
        *("" if figure is None else _percent(float(str(figure))) for figure in figures),
    ]


def _headline(rows: Sequence[Row]) -> Headline:
    ten = _group(rows, "trimtab", 10)
    rival = max(package_mean(_group(rows, m, 10), "loadable") for m in _RIVALS)
    return Headline(
        against="`clang -Oz` (LLVM 22), its LTO, gcc, other searches",
        better=f"{images_headline()}; {_percent(package_mean(ten, 'loadable'), 1)} fewer "
        f"loadable bytes on {len(ten)} held-out modules, mostly unwind tables (code alone "
        f"{_percent(package_mean(ten, 'code'), 1)}), best other search "
        f"{_percent(rival, 1)}; ten pipelines, none larger",
    )


def _mean(rows: Sequence[Row], key: str) -> float:
    return statistics.fmean(row[key] for row in rows)


def _percent(share: float, digits: int = 2) -> str:
    return f"{100 * share:.{digits}f} %"
