"""Table of the arms: one row for each destroy heuristic that the bandit may choose.

A new arm is a word in `trimtab.specs.ilp.Neighbourhood` with its meaning, a class that implements
`search.lns.neighbourhoods.DestroyHeuristic`, and a row here (deploy/docs/changing.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cost_models.weights import load_weights, manifest
from gnn.policies.neighbourhood_numpy import NeighbourhoodNet
from search.lns.guide import Guide
from search.lns.learned import LearnedNeighbourhood, no_note
from search.lns.neighbourhoods import (
    ConstraintBlockNeighbourhood,
    CrossoverNeighbourhood,
    DestroyHeuristic,
    LbRelaxNeighbourhood,
    LbRelaxRounding,
    LbRelaxSampling,
    RandomNeighbourhood,
    RinsNeighbourhood,
    VariableGraphNeighbourhood,
)
from search.lns.sub_mip import Slicer
from solvers.types import MilpModel
from trimtab.specs.ilp import Neighbourhood

_CL_LNS_WEIGHTS = "cl-lns"


@dataclass(frozen=True, kw_only=True, eq=False)
class ArmParts:
    """Parts that a destroy heuristic may be made of."""

    guide: Guide
    slicer: Slicer
    # Takes a sentence for the notes of the result.
    note: Callable[[str], object] = no_note
    # Weights of the learned arm, fitted to the model's family; without them it uses the shipped.
    policy: Mapping[str, np.ndarray] | None = None

    @property
    def model(self) -> MilpModel:
        """The whole model."""
        return self.guide.model


def _always(model: MilpModel) -> bool:
    return True


def _has_rows(model: MilpModel) -> bool:
    return bool(model.m)


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One row: an arm, the models it applies to, and its first size and credit."""

    word: Neighbourhood
    make: Callable[[ArmParts], DestroyHeuristic]
    applies: Callable[[MilpModel], bool] = _always
    # Share of the integer variables that the first call frees. Arms guided by a relaxation free
    # the hardest variables, so they begin about 3 times smaller than random ones
    # (deploy/docs/design/ilp.md, "Adaptive size").
    first_share: float = 0.05
    expected_s: float = 0.02  # processor seconds of a first call, which the bandit weighs
    # Gain per second credited before the first call. A run has time for five to ten calls of each
    # arm before the large gains are over, too few to find the best (lab notes, 2026-11-26).
    prior: float = 0.0
    # Of its share of the exploring time; a policy fitted to one family has the share of any arm.
    weight: float = 1.0
    weights: str | None = None  # name of the learned weights that it uses


def _cl_lns(parts: ArmParts) -> DestroyHeuristic:
    fitted = parts.policy
    net = NeighbourhoodNet(
        weights=load_weights(_CL_LNS_WEIGHTS) if fitted is None else fitted
    )
    return LearnedNeighbourhood(parts.model, parts.guide, net, note=parts.note)


ARMS: tuple[Arm, ...] = (
    Arm(
        word=Neighbourhood.RANDOM,
        make=lambda parts: RandomNeighbourhood(parts.model),
        first_share=0.15,
    ),
    Arm(
        word=Neighbourhood.VARIABLE_GRAPH,
        make=lambda parts: VariableGraphNeighbourhood(
            parts.model, parts.slicer.by_row, parts.slicer.by_column
        ),
        applies=_has_rows,
        first_share=0.15,
        prior=0.02,
    ),
    Arm(
        word=Neighbourhood.CONSTRAINT_BLOCK,
        make=lambda parts: ConstraintBlockNeighbourhood(parts.model, parts.slicer.by_row),
        applies=_has_rows,
        first_share=0.15,
    ),
    Arm(
        word=Neighbourhood.RINS,
        make=lambda parts: RinsNeighbourhood(parts.model, parts.guide),
        expected_s=0.1,
    ),
    Arm(
        word=Neighbourhood.CROSSOVER,
        make=lambda parts: CrossoverNeighbourhood(parts.model, parts.guide),
        first_share=0.1,
    ),
    # Local-branching LPs may take long, so the bandit explores these arms less often.
    Arm(
        word=Neighbourhood.LB_RELAX,
        make=lambda parts: LbRelaxNeighbourhood(parts.model, parts.guide),
        expected_s=0.3,
    ),
    Arm(
        word=Neighbourhood.LB_RELAX_S,
        make=lambda parts: LbRelaxSampling(parts.model, parts.guide),
        expected_s=0.3,
    ),
    Arm(
        word=Neighbourhood.LB_RELAX_R,
        make=lambda parts: LbRelaxRounding(parts.model, parts.guide),
        expected_s=0.3,
    ),
    # A low expected time, so that it is tried early: it needs the root LP, and all arms gain by it.
    Arm(
        word=Neighbourhood.CL_LNS,
        make=_cl_lns,
        applies=lambda model: _CL_LNS_WEIGHTS in manifest(),
        expected_s=0.03,
        prior=0.05,
        weight=8.0,
        weights=_CL_LNS_WEIGHTS,
    ),
)
"""`Neighbourhood.ONE_SWAP` has no row: it names the intensifier (search.lns.intensify)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ActiveArm:
    """A row of the table with its heuristic for one model."""

    row: Arm
    heuristic: DestroyHeuristic

    @property
    def name(self) -> str:
        """The arm's word."""
        return self.row.word.value


def make_arms(words: Sequence[Neighbourhood], parts: ArmParts) -> list[ActiveArm]:
    """Make the arms of `words` that apply to the model; the random arm when none does."""
    rows = {row.word: row for row in ARMS}
    chosen = [rows[word] for word in dict.fromkeys(words) if word in rows]
    applying = [row for row in chosen if row.applies(parts.model)]
    return [
        ActiveArm(
            row=row if parts.policy is None else replace(row, weight=1.0),
            heuristic=row.make(parts),
        )
        for row in applying or [rows[Neighbourhood.RANDOM]]
    ]
