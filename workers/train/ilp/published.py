"""States of the four published families, to train the shipped policy on.

Each instance has a fifth of the paper's size and one .npz file, written when it is complete, so
both steps resume.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from search.lns.constructive import constructive
from search.lns.sub_mip import Slicer
from trimtab.specs.ilp import Neighbourhood
from workers.corpus import integer_programs
from workers.train.ilp.hindsight import HindsightParams, labelled
from workers.train.ilp.states import ExpertParams, State, expert_states, path_of, save
from workers.train.ilp.trial import run_trial

ARMS = (
    Neighbourhood.RANDOM,
    Neighbourhood.VARIABLE_GRAPH,
    Neighbourhood.CONSTRAINT_BLOCK,
    Neighbourhood.RINS,
    Neighbourhood.LB_RELAX_S,
)
# The expert's instances are 1, 2, …; training may use any seed below 500.
FIRST_SEED = 201
# Hamming distance k of the expert at a fifth of the paper's size; 50, 500, 50 and 200 in the paper.
# Other models: Expert.distance.
DISTANCE = {"set-cover": 20, "independent-set": 60, "vertex-cover": 20, "auction": 40}


def collect_expert(
    family: str, seed: int, params: ExpertParams, *, say: Callable[[str], object]
) -> list[State]:
    """Return the states of the expert's steps on an instance of a fifth of the paper's size."""
    model = integer_programs.generate(family, "1/5", seed)
    slicer = Slicer(model)
    rng = np.random.default_rng((seed, 7))
    # Greedy by costs that are off by up to a factor e: the plain greedy is optimal on small vertex
    # covers, and a worse start gives more states.
    noisy = replace(model, c=model.c * np.exp(rng.uniform(-1.0, 1.0, model.n)))
    x = constructive(noisy, slicer.by_row, slicer.by_column)
    if x is None:
        raise RuntimeError(f"{family} seed {seed}: no start solution")
    return expert_states(
        model,
        x,
        DISTANCE[family],
        params,
        rng=rng,
        say=lambda text: say(f"{family} seed {seed} {text}"),
    )


def collect_all_expert(
    folder: Path,
    *,
    instances: int,
    first_seed: int,
    params: ExpertParams,
    say: Callable[[str], object],
) -> None:
    """Collect states of every family in turn, seed by seed, so that families stay balanced.

    Instances that are complete are skipped.
    """
    for seed in range(first_seed, first_seed + instances):
        for family in integer_programs.FAMILIES:
            path = path_of(folder, family, seed)
            if not path.is_file():
                save(collect_expert(family, seed, params, say=say), path)


def collect_hindsight(
    family: str, seed: int, params: HindsightParams, *, say: Callable[[str], object]
) -> list[State]:
    """Return the states of one run on an instance of a fifth of the paper's size."""
    model = integer_programs.generate(family, "1/5", seed)
    slicer = Slicer(model)
    rng = np.random.default_rng((seed, 11))
    # Greedy by blurred costs, as for the expert: a worse start gives more states.
    noisy = replace(model, c=model.c * np.exp(rng.uniform(-1.0, 1.0, model.n)))
    start = constructive(noisy, slicer.by_row, slicer.by_column)
    if start is None:
        raise RuntimeError(f"{family} seed {seed}: no start solution")
    log = run_trial(model, start, words=ARMS, seconds=params.seconds, seed=seed).log
    states = labelled(log, params, rng, model.integrality)
    failed = sum(len(failures) for failures in log.failed)
    counts = [len(state.negatives) for state in states]
    mean = float(np.mean(counts)) if counts else math.nan
    say(
        f"{family} seed {seed}: {len(log.incumbents)} incumbents, {failed} failed sets, "
        f"{len(states)} states, {mean:.0f} negatives each"
    )
    return states


def collect_all_hindsight(
    folder: Path, *, instances: int, params: HindsightParams, say: Callable[[str], object]
) -> None:
    """Collect states of every family in turn, seed by seed; skip instances that are complete."""
    for seed in range(FIRST_SEED, FIRST_SEED + instances):
        for family in integer_programs.FAMILIES:
            path = path_of(folder, family, seed)
            if not path.is_file():
                save(collect_hindsight(family, seed, params, say=say), path)
