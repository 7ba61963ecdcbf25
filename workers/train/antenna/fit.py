"""Train a surrogate: on coarse labels, then on fine ones. Resumes after each epoch.

Loss: mean |S − Ŝ|² + 0.1·mean (Δ log max(|S|, 0.05))², as each solved frequency counts for the
part of the band next to it. A head of the magnitude alone has the second term only. A zero of S11
on the axis is −∞ dB; the floor of −26 dB keeps it from dominating.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from cost_models.antenna.heads import decode
from cost_models.antenna.image import oriented
from cost_models.antenna.modal import corrections
from cost_models.antenna.modal import decode as decode_modal
from cost_models.antenna.modes import Given, Reduced, turned_input
from cost_models.antenna.nets import NetShape, initial_weights, numbers
from workers.train import checkpoint
from workers.train.antenna.dataset import Batch, Samples, draw_batch
from workers.train.antenna.torch_ops import TorchOps

FLOOR = 0.05  # of |S11| in loss and figures, −26 dB
_LOG_WEIGHT = 0.1
_MAX_NORM = 1.0
_WARM_UP = 0.05  # of all steps
_PROGRESS_EVERY_S = 20.0
OPS = TorchOps()


@dataclass(frozen=True, kw_only=True)
class FitParams:
    """Parameters of one training run."""

    epochs: int
    seed: int
    batch: int = 32
    rate: float = 2e-3
    decay: float = 1e-2  # of weights
    average: float = 0.999  # of the moving average of the weights, a step
    feeds: int = 6  # of each design and step
    points: int = 12  # solved frequencies, the same
    symmetric: bool = True  # turn and mirror designs


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingSet:
    """Samples of one mesh to train on."""

    samples: Samples
    rows: np.ndarray
    fine: bool


class Net(nn.Module):
    """Weights of a net as parameters."""

    def __init__(self, shape: NetShape, seed: int) -> None:
        super().__init__()
        self.shape = shape
        weights = initial_weights(shape, np.random.default_rng(seed))
        self.weights = nn.ParameterDict(
            {
                name: nn.Parameter(torch.from_numpy(value))
                for name, value in weights.items()
            }
        )

    def forward(
        self,
        masks: np.ndarray,
        cells: np.ndarray,
        given: Given,
        x: np.ndarray,
        *,
        fine: bool,
    ) -> Tensor:
        """Return S11 or log|S11|, (batch, feeds, points)."""
        metal, mixed = torch.from_numpy(masks), torch.bfloat16
        if isinstance(given, Reduced):
            models = Reduced(**{k: torch.from_numpy(v) for k, v in vars(given).items()})
            with torch.autocast("cpu", mixed, enabled=self.training):
                made = corrections(
                    OPS, self.shape, self.weights, metal, cells, models, fine=fine
                )
            modes, feeds, links = (part.float() for part in made)
            result: Tensor = decode_modal(
                OPS, self.shape.head.half_width, (modes, feeds, links), models, x
            )
            return result
        read_cavity = self.shape.cavity and given is not None
        features = torch.from_numpy(given) if read_cavity else None
        with torch.autocast("cpu", mixed, enabled=self.training):
            read = numbers(
                OPS, self.shape, self.weights, metal, cells, features, fine=fine
            )
        return decode(OPS, self.shape.head, read.float(), x)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the weights as numpy arrays."""
        return {
            name: value.detach().numpy().copy() for name, value in self.weights.items()
        }


def loss_of(predicted: Tensor, s11: Tensor, widths: Tensor) -> Tensor:
    """Return the loss. Shapes (b, f, s), (b, f, s) complex, (b, s) → ()."""
    weight = widths[:, None]
    target = torch.log(s11.abs().clamp_min(FLOOR))
    if not predicted.is_complex():
        return (weight * (predicted.clamp_min(math.log(FLOOR)) - target) ** 2).mean()
    logs = torch.log(predicted.abs().clamp_min(FLOOR)) - target
    error = torch.view_as_real(predicted - s11).square().sum(-1)
    return (weight * (error + _LOG_WEIGHT * logs**2)).mean()


def fit(
    shape: NetShape,
    sets: Sequence[TrainingSet],
    params: FitParams,
    *,
    state: Path,
    say: Callable[[str], object],
    start: dict[str, Tensor] | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Net:
    """Train, a step on each set in turn; return the net with averaged weights.

    An epoch passes over the last set. Resumes from `state` after the last whole epoch. stopped:
    called after each epoch; True ends the training.
    """
    torch.manual_seed(params.seed)
    net = Net(shape, params.seed)
    if start is not None:
        net.load_state_dict(start)
    optimizer = torch.optim.AdamW(
        net.parameters(), params.rate, betas=(0.9, 0.98), weight_decay=params.decay
    )
    epoch, average, _ = checkpoint.restore(state, net, optimizer)
    if not average:
        average = {name: value.clone() for name, value in net.state_dict().items()}
    run = _Run(net, optimizer, average, sets, params, say)
    began = time.process_time()
    for number in range(epoch, params.epochs):
        loss = run.epoch(number)
        checkpoint.save(
            state, net, optimizer, epoch=number + 1, best=average, best_loss=loss
        )
        say(
            f"epoch {number + 1}/{params.epochs} loss {loss:.4f} steps without finite gradient "
            f"{run.skipped} cpu {time.process_time() - began:.0f} s"
        )
        if stopped():
            break
    net.load_state_dict(average)
    net.eval()
    return net


class _Run:
    """State of one training run."""

    def __init__(
        self,
        net: Net,
        optimizer: torch.optim.Optimizer,
        average: dict[str, Tensor],
        sets: Sequence[TrainingSet],
        params: FitParams,
        say: Callable[[str], object],
    ) -> None:
        self._net, self._optimizer, self._average = net, optimizer, average
        self._sets, self._params, self._say = sets, params, say
        self._steps = len(sets) * math.ceil(len(sets[-1].rows) / params.batch)
        self.skipped = 0

    def epoch(self, number: int) -> float:
        """Run one epoch; return its mean loss."""
        rng = np.random.default_rng([self._params.seed, number])
        drawn = [self._batches(each, rng) for each in self._sets]
        total, reported = 0.0, time.monotonic()
        self._net.train()
        for k in range(self._steps):
            chosen = k % len(self._sets)
            batch = next(drawn[chosen])
            total += self._step(number * self._steps + k, batch, self._sets[chosen], rng)
            if time.monotonic() - reported > _PROGRESS_EVERY_S:
                reported = time.monotonic()
                self._say(
                    f"epoch {number + 1} step {k + 1}/{self._steps} loss {total / (k + 1):.4f}"
                )
        return total / self._steps

    def _batches(self, chosen: TrainingSet, rng: np.random.Generator) -> Iterator[Batch]:
        params = self._params
        while True:
            order = rng.permutation(chosen.rows)
            for start in range(0, len(order), params.batch):
                yield draw_batch(
                    chosen.samples,
                    order[start : start + params.batch],
                    rng,
                    feeds=params.feeds,
                    points=params.points,
                )

    def _step(
        self, done: int, batch: Batch, of: TrainingSet, rng: np.random.Generator
    ) -> float:
        params, masks, cells = self._params, batch.masks, batch.cells
        given = batch.given
        if params.symmetric:
            orientation = int(rng.integers(8))
            masks, cells = oriented(masks, cells, orientation)
            given = turned_input(given, orientation)
        for group in self._optimizer.param_groups:
            group["lr"] = params.rate * _schedule(done, params.epochs * self._steps)
        x = 2 * batch.points / (of.samples.curves.shape[1] - 1) - 1
        predicted = self._net(masks, cells, given, x, fine=of.fine)
        widths = torch.from_numpy(batch.widths)
        loss = loss_of(predicted, torch.from_numpy(batch.s11), widths)
        self._optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self._net.parameters(), _MAX_NORM)
        if bool(torch.isfinite(norm)):
            self._optimizer.step()
        else:
            self.skipped += 1
        _update(self._average, self._net, min(params.average, (1 + done) / (10 + done)))
        return float(loss.detach())


def _update(average: dict[str, Tensor], net: Net, keep: float) -> None:
    with torch.no_grad():
        for name, value in net.state_dict().items():
            average[name].lerp_(value, 1 - keep)


def _schedule(step: int, steps: int) -> float:
    """Warm up linearly, then fall to zero along a cosine."""
    warm = max(1, int(_WARM_UP * steps))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
