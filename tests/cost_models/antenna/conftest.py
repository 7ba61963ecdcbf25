"""A small surrogate with random weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from cost_models.antenna.facts import BoardFacts, SurrogateFacts
from cost_models.antenna.heads import Head
from cost_models.antenna.nets import Trunk, initial_weights
from cost_models.antenna.surrogate import Surrogate
from trimtab.specs.antenna import AntennaBoard, AntennaGrid
from workers.train.antenna.boards import TrainingBoard

CELLS = 6
BOARD = BoardFacts(
    eps_r=2.2,
    tan_d=0.001,
    height_m=3.175e-3,
    conductivity_s_m=5.8e7,
    cells=(CELLS, CELLS),
    cell_m=3e-3,
    f_min_hz=2e9,
    f_max_hz=8e9,
)
TRAINING = TrainingBoard(board=AntennaBoard(), grid=AntennaGrid(cells=CELLS, cell_mm=3.0))
Make = Callable[..., Surrogate]


def small(
    head: Head = Head.RLC, trunk: Trunk = Trunk.CNN, *, spread: float = 0.1, seed: int = 0
) -> Surrogate:
    """Return a surrogate of a 6 x 6 grid; `spread` moves its weights from their start."""
    facts = SurrogateFacts(
        board=BOARD,
        trunk=trunk,
        head=head,
        width=8,
        depth=2,
        readout=16,
        poles=5,
        grid=31,
        cavity=head is not Head.MODAL,
    )
    rng = np.random.default_rng(seed)
    weights = {
        name: (value + rng.normal(0, spread, value.shape)).astype(np.float32)
        for name, value in initial_weights(facts.net, rng).items()
    }
    masks, feeds = designs(8, seed=seed + 1)
    return Surrogate(
        facts=facts,
        weights=weights,
        anchors=masks,
        anchor_feeds=feeds,
        tables=TRAINING.mode_tables if head is Head.MODAL else None,
    )


def designs(count: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return random masks (n, 6, 6), not mirror images of themselves, and feeds on them."""
    rng = np.random.default_rng(seed)
    masks = rng.random((count, CELLS, CELLS)) < 0.6
    feeds = rng.integers(0, CELLS, (count, 2))
    masks[np.arange(count), feeds[:, 0], feeds[:, 1]] = True
    return masks, feeds


@pytest.fixture
def make() -> Make:
    """The maker of small surrogates."""
    return small
