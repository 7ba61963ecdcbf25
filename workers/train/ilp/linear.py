"""Training of a policy from a few dozen states: its linear part, then its messages.

The linear part is the whole policy below a dozen instances. It starts as the LP difference, which
LB-RELAX orders by, at a level that suits the small share of variables in a positive set.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gnn.policies.neighbourhood import NeighbourhoodPolicy
from search.lns.features import RowFeature, VariableFeature
from workers.train import checkpoint
from workers.train.ilp.examples import (
    Example,
    chance,
    loss_of,
    normalise,
    recall,
    score,
)

LINEAR_STEPS = 120
MESSAGE_EPOCHS = 30
_LINEAR_RATE = 0.05
_MESSAGE_RATE = 1e-3
_DECAY = 1e-2
_PATIENCE = 30  # steps without a better loss on instances that are not fitted to
_EPOCH_PATIENCE = 5
_START_WEIGHT = 1.0  # of the standardised LP difference
_MAX_NORM = 5.0

Report = Callable[[int, int, float, float | None, str], object]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Own:
    """A state as the linear part sees it: (q, F + R) features and its sets."""

    features: Tensor
    example: Example


def fit_policy(
    fitting: Sequence[Example],
    validation: Sequence[Example],
    *,
    seed: int,
    until: float,  # on time.process_time()
    state: Path,
    messages: bool,
    report: Report,
    stop: Callable[[], bool],
) -> dict[str, np.ndarray]:
    """Return the weights of the least loss on the validation states.

    messages: fit the message passing part as well; its weights are left out where it gains nothing.
    """
    torch.manual_seed(seed)
    model = NeighbourhoodPolicy(len(VariableFeature), len(RowFeature), 2, skip=True)
    normalise(model, fitting)
    with torch.no_grad():
        own = [_own(model, example) for example in fitting]
        held_out = [_own(model, example) for example in validation]
    loss = _fit_linear(model, own, held_out, report, stop)
    arrays = _linear_part(model.arrays())
    if messages:
        least, best = _fit_messages(
            model, fitting, validation, until, state=state, report=report, stop=stop
        )
        if least < loss:
            model.load_state_dict(best)
            arrays, loss = model.arrays(), least
    report(1, 1, loss, loss, _summary(model, validation, held_out, arrays))
    return arrays


def _own(model: NeighbourhoodPolicy, example: Example) -> _Own:
    features = model.own(example.variables, example.rows, example.index)
    return _Own(features=features[example.integer], example=example)


def _fit_linear(
    model: NeighbourhoodPolicy,
    fitting: Sequence[_Own],
    validation: Sequence[_Own],
    report: Report,
    stop: Callable[[], bool],
) -> float:
    """Fit `model.skip`; return its loss on the validation states.

    It takes seconds, so no time limit ends it: equal states give equal weights.
    """
    skip = model.skip
    assert skip is not None
    share = float(np.mean([float(own.example.positives.mean()) for own in fitting]))
    with torch.no_grad():
        skip.weight[0, VariableFeature.INCUMBENT_DIFFERENCE] = _START_WEIGHT
        skip.bias.fill_(float(np.log(max(share, 1e-6))))

    def mean_loss(owns: Sequence[_Own]) -> Tensor:
        return torch.stack(
            [
                loss_of(
                    skip(own.features)[:, 0], own.example.positives, own.example.negatives
                )
                for own in owns
            ]
        ).mean()

    optimizer = torch.optim.AdamW(skip.parameters(), lr=_LINEAR_RATE, weight_decay=_DECAY)
    best = {k: v.clone() for k, v in skip.state_dict().items()}
    least, stale = np.inf, 0
    for step in range(LINEAR_STEPS):
        with torch.no_grad():
            held_out = float(mean_loss(validation))
        if held_out < least:
            least, stale = held_out, 0
            best = {k: v.clone() for k, v in skip.state_dict().items()}
        else:
            stale += 1
        if stop() or stale > _PATIENCE:
            break
        optimizer.zero_grad(set_to_none=True)
        loss = mean_loss(fitting)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if step % 10 == 0:
            report(step + 1, LINEAR_STEPS, float(loss.detach()), held_out, "linear")
    skip.load_state_dict(best)
    return float(least)


def _fit_messages(
    model: NeighbourhoodPolicy,
    fitting: Sequence[Example],
    validation: Sequence[Example],
    until: float,
    *,
    state: Path,
    report: Report,
    stop: Callable[[], bool],
) -> tuple[float, dict[str, Tensor]]:
    """Fit all parts from the checkpoint `state`; return the least loss and its weights."""
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=_MESSAGE_RATE, weight_decay=_DECAY
    )
    first, best, least = checkpoint.restore(state, model, optimizer)
    stale = 0
    for epoch in range(first, MESSAGE_EPOCHS):
        if stop() or stale > _EPOCH_PATIENCE or time.process_time() > until:
            break
        losses = []
        for i in np.random.default_rng((epoch, 5)).permutation(len(fitting)):
            example = fitting[i]
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(score(model, example), example.positives, example.negatives)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), _MAX_NORM)
            optimizer.step()
            losses.append(float(loss.detach()))
            if time.process_time() > until:
                break
        with torch.no_grad():
            held_out = float(
                np.mean(
                    [
                        float(loss_of(score(model, e), e.positives, e.negatives))
                        for e in validation
                    ]
                )
            )
        stale = 0 if held_out < least else stale + 1
        if held_out < least:
            least, best = held_out, {k: v.clone() for k, v in model.state_dict().items()}
        checkpoint.save(
            state, model, optimizer, epoch=epoch + 1, best=best, best_loss=least
        )
        report(epoch + 1, MESSAGE_EPOCHS, float(np.mean(losses)), held_out, "messages")
    return least, best


def _linear_part(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        name: array
        for name, array in arrays.items()
        if name.startswith("skip.") or name.endswith(("_mean", "_std"))
    }


def _summary(
    model: NeighbourhoodPolicy,
    validation: Sequence[Example],
    held_out: Sequence[_Own],
    arrays: dict[str, np.ndarray],
) -> str:
    """Return the recall of the policy beside that of the LP difference and of chance."""
    linear = "head.2.weight" not in arrays
    assert model.skip is not None
    with torch.no_grad():
        logits = [
            model.skip(own.features)[:, 0] if linear else score(model, own.example)
            for own in held_out
        ]
    policy = np.mean(
        [recall(x, e.positives) for x, e in zip(logits, validation, strict=True)]
    )
    lp = np.mean([recall(e.lp_difference, e.positives) for e in validation])
    random = np.mean([chance(e) for e in validation])
    kind = "linear" if linear else "with messages"
    return (
        f"{kind} policy: recall {policy:.2f}, LP difference {lp:.2f}, chance {random:.2f} on "
        f"{len(validation)} states of held-out instances"
    )
