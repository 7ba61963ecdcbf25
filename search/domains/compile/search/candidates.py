"""Space of product mode: single changes of -Oz that may make code smaller.

Mining and local search combine them. They drop passes that duplicate code (jump threading, loop
rotation, unrolling), set parameters of simplifycfg and others, hoist and sink common code, run
another round of passes that shrink, and infer attributes earlier.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

from search.domains.compile.search.edits import Candidate, Edit, Op
from solvers.llvm.options import (
    EXPERIMENTAL,
    KNOWN,
    OF_CODE_GENERATION,
    OF_PASSES,
    options_for,
)
from solvers.llvm.pipeline import leaves, parse
from solvers.llvm.types import Metric
from trimtab.specs.compile import Tier

# Dropping these cannot miscompile: all are optional transformations.
_DROPPABLE = [
    "aggressive-instcombine",
    "adce",
    "bdce",
    "called-value-propagation",
    "constraint-elimination",
    "correlated-propagation",
    "deadargelim",
    "div-rem-pairs",
    "dse",
    "early-cse",
    "extra-simple-loop-unswitch-passes",
    "float2int",
    "globalopt",
    "gvn",
    "indvars",
    "inline",
    "instsimplify",
    "ipsccp",
    "jump-threading",
    "libcalls-shrinkwrap",
    "licm",
    "loop-deletion",
    "loop-idiom",
    "loop-instsimplify",
    "loop-load-elim",
    "loop-rotate",
    "loop-simplifycfg",
    "loop-sink",
    "loop-unroll",
    "loop-unroll-full",
    "loop-vectorize",
    "memcpyopt",
    "mldst-motion",
    "reassociate",
    "rel-lookup-table-converter",
    "sccp",
    "simple-loop-unswitch",
    "slp-vectorizer",
    "speculative-execution",
    "tailcallelim",
    "vector-combine",
]
# Passes of which single occurrences may be dropped too.
_DROPPABLE_ONCE = (
    "jump-threading",
    "gvn",
    "licm",
    "reassociate",
    "early-cse",
    "correlated-propagation",
    "loop-rotate",
    "sroa",
)
_SIMPLIFYCFG_FLAGS = (
    "hoist-common-insts",
    "sink-common-insts",
    "hoist-common-insts;sink-common-insts",
    "no-speculate-blocks",
    "switch-to-lookup",
    "no-switch-to-lookup",
    "no-switch-range-to-icmp",
    "no-switch-to-arithmetic",
    "switch-to-arithmetic",
    "forward-switch-cond",
    "no-keep-loops",
    "bonus-inst-threshold=0",
    "bonus-inst-threshold=2",
    "bonus-inst-threshold=4",
    "no-simplify-cond-branch",
    "hoist-loads-stores-with-cond-faulting",
)
_COMBINE = "instcombine<max-iterations=1;no-verify-fixpoint>"
_SHRINK = (
    "simplifycfg<hoist-common-insts;sink-common-insts;switch-range-to-icmp;no-keep-loops>"
)
# Function pipelines to run after -Oz, on the whole module or on one function
# (Recipe.function_tails).
TAILS: tuple[tuple[str, str], ...] = (
    ("shrink", _SHRINK),
    ("combine", _COMBINE),
    ("gvn-shrink", f"gvn,{_COMBINE},{_SHRINK},adce"),
    ("sink", "sink"),
    ("sink-shrink", f"sink,{_SHRINK},{_COMBINE}"),
    ("reassociate-cse", f"reassociate,early-cse<memssa>,{_COMBINE}"),
    (
        "nary",
        "separate-const-offset-from-gep,slsr,early-cse<memssa>,nary-reassociate,early-cse,"
        f"{_COMBINE}",
    ),
    ("cvp", f"constraint-elimination,correlated-propagation,{_SHRINK},{_COMBINE},adce"),
    ("jump", f"jump-threading,{_SHRINK},{_COMBINE}"),
    ("memory", f"memcpyopt,dse,mldst-motion<split-footer-bb>,{_COMBINE},{_SHRINK}"),
    ("sroa", f"sroa<modify-cfg>,early-cse<memssa>,{_COMBINE},{_SHRINK}"),
    (
        "loops",
        f"loop-mssa(licm<allowspeculation>),loop(indvars,loop-deletion),{_COMBINE},{_SHRINK}",
    ),
    (
        "rotate",
        f"loop(loop-rotate<no-header-duplication>,indvars,loop-deletion),{_COMBINE},{_SHRINK}",
    ),
    ("slp", f"slp-vectorizer,vector-combine,early-cse<>,{_COMBINE}"),
    ("gvn-hoist", f"gvn-hoist,{_COMBINE},{_SHRINK}"),
    ("gvn-sink", f"gvn-sink,{_COMBINE},{_SHRINK}"),
    ("mergeicmps", f"mergeicmps,{_COMBINE}"),
    ("consthoist", "consthoist"),
    ("newgvn", f"newgvn,{_COMBINE},{_SHRINK},adce"),
)
_SECOND_ROUND = (
    "cgscc(devirt<4>(inline,function-attrs<skip-non-recursive-function-attrs>,"
    f"function<eager-inv;no-rerun>(sroa<modify-cfg>,early-cse<memssa>,{_SHRINK},{_COMBINE},"
    f"gvn,sccp,bdce,{_COMBINE},adce,dse,{_SHRINK},{_COMBINE})))"
)
_MODULE_TAILS: tuple[tuple[str, str], ...] = (
    ("again", f"{_SECOND_ROUND},deadargelim,globalopt,globaldce"),
    ("mergefunc", "mergefunc"),
    (
        "ipsccp",
        f"ipsccp,deadargelim,globalopt,function({_COMBINE},{_SHRINK}),globaldce,constmerge",
    ),
    ("argpromotion", f"cgscc(argpromotion,function({_COMBINE},{_SHRINK})),globaldce"),
    ("iroutliner", "iroutliner"),
    ("hotcoldsplit", "hotcoldsplit"),
    ("partial-inliner", f"partial-inliner,function({_SHRINK},{_COMBINE}),globaldce"),
)
_PROLOGUES: tuple[tuple[str, str], ...] = (
    (
        "early-attributes",
        "function(sroa<modify-cfg>,early-cse<memssa>),rpo-function-attrs",
    ),
    ("early-sroa-gvn", f"function(sroa<modify-cfg>,gvn,{_COMBINE},{_SHRINK})"),
    ("early-shrink", f"function(sroa<modify-cfg>,{_SHRINK},{_COMBINE})"),
    ("early-argpromotion", "function(sroa<modify-cfg>,early-cse<>),cgscc(argpromotion)"),
)
# Name and edits of other changes.
_HAND_MADE: tuple[tuple[str, *tuple[Edit, ...]], ...] = (
    ("combine-twice", Edit(op=Op.SET, anchor="instcombine", text="max-iterations=2")),
    ("licm-no-speculation", Edit(op=Op.SET, anchor="licm", text="no-allowspeculation")),
    ("rotate-headers", Edit(op=Op.SET, anchor="loop-rotate", text="header-duplication")),
    (
        "cse-memssa-early",
        Edit(op=Op.SET, anchor="early-cse", occurrence=0, text="memssa"),
    ),
    ("mldst-split", Edit(op=Op.SET, anchor="mldst-motion", text="split-footer-bb")),
    ("sink-late", Edit(op=Op.BEFORE, anchor="div-rem-pairs", text="sink")),
    ("gvn-hoist-inside", Edit(op=Op.BEFORE, anchor="gvn", text="gvn-hoist")),
    ("gvn-sink-inside", Edit(op=Op.AFTER, anchor="gvn", text="gvn-sink")),
    ("gvn-twice", Edit(op=Op.AFTER, anchor="memcpyopt", text=f"gvn,{_COMBINE}")),
    (
        "newgvn-for-gvn",
        Edit(op=Op.BEFORE, anchor="gvn", text="newgvn"),
        Edit(op=Op.DROP, anchor="gvn"),
    ),
    (
        "slp-inside",
        Edit(
            op=Op.BEFORE, anchor="transform-warning", text="slp-vectorizer,vector-combine"
        ),
    ),
    (
        "argpromotion-inside",
        Edit(op=Op.AFTER, anchor="inline", occurrence=0, text="argpromotion"),
    ),
)


def candidate_space(
    defaults: Mapping[str, str], *, options: Container[str] = KNOWN
) -> tuple[Candidate, ...]:
    """Return every single change that has a place in this LLVM's -Oz.

    defaults: level → pipeline text, for all of O1, O2, O3, Os and Oz. options: options of LLVM that
    may be set.
    """
    in_defaults = passes_of(defaults)
    oz = parse(defaults["Oz"])
    count: dict[str, int] = {}
    for leaf in leaves(oz):
        count[leaf.name] = count.get(leaf.name, 0) + 1
    singles = (
        Candidate(name=name, edits=edits, tier=_tier(edits, in_defaults))
        for name, edits in _single_changes(count)
    )
    levels = (Candidate(name=level, base=level) for level in ("Os", "O1", "O2"))
    return (*(c for c in singles if all(word in options for word in c.options)), *levels)


# Identical functions as one, in linked programs, where nothing outside refers to most functions.
# LLVM's default pipelines run the pass when asked to, as rustc does in every release build; the
# audit's programs behaved the same.
MERGED_FUNCTIONS = Candidate(
    name="merge-functions", edits=(Edit(op=Op.APPEND, text="mergefunc"),)
)
# Equal pieces of code as functions of their own, found in the IR and again in machine code. LLVM's
# default pipelines for x86 leave both out.
OUTLINED_IR = Candidate(
    name="outline-ir",
    edits=(Edit(op=Op.APPEND, text="iroutliner"),),
    tier=Tier.EXPERIMENTAL,
)
OUTLINED_CODE = Candidate(
    name="outline-code",
    edits=(Edit(op=Op.OPTION, text="-enable-machine-outliner=always"),),
    tier=Tier.EXPERIMENTAL,
)
# Fixed changes of linked programs, in this order: what is outlined may be equal functions.
OF_LINKED = (OUTLINED_IR, MERGED_FUNCTIONS, OUTLINED_CODE)


def changes_of_oz(defaults: Mapping[str, str], metric: Metric) -> tuple[Candidate, ...]:
    """Return the changes that compounds are made of.

    Those of `candidate_space` that edit -Oz, are of the default tier, and whose options can change
    `metric`.
    """
    space = candidate_space(defaults, options=options_for(metric))
    return tuple(c for c in space if c.tier is Tier.DEFAULT and c.base == "Oz")


def _single_changes(count: Mapping[str, int]) -> Iterator[tuple[str, tuple[Edit, ...]]]:
    """(name, edits) of each change; `count`: pass → occurrences in -Oz."""
    yield from _drops(count)
    yield from _simplifycfg_flags(count)
    for name, *edits in _HAND_MADE:
        yield name, tuple(edits)
    for name, tail in TAILS:
        yield f"tail:{name}", (Edit(op=Op.APPEND, text=f"function({tail})"),)
    for name, tail in _MODULE_TAILS:
        yield f"tail:{name}", (Edit(op=Op.APPEND, text=tail),)
    for name, text in _PROLOGUES:
        yield f"first:{name}", (Edit(op=Op.PREPEND, text=text),)
    for word in (*OF_PASSES, *OF_CODE_GENERATION, *EXPERIMENTAL):
        yield word, (Edit(op=Op.OPTION, text=word),)


def _drops(count: Mapping[str, int]) -> Iterator[tuple[str, tuple[Edit, ...]]]:
    for name in _DROPPABLE:
        if name in count:
            yield f"drop-{name}", (Edit(op=Op.DROP, anchor=name),)
        if name in _DROPPABLE_ONCE and count.get(name, 0) > 1:
            for i in range(count[name]):
                yield f"drop-{name}-{i}", (Edit(op=Op.DROP, anchor=name, occurrence=i),)


def _simplifycfg_flags(
    count: Mapping[str, int],
) -> Iterator[tuple[str, tuple[Edit, ...]]]:
    """Flags for all occurrences, and for a few early and late ones alone."""
    last = count.get("simplifycfg", 1) - 1
    for flags in _SIMPLIFYCFG_FLAGS:
        yield f"cfg:{flags}", (Edit(op=Op.SET, anchor="simplifycfg", text=flags),)
        for i in (0, 5, last - 1, last):
            if 0 <= i <= last:
                edit = Edit(op=Op.SET, anchor="simplifycfg", occurrence=i, text=flags)
                yield f"cfg-{i}:{flags}", (edit,)


def passes_of(defaults: Mapping[str, str]) -> set[str]:
    """Return the passes that occur in LLVM's own default pipelines."""
    return {leaf.name for text in defaults.values() for leaf in leaves(parse(text))}


def _tier(edits: tuple[Edit, ...], in_defaults: set[str]) -> Tier:
    """Experimental when an option is, or when a pass is in none of the default pipelines."""
    if any(edit.text in EXPERIMENTAL for edit in edits if edit.op is Op.OPTION):
        return Tier.EXPERIMENTAL
    inserts = (Op.BEFORE, Op.AFTER, Op.APPEND, Op.PREPEND)
    texts = [edit.text for edit in edits if edit.op in inserts]
    used = {leaf.name for text in texts for leaf in leaves(parse(text))}
    return Tier.DEFAULT if used <= in_defaults else Tier.EXPERIMENTAL


def function_tails(defaults: Mapping[str, str], *, experimental: bool) -> dict[str, str]:
    """Return name → function pipeline to run on single functions after -Oz."""
    in_defaults = passes_of(defaults)
    edits = {
        name: (Edit(op=Op.APPEND, text=f"function({tail})"),) for name, tail in TAILS
    }
    return {
        name: tail
        for name, tail in TAILS
        if experimental or _tier(edits[name], in_defaults) is Tier.DEFAULT
    }
