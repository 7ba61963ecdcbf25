"""Objectives of pre-training: a loss with the heads it needs, and what follows each step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from gnn.pretrain import losses
from gnn.pretrain.heads import MovingAverage, Predictor, Projector, keep_at


class Loss(StrEnum):
    """Losses by the word that options and results use."""

    INFO_NCE = "info_nce"
    DECOUPLED = "decoupled"
    VICREG = "vicreg"
    BARLOW = "barlow"
    BYOL = "byol"
    BGRL = "bgrl"
    SIMSIAM = "simsiam"
    MASKED = "masked"


@dataclass(frozen=True, kw_only=True, eq=False)
class TwoViews:
    """Arguments of the encoder for two views of the same objects, in the same order."""

    first: tuple[Any, ...]
    second: tuple[Any, ...]
    rows: Tensor | None = None
    """Rows that enter a contrastive loss, whose cost is quadratic in them; None for all."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Hidden:
    """Arguments of the encoder with some rows hidden, and what was there."""

    view: tuple[Any, ...]
    rows: Tensor
    """(N,) bool, the hidden rows."""
    features: Tensor
    """(N, F), before hiding."""


class JointEmbedding(nn.Module):
    """A loss on the projections of two views by the same encoder."""

    def __init__(
        self,
        loss: Callable[[Tensor, Tensor], Tensor],
        width: int,
        *,
        projector: tuple[int, int] = (128, 128),
    ) -> None:
        super().__init__()
        self.measure = loss
        self.project = Projector(width, *projector)

    def forward(self, encoder: nn.Module, views: TwoViews) -> Tensor:
        """Return the loss, ()."""
        first = self.project(encoder(*views.first))
        second = self.project(encoder(*views.second))
        if views.rows is not None:
            first, second = first[views.rows], second[views.rows]
        return self.measure(first, second)

    def after_step(self, encoder: nn.Module, step: int, steps: int) -> None:
        """Nothing follows a step."""


class SelfDistillation(nn.Module):
    """Predict one view's target from the other view: BYOL, BGRL and SimSiam.

    Args:
        projector: widths of the projector, or None without one (BGRL).
        keep: first share of the moving average that is kept, or None: the targets are the
            encoder's own output without gradient (SimSiam).
        predictor: hidden width, or None to leave it out. Without predictor all outputs become
            equal (Grill et al., 2020, table 5): a test of the alarms, not a way to train.
    """

    def __init__(
        self,
        encoder: nn.Module,
        width: int,
        *,
        projector: tuple[int, int] | None = (128, 128),
        keep: float | None = 0.99,
        predictor: int | None = 128,
    ) -> None:
        super().__init__()
        self.keep = keep
        online = _Online(encoder, width, projector)
        self.project = online.project
        self.target = None if keep is None else MovingAverage(online)
        out = width if projector is None else projector[1]
        self.predict = nn.Identity() if predictor is None else Predictor(out, predictor)

    def forward(self, encoder: nn.Module, views: TwoViews) -> Tensor:
        """Return the loss, ()."""
        first = self.project(encoder(*views.first))
        second = self.project(encoder(*views.second))
        predictions = self.predict(first), self.predict(second)
        if self.target is None:
            return losses.simsiam(*predictions, first, second)
        targets = self.target(*views.first), self.target(*views.second)
        return losses.byol(*predictions, *targets)

    def after_step(self, encoder: nn.Module, step: int, steps: int) -> None:
        """Move the target towards encoder and projector."""
        if self.target is not None and self.keep is not None:
            online = _Online(encoder, 0, None)
            online.project = self.project
            self.target.update(online, keep_at(step, steps, first=self.keep))


class MaskedFeatures(nn.Module):
    """Reconstruct the features of hidden rows by a linear decoder, with a scaled cosine error.

    GraphMAE (Hou et al., 2022) decodes with a graph net after hiding the rows again; a linear
    decoder leaves that work to the encoder.
    """

    def __init__(self, width: int, features: int, *, power: float = 2.0) -> None:
        super().__init__()
        self.decode, self.power = nn.Linear(width, features), power

    def forward(self, encoder: nn.Module, hidden: Hidden) -> Tensor:
        """Return the loss, ()."""
        decoded = self.decode(encoder(*hidden.view)[hidden.rows])
        return losses.scaled_cosine_error(
            decoded, hidden.features[hidden.rows], power=self.power
        )

    def after_step(self, encoder: nn.Module, step: int, steps: int) -> None:
        """Nothing follows a step."""


Objective = JointEmbedding | SelfDistillation | MaskedFeatures

OF_TWO: Mapping[Loss, Callable[[Tensor, Tensor], Tensor]] = MappingProxyType(
    {
        Loss.INFO_NCE: losses.nt_xent,
        Loss.DECOUPLED: partial(losses.nt_xent, decoupled=True),
        Loss.VICREG: losses.vicreg,
        Loss.BARLOW: losses.barlow_twins,
    }
)


def objective_of(
    loss: Loss, encoder: nn.Module, width: int, features: int, *, keep: float = 0.99
) -> Objective:
    """Return an objective with its usual heads.

    Args:
        width: of the encoder's output.
        features: columns of the features that `masked` reconstructs.
        keep: first share of the target that is kept. The target must follow the encoder within the
            run: 0.99 suits thousands of steps, 0.9 hundreds.
    """
    match loss:
        case Loss.BYOL:
            return SelfDistillation(encoder, width, keep=keep)
        case Loss.BGRL:
            return SelfDistillation(encoder, width, projector=None, keep=keep)
        case Loss.SIMSIAM:
            return SelfDistillation(encoder, width, keep=None)
        case Loss.MASKED:
            return MaskedFeatures(width, features)
        case _:
            return JointEmbedding(OF_TWO[loss], width)


class _Online(nn.Module):
    """Encoder and projector as one network."""

    def __init__(
        self, encoder: nn.Module, width: int, projector: tuple[int, int] | None
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.project = (
            nn.Identity() if projector is None else Projector(width, *projector)
        )

    def forward(self, *view: Any) -> Tensor:
        out: Tensor = self.project(self.encoder(*view))
        return out
