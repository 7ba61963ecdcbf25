"""Markdown summary of a program's sizes, for people and for a build server's page."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.flash.budget import Budget
from trimtab.flash.usage import Usage, changes

_ROWS = 20


def markdown(
    usage: Usage, *, before: Usage | None = None, budgets: Sequence[Budget] = ()
) -> str:
    """Return totals, budgets, sections, largest objects and symbols, and what changed."""
    lines = ["| | bytes | change | budget | |", "|---|---:|---:|---:|---|"]
    limits = {budget.name: budget.most for budget in budgets}
    rows = [("flash", usage.flash, before.flash if before else None)]
    rows.append(("ram", usage.ram, before.ram if before else None))
    for name, size in usage.sections.items():
        old = before.sections.get(name, 0) if before else None
        if name in limits or (size and not before) or (before and old != size):
            rows.append((name, size, old))
    if before:
        gone = set(before.sections) - set(usage.sections)
        rows += [(name, 0, before.sections[name]) for name in sorted(gone)]
    for name, size, old in rows:
        change = "" if old is None else f"{size - old:+,}"
        most = limits.get(name)
        left = (
            "" if most is None else "**over**" if size > most else f"{most - size:,} left"
        )
        lines.append(
            f"| {_code(name)} | {size:,} | {change} | {'' if most is None else f'{most:,}'} "
            f"| {left} |"
        )
    if before is not None:
        lines += ["", *_changes(before, usage)]
    else:
        lines += ["", *_largest(usage)]
    return "\n".join([*lines, ""])


def _changes(before: Usage, after: Usage) -> list[str]:
    rows = changes(before, after)
    if not rows:
        return ["No symbol changed its size."]
    lines = ["| symbol | section | before | now | change |", "|---|---|---:|---:|---:|"]
    lines += [
        f"| {_code(row.symbol)} | {_code(row.section)} | {row.before:,} | {row.after:,} "
        f"| {row.after - row.before:+,} |"
        for row in rows[:_ROWS]
    ]
    if len(rows) > _ROWS:
        lines.append(f"| {len(rows) - _ROWS:,} more | | | | |")
    return lines


def _largest(usage: Usage) -> list[str]:
    objects = list(usage.by_object().items())
    lines: list[str] = []
    if len(objects) > 1:
        lines += ["| object | flash |", "|---|---:|"]
        lines += [f"| {_code(name)} | {size:,} |" for name, size in objects[:_ROWS]]
        lines.append("")
    parts = [part for part in usage.parts if part.section in usage.flash_sections]
    parts.sort(key=lambda part: (-part.size, part.section, part.symbol))
    lines += ["| symbol | section | bytes |", "|---|---|---:|"]
    lines += [
        f"| {_code(part.symbol)} | {_code(part.section)} | {part.size:,} |"
        for part in parts[:_ROWS]
    ]
    return lines


def _code(name: str) -> str:
    return "`" + name.replace("|", "\\|").replace("`", "'") + "`"
