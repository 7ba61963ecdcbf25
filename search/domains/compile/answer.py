"""What a search claims, and the files it made for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from search.domains.compile.search.quarantine import Quarantined
from search.domains.compile.search.run_time import Timing
from solvers.llvm.execute import RunCase
from solvers.llvm.types import Recipe, Sizes


@dataclass(frozen=True, kw_only=True, eq=False)
class CompileSolution:
    """An optimised program. Every figure here is the search's word; the check measures again."""

    name: str  # what found it, e.g. "Oz" or "coreset:drop-jump-threading"
    recipe: Recipe
    recipe_file: Path  # the same with LLVM build and target, as the replay command reads it
    bitcode: Path
    text: Path
    object: Path
    sizes: Sizes
    objective: float  # in the units of the spec's objective
    levels: Mapping[str, Sizes]  # O0, O2, Os, Oz
    build_id: str
    cases: tuple[
        tuple[RunCase, float], ...
    ]  # (case, timeout in seconds) the program is compared on
    timing: Timing | None = None  # of objective run_time, when the answer is not -O2 itself
    why_unvalidated: str = ""  # when there is none
    quarantined: Sequence[Quarantined] = ()
