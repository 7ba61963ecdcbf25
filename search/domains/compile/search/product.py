"""Product mode: coreset, local search and per-function decisions around -Oz.

The coreset and the order of its candidates follow Liang et al., "Learning Compiler Pass Orders
using Coreset and Normalized Value Prediction" (ICML 2023); candidates are edits of whole -Oz
pipelines instead of the paper's flat pass sequences, because on LLVM 22 those seldom beat -Oz. See
`deploy/docs/design/compile.md`, "Product mode".
"""

from __future__ import annotations

import contextlib

import numpy as np
from numpy.typing import NDArray

from cost_models.weights import digest as weights_digest
from search.domains.compile.parse.problem import CompileProblem
from search.domains.compile.search.candidates import (
    OF_LINKED,
    candidate_space,
    function_tails,
)
from search.domains.compile.search.coreset import (
    FIRMWARE,
    list_for,
    load_coreset,
    load_firmware,
    load_linked,
    usefulness,
    without_options,
)
from search.domains.compile.search.coreset import NAME as CORESET
from search.domains.compile.search.edits import Candidate
from search.domains.compile.search.fitted import FittedCoreset, complete
from search.domains.compile.search.local_search import (
    MAX_CORESET,
    ProductSpace,
    SearchLimits,
    optimise,
)
from search.domains.compile.search.policy import (
    describe,
    score_candidates,
    weights_name,
)
from search.domains.compile.search.state import SearchState, Trials
from solvers.llvm.engine import CandidateFailed
from solvers.llvm.options import options_for
from solvers.llvm.toolchain import is_hosted
from solvers.llvm.types import Metric
from trimtab.specs.compile import Tier

# Without a budget of evaluations: time or patience ends the search.
_MOST_EVALUATIONS = 100_000
_PATIENCE = 200  # compilations without a better program that end the search
# The list of linked programs was mined, and their frame pointers were measured, there alone.
_MINED_ON = "x86_64"
# Candidates of the coreset where a smaller budget is better spent on code generation.
_FEW_OF_CORESET, _SMALL_BUDGET = 2, 20
_TAIL_COST = 1.5  # compile time of a tail, in times of -Oz's


def search_product(state: SearchState) -> Trials:
    """Search in product mode; each new incumbent is run before it counts."""
    oz = state.prepared.levels["Oz"]
    assert oz.sizes is not None
    coreset_of = list_for(state.problem.metric, oz.sizes)
    space, policy, uses_network = _product_space(state, coreset_of)
    evaluations = state.evaluations_left

    def only_tails() -> bool:
        return state.left_s <= _TAIL_COST * oz.seconds * len(space.tails)

    result = optimise(
        state.prepared.engine,
        space,
        SearchLimits(
            evaluations=_MOST_EVALUATIONS if evaluations is None else evaluations,
            max_coreset=_most_of_coreset(space, evaluations),
            patience=_PATIENCE,
            only_tails=only_tails,
            stopped=state.over,
            spend=state.spend,
        ),
        baseline=oz,
        rng=state.rng,
        on_better=state.incumbents.accept,
    )
    files = [CORESET, weights_name(coreset_of)] if uses_network else [CORESET]
    files += [FIRMWARE] if space.code_sets else []
    return Trials(
        table=result.table,
        policy=policy,
        weights={name: weights_digest(name) for name in files},
    )


def _most_of_coreset(space: ProductSpace, evaluations: int | None) -> int:
    """Return how many candidates of the coreset to try before everything else."""
    few = space.code_sets and _is_small(evaluations)
    return _FEW_OF_CORESET if few else MAX_CORESET


def _product_space(
    state: SearchState, coreset_of: Metric
) -> tuple[ProductSpace, str, bool]:
    """(what may be tried, how the coreset is ordered, whether a network ordered it)."""
    spec, metric = state.problem.spec, state.problem.metric
    defaults, oz = state.prepared.pipelines, state.prepared.levels["Oz"]
    assert oz.sizes is not None

    def allowed(tier: Tier) -> bool:
        return state.experimental or tier is Tier.DEFAULT

    like_mined = _is_like_mined(state.problem)
    # The list of code bytes is for programs without unwind tables.
    has_list = like_mined and coreset_of is Metric.LOADABLE_BYTES
    mined = load_linked() if has_list else ()
    code_sets: tuple[tuple[str, ...], ...] = ()
    if coreset_of is not Metric.IR_INSTRUCTIONS and _has_lists(state):
        mined, code_sets = load_firmware(_architecture(state.problem))
    shipped = load_coreset(coreset_of)
    listed = complete(mined, shipped) if code_sets else list(mined or shipped)
    coreset = [c for c in listed if allowed(c.tier)]
    options = options_for(metric) if spec.llvm_options else frozenset()
    if not spec.llvm_options:
        coreset = without_options(coreset)
    scores: NDArray[np.float64] | None = None
    if state.fitted is not None:
        coreset, scores, policy = _fitted_first(state, state.fitted, coreset)
    elif mined:
        policy = "greedy order of the linked programs' coreset"
    elif spec.llvm_options:
        scores, policy = score_candidates(
            state.prepared.engine, oz.sizes, coreset, coreset_of
        )
    else:
        policy = "greedy order of the coreset, its options left out"
    changes = [c for c in candidate_space(defaults, options=options) if allowed(c.tier)]
    tails = (
        function_tails(defaults, experimental=state.experimental)
        if spec.per_function
        else {}
    )
    additions = [
        c
        for c in (() if state.problem.image is None else OF_LINKED)
        if allowed(c.tier) and all(word in options for word in c.options)
    ]
    space = ProductSpace(
        metric=metric,
        defaults=defaults,
        coreset=coreset,
        scores=scores,
        changes=changes,
        usefulness=usefulness(changes, metric),
        tails=tails,
        code_sets=code_sets if spec.per_function and spec.llvm_options else (),
        library_calls=state.problem.image is not None,
        minsize=spec.per_function,
        frame_pointers=spec.per_function and like_mined,
        additions=additions,
    )
    return space, policy, scores is not None and state.fitted is None


def _is_like_mined(problem: CompileProblem) -> bool:
    """Tell whether what was learned and measured on linked programs is about this one."""
    return problem.image is not None and problem.target.triple.startswith(_MINED_ON)


def _has_lists(state: SearchState) -> bool:
    """Tell whether a program has no operating system, and the lists mined on such are of use.

    Those of Arm were no better than the list for objects on held-out programs, with ten
    compilations (ADR 79).
    """
    problem = state.problem
    if problem.image is None or is_hosted(problem.target.triple):
        return False
    return _architecture(problem) != "arm" or not _is_small(state.evaluations_left)


def _is_small(evaluations: int | None) -> bool:
    return evaluations is not None and evaluations < _SMALL_BUDGET


def _architecture(problem: CompileProblem) -> str:
    """Return the family of instruction sets that firmware was mined on."""
    name = problem.target.triple.partition("-")[0]
    return "arm" if name.startswith(("arm", "thumb")) and "64" not in name else name


def _fitted_first(
    state: SearchState, fitted: FittedCoreset, shipped: list[Candidate]
) -> tuple[list[Candidate], NDArray[np.float64], str]:
    """Return the fitted pipelines before the shipped ones, with scores in that order."""
    oz = state.prepared.levels["Oz"]
    assert oz.sizes is not None
    order, how = fitted.order(None), "order of the fitted coreset"
    if fitted.ranker is not None:
        with contextlib.suppress(CandidateFailed, ValueError):
            features = describe(state.prepared.engine.features(), oz.sizes)
            order = fitted.order(features)
            how = "order by the ranker of the fitted coreset"
    mine = [fitted.candidates[n] for n in order]
    if not state.experimental:
        mine = [one for one in mine if one.tier is Tier.DEFAULT]
    if not state.problem.spec.llvm_options:
        mine = without_options(mine)
    both = complete(mine, shipped)
    return both, np.arange(len(both), 0, -1, dtype=np.float64), f"{how}, then the shipped"
