"""Use of flash by a linked program and by the user's build that it is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from search.domains.compile.baselines import Baseline
from search.domains.compile.builds import OZ_GC
from search.domains.compile.parse.problem import CompileProblem
from search.domains.compile.parse.sources import language_of_name
from trimtab.flash.usage import Usage, attributed, changes, read_file, section_changes
from trimtab.specs.compile import Language

_MOST_SYMBOLS = 20


def usages(
    problem: CompileProblem,
    baselines: Mapping[str, Baseline],
    reference: str,
    program: Path,
) -> tuple[Usage, Usage]:
    """Return the use by the build named `reference`, and by `program`, by section and symbol.

    The linker's map lies beside each. Both programs may be one object; symbols get the object that
    they have in the build that is linked object by object. Raises ValueError, OSError.
    """
    before, after = (_read(file) for file in (baselines[reference].build.file, program))
    if OZ_GC not in baselines:
        return before, after
    single = _read(baselines[OZ_GC].build.file)
    names = _names(problem, single)
    return attributed(before, single, names), attributed(after, single, names)


def _read(program: Path) -> Usage:
    return read_file(program, program.with_name("image.map"))


def _names(problem: CompileProblem, single: Usage) -> dict[str, str]:
    """Return the source of each object of a build, which numbers them."""
    ordered = sorted(
        problem.sources, key=lambda name: language_of_name(name) is Language.IR
    )
    names: dict[str, str] = {}
    for part in single.parts:
        path = Path(part.object)
        if path.parent.name == "objects" and path.stem.isdigit():
            number = int(path.stem)
            if number < len(ordered):
                names[part.object] = ordered[number]
    return names


def usage_summary(before: Usage | None, after: Usage | None) -> dict[str, Any]:
    """Return the difference by section and by symbol, for a job's summary."""
    if before is None or after is None:
        return {}
    return {
        "sections": section_changes(before, after),
        "symbols": [
            {
                "symbol": row.symbol,
                "section": row.section,
                "before_bytes": row.before,
                "after_bytes": row.after,
                "change": row.after - row.before,
            }
            for row in changes(before, after)[:_MOST_SYMBOLS]
        ],
    }
