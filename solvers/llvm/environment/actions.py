"""Flat passes as actions: CompilerGym's action space with the names of LLVM's new pass manager.

CompilerGym offered 124 flags of LLVM 10's legacy pass manager. Those that LLVM 22 still has are
here under their new names. Left out are instrumentation and passes that change linkage or the ABI
(`internalize`, `strip…`, sanitizers). Pass names differ between versions: `known_to` filters for
the installed LLVM at run time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from solvers.llvm.types import Measured, Outcome, Recipe

# A pipeline that changes nothing. LLVM refuses an empty text.
NOTHING = "verify"


class Level(StrEnum):
    """Unit that a pass runs on; it decides how the pass is nested in a pipeline's text."""

    MODULE = "module"
    CGSCC = "cgscc"
    FUNCTION = "function"
    LOOP = "loop"
    LOOP_MSSA = "loop-mssa"  # a loop pass that needs MemorySSA


@dataclass(frozen=True, kw_only=True)
class Action:
    """One pass of an action space."""

    name: str  # LLVM's pass name with its parameters
    level: Level

    @property
    def pipeline(self) -> str:
        """The pass as a pipeline for a module, as `opt -passes=` takes it."""
        match self.level:
            case Level.MODULE:
                return self.name
            case Level.CGSCC:
                return f"cgscc({self.name})"
            case Level.FUNCTION:
                return f"function({self.name})"
            case _:
                return f"function({self.level.value}({self.name}))"


def _actions(level: Level, names: str) -> tuple[Action, ...]:
    return tuple(Action(name=name, level=level) for name in names.split())


FLAT: tuple[Action, ...] = (
    *_actions(
        Level.MODULE,
        "always-inline attributor called-value-propagation canonicalize-aliases constmerge "
        "deadargelim elim-avail-extern globaldce globalopt globalsplit hotcoldsplit inferattrs "
        "ipsccp iroutliner mergefunc partial-inliner rpo-function-attrs strip-dead-prototypes",
    ),
    *_actions(Level.CGSCC, "argpromotion function-attrs inline"),
    *_actions(
        Level.FUNCTION,
        "adce aggressive-instcombine alignment-from-assumptions bdce break-crit-edges "
        "callsite-splitting consthoist constraint-elimination correlated-propagation dce "
        "dfa-jump-threading div-rem-pairs dse early-cse early-cse<memssa> flatten-cfg float2int "
        "guard-widening gvn gvn-hoist gvn-sink infer-alignment instcombine<no-verify-fixpoint> "
        "instsimplify irce jump-threading lcssa libcalls-shrinkwrap load-store-vectorizer "
        "loop-data-prefetch loop-distribute loop-fusion loop-load-elim loop-simplify loop-sink "
        "loop-unroll loop-vectorize lower-constant-intrinsics lower-expect lower-switch mem2reg "
        "memcpyopt mergeicmps mergereturn mldst-motion move-auto-init nary-reassociate newgvn "
        "partially-inline-libcalls reassociate reg2mem sccp scalarizer "
        "separate-const-offset-from-gep simplifycfg "
        "simplifycfg<bonus-inst-threshold=2;switch-to-lookup;hoist-common-insts;sink-common-insts> "
        "simplifycfg<no-keep-loops;switch-range-to-icmp;speculate-blocks;simplify-cond-branch> "
        "sink slp-vectorizer slsr speculative-execution sroa<modify-cfg> tailcallelim "
        "typepromotion vector-combine",
    ),
    *_actions(
        Level.LOOP,
        "canon-freeze indvars loop-bound-split loop-deletion loop-idiom loop-instsimplify "
        "loop-predication loop-reduce loop-rotate loop-rotate<header-duplication> "
        "loop-simplifycfg loop-unroll-full loop-versioning-licm "
        "simple-loop-unswitch<nontrivial>",
    ),
    *_actions(Level.LOOP_MSSA, "licm lnicm"),
)

# Not in CompilerGym. The inliner of the new pass manager simplifies each function as it walks the
# call graph. Most of the savings of -Oz come from there, and no sequence of flat passes replaces
# it.
COMPOSITE: tuple[Action, ...] = (
    Action(
        name="devirt<4>(inline,function-attrs,function<eager-inv>(function-simplification<Oz>))",
        level=Level.CGSCC,
    ),
    *_actions(
        Level.FUNCTION,
        "function-simplification<O1> function-simplification<Os> function-simplification<Oz>",
    ),
    *_actions(Level.MODULE, "default<O1> default<O2> default<Os> default<Oz>"),
)


class Measures(Protocol):
    """Part of an engine that `known_to` uses."""

    def measure(self, recipes: Sequence[Recipe], *, emit: bool) -> list[Measured]:
        """Return one result for each recipe, in order."""
        ...


def pipeline_of(actions: Iterable[Action]) -> str:
    """Return the pipeline that runs `actions` in order, each on the whole module."""
    return ",".join(action.pipeline for action in actions) or NOTHING


def known_to(engine: Measures, actions: Sequence[Action] = FLAT) -> tuple[Action, ...]:
    """Return those of `actions` that the engine's LLVM can parse, in order.

    A pass that crashes on the engine's module is among them.
    """
    measured = engine.measure(
        [Recipe(pipeline=action.pipeline) for action in actions], emit=False
    )
    return tuple(
        action
        for action, result in zip(actions, measured, strict=True)
        if result.outcome is not Outcome.REFUSED
    )


def in_default_pipelines(
    actions: Sequence[Action], pipelines: Iterable[str]
) -> tuple[Action, ...]:
    """Return the actions whose pass occurs in one of `pipelines` (texts of default<O1> to <Oz>).

    Every build exercises these passes. Most known miscompiles of searched sequences are due to
    others (`newgvn`, `gvn-hoist`, `loop-fusion`, …).
    """
    names = {
        name
        for text in pipelines
        for name in re.findall(r"[a-z][a-z0-9-]*", re.sub(r"<[^<>]*>", "", text))
    }
    # Parameters are ignored: the pass's code is the same.
    return tuple(action for action in actions if action.name.partition("<")[0] in names)


def parse_commandline(text: str, actions: Sequence[Action]) -> list[int]:
    """Return the indices into `actions` of the passes in a line that `commandline()` wrote.

    `text` is an `opt -passes='…'` line or a bare pipeline. Raises ValueError, which names the first
    pass that is not among `actions`.
    """
    match = re.search(r"-passes=(?:'([^']*)'|\"([^\"]*)\"|(\S+))", text)
    pipeline = (
        next((group for group in match.groups() if group is not None), "")
        if match
        else text.strip()
    )
    if pipeline in ("", NOTHING):
        return []
    index = {action.pipeline: i for i, action in enumerate(actions)}
    indices = []
    for piece in _split(pipeline):
        if piece not in index:
            raise ValueError(
                f"pipeline: expected passes among the {len(actions)} actions, got {piece!r}; "
                "add it to the environment's actions, or pass a line that this environment wrote"
            )
        indices.append(index[piece])
    return indices


def _split(pipeline: str) -> list[str]:
    """Split at the commas that are outside all brackets."""
    pieces, depth, start = [], 0, 0
    for i, character in enumerate(pipeline):
        if character in "(<":
            depth += 1
        elif character in ")>":
            depth -= 1
        elif character == "," and depth == 0:
            pieces.append(pipeline[start:i])
            start = i + 1
    return [*pieces, pipeline[start:]]
