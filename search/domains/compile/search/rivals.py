"""Builds that the answer of a linked program is compared with, beside those of `encode`.

They are the user's plain build, gcc's, and the best of a few sets of plain flags: what a person can
paste into a Makefile without a search.
"""

from __future__ import annotations

from dataclasses import replace

from search.domains.compile.baselines import Baseline, measured
from search.domains.compile.builds import (
    OZ,
    OZ_GC,
    OZ_LTO,
    PLAIN_FLAGS,
    build_own,
)
from search.domains.compile.gcc_builds import GCC_LTO, build_gcc, build_gcc_lto
from search.domains.compile.search.state import SearchState
from solvers.llvm.eager_binding import NO_PLT, has_smaller_calls
from solvers.llvm.frontend import SourceError, Stopped
from solvers.llvm.types import LlvmMissing

# Options of LLVM that were smallest alone on programs of the tuning set, best first: library calls
# without a linkage table, block placement for size, no loop strength reduction, no hoisting out of
# loops.
_BEST = ("-apply-ext-tsp-for-size", "-disable-lsr", "-disable-machine-licm")
# Options of gcc that made its programs smaller, most bytes first (training programs).
GCC_OPTIONS = (
    "-fno-thread-jumps",
    "-fira-region=all",
    "-fno-shrink-wrap",
    "-fno-omit-frame-pointer",
    "-fno-tree-loop-im",
    "-fno-tree-sra",
)
# For RISC-V before these: registers are saved and restored by functions of libgcc.
_GCC_OPTIONS_OF_RISCV = ("-msave-restore",)
_PART_OF_GCC = 0.2  # of the evaluations
_NO_INLINING = "-inline-threshold=0"
PLAIN_SETS: tuple[tuple[str, ...], ...] = (
    (NO_PLT, *_BEST),
    (NO_PLT, *_BEST, _NO_INLINING),
    _BEST,
    (*_BEST, _NO_INLINING),
)


def compare_baselines(state: SearchState) -> list[str]:
    """Run the user's own builds; those that behave differently are no answer. Returns notes."""
    notes = []
    for row in state.prepared.baselines.values():
        name, verdict = row.build.name, state.oracle.compare_program(row.build.file)
        if not verdict.equal and not verdict.stopped and row.sizes.beyond_bytes == 0:
            state.prepared.differing.add(name)
            notes.append(
                f"{name} behaves differently from the unoptimised program ({verdict.detail}): "
                "it is compared with, and is no answer"
            )
    return notes


def search_gcc(state: SearchState) -> list[str]:
    """Build the whole program by gcc, for a part of the evaluations. Returns notes.

    Each option stays where it makes the program smaller.
    """
    problem, metric = state.problem, state.problem.metric
    if problem.image is None:
        return []
    left = state.evaluations_left
    riscv = problem.target.triple.startswith("riscv")
    options = (*(_GCC_OPTIONS_OF_RISCV if riscv else ()), *GCC_OPTIONS)
    most = len(options) + 1 if left is None else int(left * _PART_OF_GCC)
    best: Baseline | None = None
    for i, option in enumerate(("", *options)[:most]):
        if state.over():
            break
        flags = () if best is None else (*best.build.options, option)
        folder = problem.workdir / f"gcc-{i}"
        try:
            build = build_gcc_lto(problem, folder, flags=flags, stopped=state.over)
            if build is None:
                break
            row = measured(problem.image, build)
        except (SourceError, LlvmMissing) as error:
            return [f"{GCC_LTO}: not in the table: {str(error)[:300]}"] * (best is None)
        except Stopped:
            break
        state.spend(1)
        smaller = best is None or row.of(metric) < best.of(metric)
        if smaller and state.oracle.compare_program(build.file).equal:
            best = state.prepared.baselines[GCC_LTO] = row
        if best is None:
            return [f"{GCC_LTO} behaves differently from the unoptimised program"]
    return []


def build_rivals(state: SearchState) -> list[str]:
    """Build the table's other programs while there is time. Returns notes."""
    problem = state.problem
    if problem.image is None:
        return []
    notes: list[str] = []
    for name in (OZ, "gcc"):
        if _over(state):
            break
        try:
            folder = problem.workdir / f"rival-{name.replace(' ', '')}"
            build = (
                build_own(problem, OZ, folder, stopped=lambda: _over(state))
                if name == OZ
                else build_gcc(problem, folder, stopped=lambda: _over(state))
            )
            if build is not None:
                _add(state, measured(problem.image, build))
        except (SourceError, LlvmMissing) as error:
            notes.append(f"{name}: not in the table: {str(error)[:300]}")
            continue
        except Stopped:
            break
    image = problem.spec.image
    if image is not None and image.plain_flags:
        _plain_flags(state)
    return notes


def _plain_flags(state: SearchState) -> None:
    """Build with sets of plain flags, and keep the smallest that behaves the same."""
    problem, metric = state.problem, state.problem.metric
    assert problem.image is not None
    best: Baseline | None = None
    smaller_calls = has_smaller_calls(problem.target.triple)
    names = _without_search(state)
    for number, flags in enumerate(PLAIN_SETS):
        if NO_PLT in flags and not smaller_calls:
            continue
        for name in names:
            if _over(state):
                break
            folder = problem.workdir / f"plain-{number}-{name == OZ_LTO}"
            try:
                build = build_own(
                    problem, name, folder, flags=flags, stopped=lambda: _over(state)
                )
                row = measured(problem.image, build)
            except (SourceError, LlvmMissing, Stopped):
                continue
            smaller = best is None or row.of(metric) < best.of(metric)
            if smaller and state.oracle.compare_program(build.file).equal:
                best = row
    if best is not None:
        build = replace(best.build, name=PLAIN_FLAGS)
        state.prepared.baselines[PLAIN_FLAGS] = replace(best, build=build)


def _without_search(state: SearchState) -> list[str]:
    """Return the user's smallest build, which the flags are added to: each costs a whole build."""
    rows = state.prepared.baselines
    names = [name for name in (OZ_LTO, OZ_GC) if name in rows]
    return sorted(names, key=lambda name: rows[name].of(state.problem.metric))[:1]


def _add(state: SearchState, row: Baseline) -> None:
    name = row.build.name
    state.prepared.baselines[name] = row
    if not state.oracle.compare_program(row.build.file).equal:
        state.prepared.differing.add(name)


def _over(state: SearchState) -> bool:
    """Tell whether time is up: evaluations count compilations of the search, not these."""
    return state.left_s <= 0
