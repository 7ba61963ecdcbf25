"""Surrogate of a user's board, fitted within a budget, and its error on designs of its own.

Designs are drawn, labelled by the fast solver in parts that are kept as shards, and a net is
trained on them, from the shipped surrogate's weights where the form of the net is the same: a board
of another substrate needs far fewer designs from there. Every part resumes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cost_models.antenna.surrogate import Surrogate, shipped
from solvers.field.tables import Tables
from workers.train.antenna.boards import TrainingBoard
from workers.train.antenna.designs import Sample, independent
from workers.train.antenna.figures import decibel
from workers.train.antenna.labels import label
from workers.train.antenna.shards import shard_paths, write_labelled
from workers.train.antenna.train import Plan, make_surrogate

PART = 40
"""Designs that are labelled between two savings."""


def draw_families(board: TrainingBoard, designs: int, seed: int) -> list[list[Sample]]:
    """Return about so many designs by family: a founder and its mutations."""
    families: dict[int, list[Sample]] = {}
    for sample in independent(board, designs, np.random.default_rng(seed)):
        families.setdefault(sample.family, []).append(sample)
    return list(families.values())


def label_families(
    board: TrainingBoard,
    families: Sequence[Sequence[Sample]],
    folder: Path,
    *,
    seed: int,
    cache: Path | None,
    stopped: Callable[[], bool] = lambda: False,
    on_part: Callable[[int, int], object] = lambda done, total: None,
) -> int:
    """Label designs by the fast solver into shards of `folder`; return how many are labelled.

    Parts that are there are kept. cache: folder of the solver's tables. on_part: called with the
    number of designs labelled, and of all.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts = _parts(families)
    total, done = sum(map(len, families)), 0
    tables: Tables | None = None
    for number, part in enumerate(parts):
        path = folder / f"coarse-{number:05d}.npz"
        if not path.is_file():
            if stopped():
                break
            tables = tables or board.tables(fine=False, cache=cache)
            rows = [(s, label(tables, s.mask, list(s.feeds), fine=False)) for s in part]
            write_labelled(path, board, rows, seed=seed)
        done += len(part)
        on_part(done, total)
    return done


def _parts(families: Sequence[Sequence[Sample]]) -> list[list[Sample]]:
    """Whole families in parts of about PART designs, families numbered within the part."""
    parts: list[list[Sample]] = [[]]
    for family in families:
        if len(parts[-1]) >= PART:
            parts.append([])
        founder = len(parts[-1])
        parts[-1] += [replace(sample, family=founder) for sample in family]
    return [part for part in parts if part]


def fit_own(
    board: TrainingBoard,
    folder: Path,
    plan: Plan,
    *,
    say: Callable[[str], object],
    start: Surrogate | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Surrogate:
    """Train on the shards in `folder`. Resumes. Raises StepError without shards."""
    return make_surrogate(board, folder, plan, say=say, start=start, stopped=stopped)


def start_for(plan: Plan) -> Surrogate | None:
    """Return the shipped surrogate to begin with; None when none has the plan's form."""
    for name in shipped():
        surrogate = Surrogate.shipped(name)
        facts = surrogate.facts
        own = (plan.trunk, plan.head, plan.width, plan.depth, plan.readout, plan.poles)
        if own == (
            facts.trunk,
            facts.head,
            facts.width,
            facts.depth,
            facts.readout,
            facts.poles,
        ):
            return surrogate
    return None


def on_board(surrogate: Surrogate, board: TrainingBoard) -> Surrogate:
    """Return a surrogate's weights on another board, whose modes it then begins with."""
    tables = board.mode_tables if surrogate.tables is not None else None
    facts = replace(surrogate.facts, board=board.facts)
    cells = board.facts.cells
    return replace(
        surrogate,
        facts=facts,
        tables=tables,
        anchors=np.zeros((0, *cells), bool),
        anchor_feeds=np.zeros((0, 2), np.int64),
    )


def solved_curves(
    board: TrainingBoard, samples: Sequence[Sample], tables: Tables
) -> NDArray[np.complex64]:
    """Return S11 of the first feed over the board's frequencies, (designs, frequencies)."""
    return np.array(
        [label(tables, s.mask, [s.feeds[0]], fine=False).curve for s in samples],
        np.complex64,
    )


def error_db(
    surrogate: Surrogate,
    board: TrainingBoard,
    samples: Sequence[Sample],
    curves: NDArray[np.complex64],
) -> float:
    """Return the mean |Δ dB| of a surrogate on solved designs, with the floor at −26 dB."""
    masks = np.array([sample.mask for sample in samples], bool)
    feeds = np.array([sample.feeds[0] for sample in samples], np.int64)
    predicted = surrogate.predict(masks, feeds, board.frequencies_hz, fine=False)
    return float(np.abs(decibel(predicted.astype(np.complex64)) - decibel(curves)).mean())


def labelled(folder: Path) -> int:
    """Return how many shards a folder has."""
    return len(shard_paths(folder, "coarse"))
