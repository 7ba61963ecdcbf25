"""Pre-train an encoder on views that are drawn afresh at each step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from gnn.pretrain.objectives import Hidden, Objective, TwoViews


@dataclass(frozen=True, kw_only=True)
class PretrainParams:
    """Parameters of one run of AdamW with linear warm-up and a cosine to zero."""

    steps: int
    rate: float = 2e-3
    weight_decay: float = 1e-5
    warm_up: float = 0.1
    """Share of the steps."""

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps: expected at least 1, got {self.steps}")
        if not 0 <= self.warm_up < 1:
            raise ValueError(f"warm_up: expected a share in [0, 1), got {self.warm_up}")


def pretrain(
    encoder: nn.Module,
    objective: Objective,
    draw: Callable[[torch.Generator], TwoViews | Hidden],
    params: PretrainParams,
    *,
    rng: torch.Generator,
) -> list[float]:
    """Train encoder and heads in place; return the loss of each step.

    Ends early with the losses so far when one is not finite. Weights were drawn by the caller;
    `rng` draws the views.

    Args:
        draw: returns views; `Hidden` for the objective `MaskedFeatures`, `TwoViews` for others.
    """
    trained = [*encoder.parameters()]
    own = {id(p) for p in trained}
    trained += [p for p in objective.parameters() if p.requires_grad and id(p) not in own]
    optimizer = torch.optim.AdamW(
        trained, lr=params.rate, weight_decay=params.weight_decay
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: share_of_rate(step, params)
    )
    encoder.train()
    history: list[float] = []
    for step in range(params.steps):
        optimizer.zero_grad(set_to_none=True)
        loss = objective(encoder, draw(rng))
        history.append(loss.item())
        if not torch.isfinite(loss):
            break
        loss.backward()
        optimizer.step()
        schedule.step()
        objective.after_step(encoder, step, params.steps)
    encoder.eval()
    return history


def share_of_rate(step: int, params: PretrainParams) -> float:
    """Return the learning rate at a step over the greatest one."""
    warm = int(params.warm_up * params.steps)
    if step < warm:
        return (step + 1) / (warm + 1)
    rest = (step - warm) / max(1, params.steps - warm)
    return 0.5 * (1 + float(torch.cos(torch.tensor(torch.pi * rest))))
