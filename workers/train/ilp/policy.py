"""Train the neighbourhood policy with the contrastive loss of CL-LNS.

Huang, Ferber, Tian, Dilkina and Steiner, ICML 2023, equation 3:

    L = mean over positives a⁺ of
        −log( e^{cos(π,a⁺)/τ} / (e^{cos(π,a⁺)/τ} + Σ_{a⁻} e^{cos(π,a⁻)/τ}) ),   τ = 0.07

π is the sigmoid of the logits over integer variables. The paper writes a dot product; the released
code normalises both vectors (deploy/docs/design/ilp.md, "CL-LNS"). Each positive competes with the
negatives of its own state; states are never concatenated.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from cost_models.weights.publish import publish
from gnn.layers.encoders import PAPER, parameters_of
from gnn.policies import out_of_distribution
from gnn.policies.neighbourhood import NeighbourhoodPolicy
from gnn.policies.relational import policy_of
from search.lns.features import RowFeature, VariableFeature
from workers.corpus import integer_programs
from workers.train import checkpoint
from workers.train.ilp.examples import (
    Example,
    chance,
    examples_of,
    loss_of,
    normalise,
    recall,
    score,
)
from workers.train.ilp.states import load

NAME = "cl-lns"
BATCH = 16  # states
_VALIDATION_EVERY = 5  # each fifth instance of a family is held out
_MAX_NORM = 5.0  # of a gradient
_PROGRESS_EVERY_S = 10.0


@dataclass(frozen=True, kw_only=True)
class TrainParams:
    """Parameters of one training run."""

    epochs: int
    seed: int
    rate: float = 1e-3  # learning rate
    encoder: str = PAPER  # of gnn.policies.relational.ENCODERS


def train(
    states: Path,
    params: TrainParams,
    *,
    work: Path,
    out: Path,
    command: str,
    say: Callable[[str], object],
    start: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Fit the policy and publish it. Resumes from `work`.

    Another encoder than the paper's is not published, because serving has none: its recall and
    loss go to a file in `work`.

    start: published weights to continue from (a few epochs on the states of hindsight); their
    description of the training families stays.
    """
    if start is not None and params.encoder != PAPER:
        raise ValueError(
            f"encoder: the published weights are of {PAPER!r}, got {params.encoder!r}; "
            "leave out --published"
        )
    data = _read(states, say)
    torch.manual_seed(params.seed)
    model = policy_of(params.encoder, len(VariableFeature), len(RowFeature), 2)
    if start is None:
        normalise(model, data.fitting)
    else:
        _load_weights(model, start)
        value, shares, random = _evaluate(model, data.validation)
        say(f"before: loss {value:.4f}  recall {_as_text(shares)} random {random:.2f}")
    state = work / f"{_file_name(params)}.safetensors"
    best = _fit(model, data, params, state=state, say=say)
    model.load_state_dict(best)
    value, shares, random = _evaluate(model, data.validation)
    if not isinstance(model, NeighbourhoodPolicy):
        line = {
            "encoder": params.encoder,
            "seed": params.seed,
            "epochs": params.epochs,
            "parameters": parameters_of(model),
            "states": [len(data.fitting), len(data.validation)],
            "loss": round(value, 4),
            "recall": {family: round(share, 3) for family, share in shares.items()},
            "chance": round(random, 3),
        }
        (work / f"{_file_name(params)}.json").write_text(json.dumps(line) + "\n")
        say(f"not published, because serving evaluates {PAPER!r} alone: {line}")
        return
    if start is None:
        families = out_of_distribution.fit(
            {family: np.stack(rows) for family, rows in data.summaries.items()}
        )
    else:
        families = {name: start[name] for name in start if _describes_families(name)}
    per_family = ", ".join(f"{family} {shares[family]:.0%}" for family in shares)
    metric = (
        "share of the expert's best set among twice as many top scores, held out: "
        f"{per_family} (random {random:.0%})"
    )
    arrays = model.arrays() | families
    publish(NAME, arrays, folder=out, command=command, data=data.digest, metric=metric)
    say(f"{len(data.fitting)} + {len(data.validation)} states; {metric}")


@dataclass(frozen=True, kw_only=True, eq=False)
class _Data:
    """States as examples, and the summaries of their instances by family."""

    fitting: list[Example]
    validation: list[Example]
    summaries: dict[str, list[np.ndarray]]
    digest: str  # of the files


def _read(states: Path, say: Callable[[str], object]) -> _Data:
    files = sorted(states.glob("*.npz"))
    if not files:
        raise FileNotFoundError(
            f"no states in {states}: make some with `python -m workers.train ilp collect`"
        )
    reported = time.monotonic()
    fitting: list[Example] = []
    validation: list[Example] = []
    summaries: dict[str, list[np.ndarray]] = {}
    digest = hashlib.sha256()
    for file in files:
        family, _, number = file.stem.rpartition("-")
        digest.update(file.name.encode() + file.read_bytes())
        model = integer_programs.generate(family, "1/5", int(number))
        described, examples = examples_of(model, family, load(file))
        summaries.setdefault(family, []).extend(described)
        held_out = int(number) % _VALIDATION_EVERY == 0
        (validation if held_out else fitting).extend(examples)
        if time.monotonic() - reported > _PROGRESS_EVERY_S:
            reported = time.monotonic()
            say(f"{len(fitting) + len(validation)} states up to {file.name}")
    if not fitting or not validation:
        raise ValueError(
            f"{states}: expected states of at least {_VALIDATION_EVERY} instances a family, "
            f"got {len(files)} files"
        )
    return _Data(
        fitting=fitting,
        validation=validation,
        summaries=summaries,
        digest=digest.hexdigest(),
    )


def _file_name(params: TrainParams) -> str:
    """Return the name of checkpoints: that of the weights, with an encoder and seed of its own."""
    if params.encoder == PAPER:
        return NAME
    return f"{NAME}-{params.encoder}-{params.seed}"


def _describes_families(name: str) -> bool:
    return name.startswith(out_of_distribution.PREFIX)


def _load_weights(model: nn.Module, start: Mapping[str, np.ndarray]) -> None:
    model.load_state_dict(
        {
            name: torch.from_numpy(array)
            for name, array in start.items()
            if not _describes_families(name)
        }
    )


def _fit(
    model: nn.Module,
    data: _Data,
    params: TrainParams,
    *,
    state: Path,
    say: Callable[[str], object],
) -> dict[str, Tensor]:
    """Train from the checkpoint `state`; return the weights of the least validation loss."""
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=params.rate, weight_decay=5e-5, amsgrad=True
    )
    first, best, best_loss = checkpoint.restore(state, model, optimizer)
    for epoch in range(first, params.epochs):
        _train_epoch(model, optimizer, data.fitting, (params.seed, epoch))
        value, shares, random = _evaluate(model, data.validation)
        if value < best_loss:
            best_loss, best = value, {k: v.clone() for k, v in model.state_dict().items()}
        checkpoint.save(
            state, model, optimizer, epoch=epoch + 1, best=best, best_loss=best_loss
        )
        say(
            f"epoch {epoch + 1}/{params.epochs}  loss {value:.4f} (best {best_loss:.4f})  "
            f"recall {_as_text(shares)} random {random:.2f}"
        )
    return best


def _train_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    examples: list[Example],
    seed: tuple[int, int],
) -> None:
    order = np.random.default_rng(seed).permutation(len(examples))
    for low in range(0, len(order), BATCH):
        batch = order[low : low + BATCH]
        optimizer.zero_grad(set_to_none=True)
        for i in batch:
            example = examples[i]
            logits = score(model, example)
            loss = loss_of(logits, example.positives, example.negatives) / len(batch)
            loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), _MAX_NORM)
        optimizer.step()


def _as_text(shares: Mapping[str, float]) -> str:
    return " ".join(f"{family} {share:.2f}" for family, share in shares.items())


def _evaluate(
    model: nn.Module, examples: list[Example]
) -> tuple[float, dict[str, float], float]:
    """Return the mean loss, the recall by family, and the recall of random scores."""
    losses: dict[str, list[float]] = {}
    shares: dict[str, list[float]] = {}
    random: list[float] = []
    with torch.no_grad():
        for example in examples:
            logits = score(model, example)
            losses.setdefault(example.family, []).append(
                float(loss_of(logits, example.positives, example.negatives))
            )
            shares.setdefault(example.family, []).append(
                recall(logits, example.positives)
            )
            random.append(chance(example))
    mean = {family: float(np.mean(values)) for family, values in shares.items()}
    return (
        float(np.mean([np.mean(values) for values in losses.values()])),
        mean,
        float(np.mean(random)),
    )
