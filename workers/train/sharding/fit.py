"""The training loop of the sharding nets: Adam, a validation set, the best epoch kept, resumable."""

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
    """How to train. The paper's: MSE, Adam 1e-3, batch 512, up to 1,000 epochs, 80/10/10."""

    epochs: int
    batch: int = 512
    learning_rate: float = 1e-3
    cosine: bool = False  # learning rate falls to a hundredth along half a cosine
    relative: bool = False  # relative error instead of squared milliseconds
    seed: int = 0


def mse(found: Tensor, wanted: Tensor) -> Tensor:
    """Squared milliseconds: the paper's."""
    return nn.functional.mse_loss(found, wanted)


def relative(found: Tensor, wanted: Tensor) -> Tensor:
    """Huber of the relative error: a cheap shard counts as much as a heavy one."""
    return nn.functional.huber_loss(found / wanted, torch.ones_like(wanted), delta=0.1) * 10


def split(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Train, validation and test indices, 80/10/10."""
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
        """The model's cost of sets `index`."""
        start, sizes = self.sets.start[index], np.diff(self.sets.start)[index]
        owner = np.repeat(np.arange(len(index)), sizes)
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        config = torch.from_numpy(self.sets.config[np.repeat(start, sizes) + within])
        owners = torch.from_numpy(owner)
        if len(self.physical):
            return model(
                self.features[config], self.physical[config], owners, self.condition[index]
            )  # type: ignore[no-any-return]
        return model(self.features[config], owners, len(index))  # type: ignore[no-any-return]


def fit(
    model: nn.Module,
    predict: Callable[[nn.Module, np.ndarray], Tensor],
    wanted: Tensor,
    recipe: Recipe,
    *,
    state: Path,
    say: Callable[[str], object],
) -> dict[str, Tensor]:
    """Train `model`; returns the weights of the epoch with the least validation loss. Resumes from `state`."""
    train, validation, _ = split(len(wanted), recipe.seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.learning_rate)
    loss_of: Loss = relative if recipe.relative else mse
    first, best, best_loss = checkpoint.restore(state, model, optimizer)
    told = saved = time.monotonic()
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
            loss = loss_of(predict(model, index), wanted[index])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        found = evaluate(model, predict, validation)
        value = float(loss_of(found, wanted[validation]))
        if value < best_loss:
            best_loss, best = value, {k: v.clone() for k, v in model.state_dict().items()}
        if time.monotonic() - told > 10 or epoch + 1 == recipe.epochs:
            told = time.monotonic()
            mape = float((found / wanted[validation] - 1).abs().mean())
            say(
                f"epoch {epoch + 1}/{recipe.epochs}  validation loss {value:.5f} (best {best_loss:.5f})  MAPE {mape:.2%}"
            )
        if time.monotonic() - saved > 30 or epoch + 1 == recipe.epochs:
            saved = time.monotonic()
            checkpoint.save(
                state, model, optimizer, epoch=epoch + 1, best=best, best_loss=best_loss
            )
    model.load_state_dict(best)
    return best


def evaluate(
    model: nn.Module, predict: Callable[[nn.Module, np.ndarray], Tensor], index: np.ndarray
) -> Tensor:
    """Predictions without gradients, in bounded memory."""
    model.eval()
    with torch.no_grad():
        return torch.cat(
            [predict(model, index[low : low + 8192]) for low in range(0, len(index), 8192)]
        )
