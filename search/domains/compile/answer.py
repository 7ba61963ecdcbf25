"""Answer of a compile job: solution, quarantined candidates, and the promise made for it.

Data only. Search, check and produced files all read it, so nothing of any phase is imported here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from solvers.llvm.execute import RunCase
from solvers.llvm.pairs import Timing
from solvers.llvm.types import Metric, Recipe, Sizes, Target
from trimtab.flash.usage import Usage

OURS = "trimtab"  # name of our row beside LLVM's levels
RECIPE_FORMAT = "trimtab-compile-recipe/1"
PROMISE_OF_SIZE = (
    "Never larger, by the chosen measure and for the chosen target, than -Oz of the same LLVM; "
    "accepted by LLVM's verifier; the same external symbols; observed to behave as the "
    "unoptimised program on the given runs, or labelled unvalidated; on any doubt you get -Oz "
    "back. No proof of equivalence is claimed."
)
PROMISE_OF_IMAGE = (
    "The linked program is never larger, by the chosen weights and for the chosen target, than "
    "clang -Oz with --gc-sections, without and with -flto, of the same LLVM and linker; accepted "
    "by LLVM's verifier; the symbols of the keep list stay; observed to behave as the unoptimised "
    "program on the given runs, or labelled unvalidated; on any doubt you get your own build back. "
    "No proof of equivalence is claimed."
)
PROMISE_OF_TIME = (
    "Its CPU time on the given runs was below that of -O2 of the same LLVM in fresh pairs of "
    "runs, with the confidence interval reported; otherwise you get -O2 back. It may be larger "
    "than -Oz; accepted by LLVM's verifier; the same external symbols; observed to behave as the "
    "unoptimised program on the given runs. No proof of equivalence is claimed, and other inputs "
    "may take other time."
)


def promise_of(*, timed: bool, image: bool) -> str:
    """Return the promise made for an answer."""
    if timed:
        return PROMISE_OF_TIME
    return PROMISE_OF_IMAGE if image else PROMISE_OF_SIZE


@dataclass(frozen=True, kw_only=True)
class Reproducer:
    """Smallest part of a quarantined recipe after which behaviour differs."""

    # Last pass of the first bad prefix, "per-function decisions", or LLVM's options that are bad
    # without any pass.
    last_pass: str
    good_pipeline: str  # longest prefix before it; "" when even the empty pipeline is bad
    bad: Recipe
    functions: tuple[str, ...] = ()  # functions whose own pipelines are needed
    confirmed: bool = True  # the good prefix was run too and behaves the same
    programs_run: int = 0  # programs built and run to find it

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form for reports and replays."""
        return {
            "last_pass": self.last_pass,
            "good_pipeline": self.good_pipeline,
            "bad": self.bad.as_json(),
            "functions": list(self.functions),
            "confirmed": self.confirmed,
            "programs_run": self.programs_run,
        }


@dataclass(frozen=True, kw_only=True)
class Quarantined:
    """Candidate that was smaller but behaved differently from the unoptimised program."""

    build_id: str  # of LLVM; another build may compile it correctly
    name: str
    recipe: Recipe
    objective: float
    why: str  # observed difference
    reproducer: Reproducer | None = None  # None: no time was left to find it

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form for the report."""
        return {
            "llvm": self.build_id,
            "name": self.name,
            "recipe": self.recipe.as_json(),
            "objective": self.objective,
            "why": self.why,
            "reproducer": self.reproducer.as_json() if self.reproducer else None,
        }


@dataclass(frozen=True, kw_only=True)
class PlainFlags:
    """Plain flags of clang that make the smallest program without a search."""

    compile_flags: tuple[str, ...]
    link_flags: tuple[str, ...]
    options: tuple[str, ...]  # of LLVM, which the flags pass on
    sizes: Sizes


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageAnswer:
    """Linked program of an answer."""

    file: Path
    map: Path  # of the linker
    by: str  # OURS, or the name of the user's build that is not larger
    words: tuple[str, ...]  # arguments of ld.lld, with @inputs and @out
    kept: Mapping[str, str]  # symbol → why it is not internal
    # Of the compiler and of its driver at the link, where the program is a user's build.
    compile_flags: tuple[str, ...] = ()
    link_flags: tuple[str, ...] = ()
    options: tuple[str, ...] = ()  # those of them that the search chose
    flags: PlainFlags | None = None  # the best plain flags that were tried
    overflow: str = ""  # the linker's message where it does not fit into its regions
    used: Usage | None = None  # by section, object and symbol
    before: Usage | None = None  # the same of the user's build that it is compared with


@dataclass(frozen=True, kw_only=True, eq=False)
class CompileSolution:
    """Optimised program as the search claims it; the check measures everything again."""

    name: str  # candidate that won, e.g. "Oz" or "coreset:drop-jump-threading"
    recipe: Recipe
    recipe_file: Path  # recipe with LLVM build and target, as the replay command reads it
    bitcode: Path
    text: Path
    object: Path
    sizes: Sizes
    objective: float  # in the units of the spec's objective
    levels: Mapping[str, Sizes]  # O0, O2, Os, Oz
    build_id: str
    cases: tuple[tuple[RunCase, float], ...]  # (case, timeout in seconds) to compare on
    # Objective run_time only; None when the answer is -O2 itself.
    timing: Timing | None = None
    why_unvalidated: str = ""  # reason for an empty `cases`
    quarantined: Sequence[Quarantined] = ()
    image: ImageAnswer | None = None  # linked programs only
    differing: tuple[
        str, ...
    ] = ()  # rows that behave differently from the unoptimised program
    reference: str = "Oz"  # the row of `levels` that the answer is compared with

    @property
    def oz(self) -> Sizes:
        """Sizes of the row that the answer is compared with."""
        return self.levels[self.reference]

    @property
    def reference_name(self) -> str:
        """Name of that row for people."""
        return "-Oz" if self.image is None else self.reference

    @property
    def rows(self) -> dict[str, Sizes]:
        """Sizes by name: LLVM's levels, then ours."""
        return {**self.levels, OURS: self.sizes}

    @property
    def size_table(self) -> list[dict[str, Any]]:
        """Rows of the size table in a job's summary."""
        if self.image is not None:
            return [
                {
                    "level": name,
                    "flash_bytes": sizes.loadable_bytes,
                    "ram_bytes": sizes.ram_bytes,
                    "code_bytes": sizes.code_bytes,
                }
                for name, sizes in self.rows.items()
            ]
        return [
            {
                "level": name,
                "loadable_bytes": sizes.loadable_bytes,
                "code_bytes": sizes.code_bytes,
                "ir_instructions": sizes.ir_instructions,
            }
            for name, sizes in self.rows.items()
        ]

    @property
    def behaviour(self) -> str:
        """One line for people: on how many runs behaviour was compared, or why on none."""
        if self.cases:
            return f"compared on {len(self.cases)} runs"
        return f"unvalidated: {self.why_unvalidated}"

    @property
    def time(self) -> str:
        """One line for people: CPU time of the answer of an objective run_time."""
        if self.timing is None:
            return f"{self.objective:.4g} s, -O2's own"
        return self.timing.sentence()

    def saved(self, metric: Metric) -> float:
        """Return the share by which the answer is smaller than the row it is compared with."""
        oz = self.oz.of(metric)
        return (oz - self.sizes.of(metric)) / oz if oz else 0.0


def target_text(target: Target) -> str:
    """Describe a target in one line."""
    return f"{target.triple}, {target.cpu}, {'PIC' if target.pic else 'static'}"
