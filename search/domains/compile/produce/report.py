"""report.md: what came out, what was checked, what is promised, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search.domains.compile.answer import CompileSolution
from search.domains.compile.parse.problem import CompileProblem, names
from search.domains.compile.produce.picture import OURS, changed_most
from solvers.llvm.programs import Tools
from solvers.llvm.types import Sizes

PROMISE = (
    "Never larger, by the chosen measure and for the chosen target, than -Oz of the same LLVM; accepted by LLVM's verifier; "
    "the same external symbols; seen to behave as the unoptimised program on the given runs, or labelled unvalidated; "
    "on any doubt you get -Oz back. No proof of equivalence is claimed."
)

PROMISE_OF_TIME = (
    "Its CPU time on the given runs was below that of -O2 of the same LLVM in fresh pairs of runs, the interval told; else you "
    "get -O2 back. It may be larger than -Oz; accepted by LLVM's verifier; the same external symbols; seen to behave as "
    "the unoptimised program on the given runs. No proof of equivalence is claimed, and other inputs may take other time."
)


def write_report(
    problem: CompileProblem,
    solution: CompileSolution,
    validation: Mapping[str, Any],
    tools: Tools,
) -> str:
    """The report as Markdown."""
    levels = {**solution.levels, OURS: solution.sizes}
    lines = [
        f"# {names(problem.sources)}",
        "",
        f"{_headline(problem, solution)} Found by `{solution.name}` with {solution.build_id} for {problem.machine.triple}, "
        f"{problem.machine.cpu}, {'PIC' if problem.machine.pic else 'static'}.",
        "",
        f"**Promise.** {PROMISE_OF_TIME if problem.timed else PROMISE}",
        "",
        "## Sizes",
        "",
        "| | loadable bytes | code bytes | IR instructions |",
        "|---|---:|---:|---:|",
        *(_row(name, sizes, levels["Oz"]) for name, sizes in levels.items()),
        "",
        "| section | " + " | ".join(levels) + " |",
        "|---|" + "---:|" * len(levels),
        *(
            f"| {_cell(section)} | "
            + " | ".join(f"{sizes.sections.get(section, 0):,}" for sizes in levels.values())
            + " |"
            for section in sorted(
                {section for sizes in levels.values() for section in sizes.sections}
            )
        ),
        "",
    ]
    changed = [
        row
        for row in changed_most(levels["Oz"].functions, solution.sizes.functions)
        if row[1] != row[2]
    ]
    if changed:
        lines += ["| function | by -Oz | by trimtab |", "|---|---:|---:|"]
        lines += [f"| {_cell(name)} | {oz:,} | {ours:,} |" for name, oz, ours in changed]
        lines.append("")
    lines += [
        "## Checks",
        "",
        f"{validation.get('status', 'not checked')}: {validation.get('detail', '')}",
        "",
    ]
    lines += [
        f"- {name.replace('_', ' ')}: {_flat(value)}"
        for name, value in validation.get("checks", {}).items()
    ]
    if quarantined := validation.get("quarantined"):
        lines += [
            "",
            "## Quarantined",
            "",
            "Candidates that were smaller and behaved otherwise; none of them is the answer.",
        ]
        lines += [
            f"- `{row['name']}`: {row['why']}" + _reproducer(row) for row in quarantined
        ]
    if problem.notes:
        lines += ["", "## Notes", "", *(f"- {note}" for note in problem.notes)]
    lines += ["", "## Again", "", "```", *tools.commands(solution.recipe), "```", ""]
    return "\n".join(lines)


def _headline(problem: CompileProblem, solution: CompileSolution) -> str:
    if problem.timed:
        told = (
            f"{solution.objective:.4g} s, -O2's own"
            if solution.timing is None
            else solution.timing.told()
        )
        return f"CPU time of the runs: {told}."
    oz = solution.levels["Oz"]
    mine, theirs = solution.sizes.of(problem.metric), oz.of(problem.metric)
    words = problem.metric.value.replace("_", " ")
    change = f"{100 * (mine - theirs) / theirs:+.2f} %" if theirs else "no change"
    return f"{mine:,} {words}, {change} against the {theirs:,} of -Oz."


def _row(name: str, sizes: Sizes, oz: Sizes) -> str:
    def cell(mine: int, theirs: int) -> str:
        return f"{mine:,}" + (
            f" ({100 * (mine - theirs) / theirs:+.2f} %)" if theirs and name != "Oz" else ""
        )

    label = name if name == OURS else f"-{name}"
    return (
        f"| {label} | {cell(sizes.loadable_bytes, oz.loadable_bytes)} | {cell(sizes.code_bytes, oz.code_bytes)} | "
        f"{cell(sizes.ir_instructions, oz.ir_instructions)} |"
    )


def _reproducer(row: Mapping[str, Any]) -> str:
    found = row.get("reproducer")
    return f"; first bad prefix ends with `{found['last_pass']}`" if found else ""


def _flat(value: Any) -> str:
    return "; ".join(map(str, value)) if isinstance(value, list) else str(value)


def _cell(name: str) -> str:
    return "`" + name.replace("|", "\\|").replace("`", "'") + "`"
