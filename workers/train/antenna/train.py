"""From shards to a surrogate: fit on the coarse mesh, then on both, and measure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cost_models.antenna.cavity import Cavity
from cost_models.antenna.facts import BoardFacts, SurrogateFacts
from cost_models.antenna.heads import Head, HeadShape
from cost_models.antenna.nets import NetShape, Trunk
from cost_models.antenna.surrogate import Surrogate
from workers.train.antenna.boards import FREQUENCIES, TrainingBoard
from workers.train.antenna.dataset import (
    Describe,
    Samples,
    by_cavity,
    by_modes,
    read_samples,
)
from workers.train.antenna.designs import Source
from workers.train.antenna.figures import errors, predict
from workers.train.antenna.fit import FitParams, Net, TrainingSet, fit
from workers.train.antenna.shards import shard_paths
from workers.train.steps import StepError

_ANCHORS = 256
_FINE_RATE = 0.5  # of the learning rate, in the second stage
_SHORT_AVERAGE = 0.99


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Form of the net, and passes over the samples of each mesh."""

    trunk: Trunk = Trunk.CNN
    head: Head = Head.MODAL
    width: int = 32
    depth: int = 3
    readout: int = 128
    poles: int = 20  # or modes
    cavity: bool = True
    epochs: int = 30
    fine_epochs: int = 40
    batch: int = 32
    rate: float = 2e-3
    seed: int = 0

    @property
    def digest(self) -> str:
        """Hash that names the checkpoints: another plan does not resume them."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:12]

    @property
    def coarse(self) -> Plan:
        """The first stage alone: the second one can be repeated without it."""
        return replace(self, fine_epochs=0)


def make_surrogate(
    board: TrainingBoard,
    work: Path,
    plan: Plan,
    *,
    say: Callable[[str], object],
    start: Surrogate | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Surrogate:
    """Train on the shards in `work` and measure on held-out designs. Resumes.

    start: a surrogate whose weights to begin with, of this or of another board. stopped: called
    after each epoch; True ends the training with what it has.
    """
    coarse = _read(board, work, "coarse", plan)
    if coarse is None:
        raise StepError(f"shards: expected some in {work}, got none; run `data` first")
    fine = _read(board, work, "fine", plan)
    say(f"{len(coarse)} coarse designs, {0 if fine is None else len(fine)} fine ones")
    shape = net_shape(board.facts, plan)
    sets = [TrainingSet(samples=coarse, rows=coarse.train_rows, fine=False)]
    net = fit(
        shape,
        sets,
        _params(plan, plan.epochs, plan.rate, len(coarse.train_rows)),
        state=work / f"fit-{plan.coarse.digest}-coarse-{coarse.digest[:8]}.safetensors",
        say=say,
        start=None if start is None else _state_of(start, shape),
        stopped=stopped,
    )
    if fine is not None and plan.fine_epochs:
        sets.append(TrainingSet(samples=fine, rows=fine.train_rows, fine=True))
        net = fit(
            shape,
            sets,
            _params(plan, plan.fine_epochs, plan.rate * _FINE_RATE, len(fine.train_rows)),
            state=work / f"fit-{plan.digest}-fine-{fine.digest[:8]}.safetensors",
            say=say,
            start=net.state_dict(),
            stopped=stopped,
        )
    figures = measured(net, coarse, fine)
    for name, value in figures.items():
        say(f"{name}: {value:.4g}")
    return _packed(board, plan, net, coarse, fine, figures)


def _state_of(start: Surrogate, shape: NetShape) -> dict[str, Tensor]:
    """Return weights as the state of a `Net`. Raises StepError for a net of another shape."""
    own = Net(shape, seed=0).state_dict()
    state = {
        f"weights.{name}": torch.tensor(value) for name, value in start.weights.items()
    }
    if {name: value.shape for name, value in own.items()} != {
        name: value.shape for name, value in state.items()
    }:
        raise StepError(
            f"start: expected a net of the form {shape}, got {start.facts.net}; choose the "
            "same trunk, head, width and depth"
        )
    return state


def net_shape(board: BoardFacts, plan: Plan) -> NetShape:
    """Return the sizes of the plan's net on a board."""
    head = HeadShape(
        head=plan.head,
        poles=plan.poles,
        grid=FREQUENCIES,
        half_width=board.relative_width,
    )
    return NetShape(
        trunk=plan.trunk,
        head=head,
        width=plan.width,
        depth=plan.depth,
        readout=plan.readout,
        cells=board.cells[0],
        cavity=plan.cavity,
    )


def cavity_of(board: BoardFacts) -> Cavity:
    """Return the cavity model of a board."""
    return Cavity.of(
        eps_r=board.eps_r,
        height_m=board.height_m,
        cell_m=board.cell_m,
        f_min_hz=board.f_min_hz,
        f_max_hz=board.f_max_hz,
    )


def measured(net: Net, coarse: Samples, fine: Samples | None) -> dict[str, float]:
    """Return errors on held-out designs of each mesh, all and those of searches alone."""
    figures: dict[str, float] = {}
    for mesh, samples in (("coarse", coarse), ("fine", fine)):
        if samples is None:
            continue
        rows = samples.test_rows
        groups = {"": rows, "_trajectory": samples.of_source(rows, Source.TRAJECTORY)}
        for group, some in groups.items():
            if len(some):
                predicted = predict(net, samples, some, fine=mesh == "fine")
                for name, value in errors(predicted, samples.curves[some]).items():
                    figures[f"{mesh}{group}_{name}"] = round(value, 5)
    return figures


def describe(board: TrainingBoard, plan: Plan) -> Describe:
    """Return what the plan's net reads beside the image."""
    if plan.head is Head.MODAL:
        return by_modes(board.mode_tables, plan.poles)
    return by_cavity(cavity_of(board.facts))


def _read(board: TrainingBoard, work: Path, mesh: str, plan: Plan) -> Samples | None:
    paths = shard_paths(work, mesh)
    return read_samples(paths, describe(board, plan)) if paths else None


def _params(plan: Plan, epochs: int, rate: float, count: int) -> FitParams:
    steps = epochs * count / plan.batch
    return FitParams(
        epochs=epochs,
        seed=plan.seed,
        batch=plan.batch,
        rate=rate,
        average=_SHORT_AVERAGE if steps < 3_000 else 0.998,
    )


def _packed(
    board: TrainingBoard,
    plan: Plan,
    net: Net,
    coarse: Samples,
    fine: Samples | None,
    figures: dict[str, float],
) -> Surrogate:
    facts = SurrogateFacts(
        board=board.facts,
        trunk=plan.trunk,
        head=plan.head,
        width=plan.width,
        depth=plan.depth,
        readout=plan.readout,
        poles=plan.poles,
        grid=FREQUENCIES,
        cavity=plan.cavity and plan.head is not Head.MODAL,
        samples=len(coarse.train_rows),
        fine_samples=0 if fine is None else len(fine.train_rows),
        data_sha256=hashlib.sha256(
            (coarse.digest + ("" if fine is None else fine.digest)).encode()
        ).hexdigest(),
        errors=figures,
    )
    anchors = _anchors(coarse, plan.seed)
    return Surrogate(
        facts=facts,
        weights=net.arrays(),
        anchors=coarse.masks[anchors],
        anchor_feeds=coarse.feeds[anchors, 0].astype(np.int64),
        tables=board.mode_tables if plan.head is Head.MODAL else None,
    )


def _anchors(samples: Samples, seed: int) -> NDArray[np.intp]:
    rows = samples.train_rows
    rng = np.random.default_rng(seed)
    return np.asarray(rng.choice(rows, min(_ANCHORS, len(rows)), replace=False))
