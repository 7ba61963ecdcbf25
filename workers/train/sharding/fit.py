"""Training loop of the sharding nets: Adam, best validation epoch, resumable."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from workers.train import checkpoint
from workers.train.sharding.data import Sets

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Parameters of the training.

    NeuroShard's are MSE, Adam 1e-3, batch 512, up to 1,000 epochs, a split of 80/10/10.
    """

    epochs: int
    batch: int = 512
    learning_rate: float = 1e-3
    cosine: bool = False  # decay the learning rate to a hundredth along half a cosine
    relative: bool = False  # relative error instead of squared milliseconds
    seed: int = 0


def mse(predicted: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared error in milliseconds, as in NeuroShard."""
    return nn.functional.mse_loss(predicted, target)


def relative(predicted: Tensor, target: Tensor) -> Tensor:
    """Return the Huber loss of the relative error: cheap shards count as much as heavy ones."""
    ratio = predicted / target
    return nn.functional.huber_loss(ratio, torch.ones_like(target), delta=0.1) * 10


def split(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return train, validation and test indices, 80/10/10."""
    order = np.random.default_rng(seed).permutation(count)
    a, b = round(0.8 * count), round(0.9 * count)
    return order[:a], order[a:b], order[b:]


class SetBatches:
    """Batches of sets as tensors."""

    def __init__(self, sets: Sets) -> None:
        self.sets = sets
        self.features = torch.from_numpy(sets.features)
        self.physical = torch.from_numpy(sets.physical)
        self.cost = torch.from_numpy(sets.cost_ms.astype(np.float32))
        self.condition = torch.from_numpy(
            np.ascontiguousarray(sets.condition).astype(np.float32)
        )

    def predict(self, model: nn.Module, index: np.ndarray) -> Tensor:
        """Return the model's cost of the sets `index`."""
        start, sizes = self.sets.start[index], np.diff(self.sets.start)[index]
        owner = np.repeat(np.arange(len(index)), sizes)
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        config = torch.from_numpy(self.sets.config[np.repeat(start, sizes) + within])
        owners = torch.from_numpy(owner)
        if len(self.physical):
            return model(
                self.features[config],
                self.physical[config],
                owners,
                self.condition[index],
            )  # type: ignore[no-any-return]
        return model(self.features[config], owners, len(index))  # type: ignore[no-any-return]


def fit(
    model: nn.Module,
    predict: Callable[[nn.Module, np.ndarray], Tensor],
    target: Tensor,
    recipe: Recipe,
    *,
    state: Path,
    say: Callable[[str], object],
) -> dict[str, Tensor]:
    """Train `model`, and return the weights of the epoch with the least validation loss.

    state: checkpoint from which an interrupted training resumes.
    """
    train, validation, _ = split(len(target), recipe.seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.learning_rate)
    loss_of: Loss = relative if recipe.relative else mse
    first, best, best_loss = checkpoint.restore(state, model, optimizer)
    reported = saved = time.monotonic()
    for epoch in range(first, recipe.epochs):
        rate = recipe.learning_rate
        if recipe.cosine:
            rate *= 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * epoch / recipe.epochs))
        for group in optimizer.param_groups:
            group["lr"] = rate
        order = np.random.default_rng((recipe.seed, epoch)).permutation(train)
        model.train()
        for low in range(0, len(order), recipe.batch):
            index = order[low : low + recipe.batch]
            loss = loss_of(predict(model, index), target[index])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        predicted = evaluate(model, predict, validation)
        value = float(loss_of(predicted, target[validation]))
        if value < best_loss:
            best_loss, best = value, {k: v.clone() for k, v in model.state_dict().items()}
        if time.monotonic() - reported > 10 or epoch + 1 == recipe.epochs:
            reported = time.monotonic()
            mape = float((predicted / target[validation] - 1).abs().mean())
            say(
                f"epoch {epoch + 1}/{recipe.epochs}  validation loss {value:.5f} "
                f"(best {best_loss:.5f})  MAPE {mape:.2%}"
            )
        if time.monotonic() - saved > 30 or epoch + 1 == recipe.epochs:
            saved = time.monotonic()
            checkpoint.save(
                state, model, optimizer, epoch=epoch + 1, best=best, best_loss=best_loss
            )
    model.load_state_dict(best)
    return best


def evaluate(
    model: nn.Module,
    predict: Callable[[nn.Module, np.ndarray], Tensor],
    index: np.ndarray,
) -> Tensor:
    """Predict without gradients, in bounded memory."""
    model.eval()
    with torch.no_grad():
        return torch.cat(
            [
                predict(model, index[low : low + 8192])
                for low in range(0, len(index), 8192)
            ]
        )
