"""report.md: sizes, checks, quarantine and commands of a compile job, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search.domains.compile.answer import (
    OURS,
    CompileSolution,
    promise_of,
    target_text,
)
from search.domains.compile.parse.problem import CompileProblem
from search.domains.compile.parse.sources import listed
from search.domains.compile.produce.image import report_lines
from search.domains.compile.produce.picture import changed_most
from solvers.llvm.programs import LlvmPrograms
from solvers.llvm.types import Sizes


def write_report(
    problem: CompileProblem,
    solution: CompileSolution,
    validation: Mapping[str, Any],
    programs: LlvmPrograms,
) -> str:
    """Return the report as Markdown."""
    lines = [
        f"# {listed(problem.sources)}",
        "",
        f"{_headline(problem, solution)} Found by `{solution.name}` with {solution.build_id} for "
        f"{target_text(problem.machine)}.",
        "",
        f"**Promise.** {promise_of(timed=problem.timed, image=solution.image is not None)}",
        "",
        *(
            _sizes(solution)
            if solution.image is None
            else report_lines(problem, solution)
        ),
        *(_functions(solution) if solution.image is None else ()),
        *_checks(validation),
    ]
    if problem.notes:
        lines += ["", "## Notes", "", *(f"- {note}" for note in problem.notes)]
    lines += ["", "## Again", "", "```", *programs.commands(solution.recipe), "```", ""]
    return "\n".join(lines)


def _headline(problem: CompileProblem, solution: CompileSolution) -> str:
    if problem.timed:
        return f"CPU time of the runs: {solution.time}."
    ours = solution.sizes.of(problem.metric)
    theirs = solution.oz.of(problem.metric)
    name = solution.reference_name
    words = problem.metric.value.replace("_", " ")
    change = f"{100 * (ours - theirs) / theirs:+.2f} %" if theirs else "no change"
    return f"{ours:,} {words}, {change} against the {theirs:,} of {name}."


def _sizes(solution: CompileSolution) -> list[str]:
    """Lines of the tables by level and by section."""
    rows, oz = solution.rows, solution.oz
    sections = sorted({section for sizes in rows.values() for section in sizes.sections})
    lines = [
        "## Sizes",
        "",
        "| | loadable bytes | code bytes | IR instructions |",
        "|---|---:|---:|---:|",
        *(_row(name, sizes, oz) for name, sizes in rows.items()),
        "",
        "| section | " + " | ".join(rows) + " |",
        "|---|" + "---:|" * len(rows),
    ]
    for section in sections:
        cells = (f"{sizes.sections.get(section, 0):,}" for sizes in rows.values())
        lines.append(f"| {_cell(section)} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _row(name: str, sizes: Sizes, oz: Sizes) -> str:
    def cell(ours: int, theirs: int) -> str:
        change = f" ({100 * (ours - theirs) / theirs:+.2f} %)" if theirs else ""
        return f"{ours:,}" + ("" if name == "Oz" else change)

    label = name if name == OURS else f"-{name}"
    return (
        f"| {label} | {cell(sizes.loadable_bytes, oz.loadable_bytes)} "
        f"| {cell(sizes.code_bytes, oz.code_bytes)} "
        f"| {cell(sizes.ir_instructions, oz.ir_instructions)} |"
    )


def _functions(solution: CompileSolution) -> list[str]:
    """Lines of the table of functions that changed most."""
    rows = changed_most(solution.oz.functions, solution.sizes.functions)
    changed = [row for row in rows if row[1] != row[2]]
    if not changed:
        return []
    return [
        "| function | by -Oz | by trimtab |",
        "|---|---:|---:|",
        *(f"| {_cell(name)} | {oz:,} | {ours:,} |" for name, oz, ours in changed),
        "",
    ]


def _checks(validation: Mapping[str, Any]) -> list[str]:
    """Lines of the check and of the quarantine."""
    lines = [
        "## Checks",
        "",
        f"{validation.get('status', 'not checked')}: {validation.get('detail', '')}",
        "",
    ]
    for name, value in validation.get("checks", {}).items():
        text = "; ".join(map(str, value)) if isinstance(value, list) else str(value)
        lines.append(f"- {name.replace('_', ' ')}: {text}")
    if quarantined := validation.get("quarantined"):
        lines += [
            "",
            "## Quarantined",
            "",
            "Candidates that were smaller and behaved differently; none of them is the answer.",
            *(
                f"- `{row['name']}`: {row['why']}{_reproducer(row)}"
                for row in quarantined
            ),
        ]
    return lines


def _reproducer(row: Mapping[str, Any]) -> str:
    reproducer = row.get("reproducer")
    if not reproducer:
        return ""
    return f"; first bad prefix ends with `{reproducer['last_pass']}`"


def _cell(name: str) -> str:
    return "`" + name.replace("|", "\\|").replace("`", "'") + "`"
