"""Train the control head on cached states. Resumes after each epoch.

Loss: cross-entropy with the text's label at every token after the boundary, as DOC trains its
controller (a future discriminator), summed over the one-pass head and the exact form.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from workers.train import checkpoint
from workers.train.text.batches import Batch, Texts, batches, start
from workers.train.text.net import HeadNet

_FEW = 4  # numbers of a parameter that counts as scalar
_SCALAR_RATE = 0.05


@dataclass(frozen=True, kw_only=True)
class FitParams:
    """Parameters of one training run."""

    epochs: int = 4
    rank: int = 256
    batch: int = 32
    rate: float = 5e-4
    strangers: int = 8  # items of other documents beside the judged ones
    decay: float = 0.02  # of weights
    share: float = 0.33  # of the labelled tokens of a text, drawn for each epoch
    hard: bool = True  # with spliced texts
    seed: int = 0


def fit(
    train: Texts,
    valid: Texts,
    params: FitParams,
    *,
    norms: NDArray[np.float32],
    state: Path,
    say: Callable[[str], object],
) -> HeadNet:
    """Return the net with the weights of the epoch that was best on `valid`."""
    torch.manual_seed(params.seed)
    net = HeadNet(norms=norms, start=start(train, norms, params.rank))
    optimizer = torch.optim.AdamW(
        net.parameters(), params.rate, weight_decay=params.decay
    )
    epoch, best, best_loss = checkpoint.restore(state, net, optimizer)
    numbers = _numbers(train, params)
    steps = params.epochs * -(-len(numbers) // params.batch)
    began = time.process_time()
    while epoch < params.epochs:
        rng = np.random.default_rng([params.seed, epoch])
        order = [numbers[i] for i in rng.permutation(len(numbers))]
        net.train()
        total = 0.0
        drawing = batches(
            train,
            order,
            rng,
            size=params.batch,
            share=params.share,
            strangers=params.strangers,
        )
        for k, drawn in enumerate(drawing):
            done = epoch * -(-len(numbers) // params.batch) + k
            for group in optimizer.param_groups:
                group["lr"] = params.rate * _schedule(done / steps)
            loss = loss_of(net, drawn)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            total += loss.item()
        epoch += 1
        held = evaluate(net, valid)
        if held < best_loss:
            best = {name: value.clone() for name, value in net.state_dict().items()}
            best_loss = held
        checkpoint.save(
            state, net, optimizer, epoch=epoch, best=best, best_loss=best_loss
        )
        say(
            f"epoch {epoch}/{params.epochs} loss {total / (k + 1):.4f} held out {held:.4f} "
            f"cpu {time.process_time() - began:.0f} s"
        )
    net.load_state_dict(best)
    return net.eval()


def fit_scalars(net: HeadNet, held_out: Texts, *, epochs: int, seed: int) -> HeadNet:
    """Fit the few scalars of a net on texts that its matrices have not seen; return the net.

    On their own training texts the matrices score too well (AUC 0.90 against 0.81), so that fitted
    there the features of words would count too little: stacking, as Wolpert (1992) has it.
    """
    scalars = [p for p in net.parameters() if p.numel() <= _FEW]
    optimizer = torch.optim.Adam(scalars, _SCALAR_RATE)
    numbers = range(len(held_out.states))
    for epoch in range(epochs):
        rng = np.random.default_rng([seed, epoch])
        for group in optimizer.param_groups:
            group["lr"] = _SCALAR_RATE * _schedule((epoch + 1) / (epochs + 1))
        order = [int(i) for i in rng.permutation(len(numbers))]
        for drawn in batches(held_out, order, rng, size=32, from_boundary=1.0):
            loss = loss_of(net, drawn)
            net.zero_grad()
            loss.backward()
            optimizer.step()
    return net.eval()


def loss_of(net: HeadNet, drawn: Batch) -> torch.Tensor:
    """Return the loss, ()."""
    labels = drawn.labels[:, :, None].expand_as(drawn.weight)
    total = torch.zeros(())
    for logits in net(*drawn.inputs):
        each = functional.binary_cross_entropy_with_logits(
            logits, labels, reduction="none"
        )
        total = total + (each * drawn.weight).sum() / drawn.weight.sum()
    return total


def evaluate(net: HeadNet, texts: Texts) -> float:
    """Return the mean loss over all texts of a part, drawn alike at each call."""
    net.eval()
    rng = np.random.default_rng(0)
    with torch.no_grad():
        losses = [
            float(loss_of(net, drawn))
            for drawn in batches(texts, range(len(texts.states)), rng, size=64)
        ]
    return float(np.mean(losses))


def _numbers(train: Texts, params: FitParams) -> list[int]:
    """Return the texts to train on; without hard ones, those that go on."""
    states = train.states
    spliced = states.item != states.prefix_item
    return [i for i in range(len(states)) if params.hard or not spliced[i]]


def _schedule(done: float) -> float:
    """Return the share of the learning rate: a short warm-up, then a cosine to 0."""
    warm = min(1.0, done / 0.05 + 1e-3)
    return float(warm * 0.5 * (1 + np.cos(np.pi * done)))
