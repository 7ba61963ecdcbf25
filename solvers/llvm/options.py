"""Options of LLVM that a recipe may set.

The list is closed, because other options write files, load code or end the process. They are the
options of `opt` and `llc`, and of clang after `-mllvm` (cl::opt). Each moves a threshold or leaves
out an optional transformation, so none changes what a program means. The engine's server imports
this module, so it imports neither numpy nor dataclasses.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

# dataclasses and inspect would add 10 ms to the server's start-up.
if TYPE_CHECKING:
    from solvers.llvm.types import Metric

# Of the passes on IR.
OF_PASSES = (
    "-available-load-scan-limit=1",
    "-available-load-scan-limit=100",
    "-disable-lftr",
    "-enable-load-in-loop-pre=false",
    "-enable-load-pre=false",
    "-enable-pre=false",
    "-force-remove-attribute=minsize",
    "-gvn-max-block-speculations=0",
    "-indvars-widen-indvars=false",
    "-inline-call-penalty=0",
    "-inline-call-penalty=10",
    "-inline-call-penalty=40",
    "-inline-instr-cost=4",
    "-inline-instr-cost=6",
    "-inline-instr-cost=8",
    "-inline-threshold=0",
    "-inline-threshold=15",
    "-inline-threshold=40",
    "-instcombine-code-sinking=false",
    "-jump-threading-across-loop-headers",
    "-jump-threading-threshold=0",
    "-max-phi-entries-increase-after-removing-empty-block=0",
    "-max-phi-entries-increase-after-removing-empty-block=8",
    "-max-speculation-depth=0",
    "-max-speculation-depth=1",
    "-memssa-check-limit=0",
    "-phi-node-folding-threshold=1",
    "-phi-node-folding-threshold=5",
    "-replexitval=always",
    "-replexitval=never",
    "-scev-cheap-expansion-budget=1",
    "-scev-cheap-expansion-budget=8",
    "-simplifycfg-branch-fold-threshold=0",
    "-simplifycfg-branch-fold-threshold=1",
    "-simplifycfg-max-small-block-size=2",
    "-slp-threshold=-1",
    "-slp-threshold=-2",
    "-slp-threshold=-5",
    "-two-entry-phi-node-folding-threshold=1",
    "-two-entry-phi-node-folding-threshold=8",
    "-unroll-full-max-count=0",
)
# Of code generation: block placement for size (ext-TSP: Newell and Pupyrev, IEEE Trans. Computers
# 2020, as in LLVM), loop transformations left out, jump tables, scheduling, register allocation.
OF_CODE_GENERATION = (
    "-addr-sink-new-phis",
    "-aggressive-ext-opt",
    "-aggressive-machine-cse",
    "-apply-ext-tsp-for-size",
    "-disable-block-placement",
    "-disable-early-taildup",
    "-disable-lsr",
    "-disable-machine-cse",
    "-disable-machine-licm",
    "-disable-machine-sink",
    "-disable-x86-lea-opt",
    "-enable-aa-sched-mi",
    "-enable-andcmp-sinking=false",
    "-enable-ext-tsp-block-placement",
    "-enable-misched=false",
    "-enable-shrink-wrap=false",
    "-greedy-reverse-local-assignment",
    "-join-splitedges",
    "-lsr-complexity-limit=1000000",
    "-lsr-drop-solution",
    "-lsr-exp-narrow",
    "-lsr-insns-cost=false",
    "-max-store-memset=4",
    "-min-bit-test-cmps=6",
    "-min-jump-table-entries=16",
    "-min-jump-table-entries=3",
    "-min-jump-table-entries=8",
    "-misched=ilpmax",
    "-misched=ilpmin",
    "-no-x86-call-frame-opt",
    "-optsize-jump-table-density=60",
    "-optsize-jump-table-density=90",
    "-post-RA-scheduler",
    "-pre-RA-sched=fast",
    "-pre-RA-sched=linearize",
    "-pre-RA-sched=list-burr",
    "-pre-RA-sched=list-hybrid",
    "-pre-RA-sched=list-ilp",
    "-regalloc=basic",
    "-sink-insts-to-avoid-spills",
    "-split-spill-mode=size",
    "-tail-merge-size=2",
    "-terminal-rule=false",
    "-twoaddr-reschedule=false",
    "-x86-cmov-converter-force-all",
)
# Parts of LLVM's code generator that are off by default.
EXPERIMENTAL = ("-enable-ipra", "-enable-machine-outliner=always", "-fast-isel")
_OF_CODE = (*OF_CODE_GENERATION, *EXPERIMENTAL)
# Attributes of all functions, which clang sets by its level. They are not searched; they turn the
# module of -Oz into that of -O2.
_LISTS = ("-force-attribute", "-force-remove-attribute")  # may come several times
OF_LEVELS = tuple(
    f"{word}={attribute}" for word in _LISTS for attribute in ("minsize", "optsize")
)
KNOWN = frozenset((*OF_PASSES, *_OF_CODE, *OF_LEVELS))


def options_for(metric: Metric) -> frozenset[str]:
    """Return the options that can change a metric: code generation leaves the IR as it is."""
    if metric == "ir_instructions":
        return frozenset(OF_PASSES)
    return frozenset((*OF_PASSES, *_OF_CODE))


def of_functions(options: Iterable[str]) -> str | None:
    """Return what is wrong with options of the code generator for single functions, or None."""
    words = list(options)
    for word in words:
        if word not in OF_CODE_GENERATION:
            return f"function_options: {word[:200]!r} is no option of the code generator"
    return unknown_option(words)


def code_generation(options: Iterable[str]) -> tuple[str, ...]:
    """Return those options that are of the code generator."""
    return tuple(word for word in options if word in OF_CODE_GENERATION)


def with_code_generation(options: Iterable[str], own: Iterable[str]) -> tuple[str, ...]:
    """Return options with others of the code generator in place of theirs."""
    return (*(word for word in options if word not in OF_CODE_GENERATION), *own)


def unknown_option(options: Iterable[str]) -> str | None:
    """Return what is wrong with the first unknown or repeated option, or None."""
    seen: set[str] = set()
    for option in options:
        name = option.partition("=")[0]
        name = option if name in _LISTS else name
        if option not in KNOWN:
            return (
                f"options: expected one of {len(KNOWN)} options, got {option[:200]!r}; "
                f"they are {', '.join(sorted(KNOWN))}"
            )
        if name in seen:
            return f"options: expected {name!r} at most once, got it twice"
        seen.add(name)
    return None
