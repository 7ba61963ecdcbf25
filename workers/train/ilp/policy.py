"""Train the neighbourhood scorer with the contrastive loss of CL-LNS (Huang et al., ICML 2023, equation 3).

    L = mean over positives a⁺ of −log( e^{cos(π,a⁺)/τ} / (e^{cos(π,a⁺)/τ} + Σ_{a⁻} e^{cos(π,a⁻)/τ}) ),   τ = 0.07

π = sigmoid of the logits over integer variables. (The paper writes a dot product; the released code normalises, ilp.md
finding 4.) Each positive competes with the negatives of its own state, states are never concatenated.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cost_models.weights.publish import publish
from gnn.policies import out_of_distribution
from gnn.policies.neighbourhood import NeighbourhoodPolicy
from search.lns.features import GraphBuilder, RowFeature, VariableFeature
from solvers.relaxation import Relaxation
from workers.corpus import integer_programs
from workers.train import checkpoint
from workers.train.ilp.states import State, load

TEMPERATURE = 0.07
NAME = "cl-lns"
BATCH = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class Example:
    """One state as tensors."""

    family: str
    variables: Tensor
    rows: Tensor
    edges: Tensor
    index: Tensor
    positives: Tensor  # (P, n) float
    negatives: Tensor  # (Q, n) float


def loss_of(logits: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
    """InfoNCE of one state. Shapes (n,), (P, n), (Q, n) → ()."""
    probability = torch.sigmoid(logits)[None]
    up = torch.cosine_similarity(probability, positives) / TEMPERATURE  # (P,)
    down = torch.cosine_similarity(probability, negatives) / TEMPERATURE  # (Q,)
    against = torch.logsumexp(down, dim=0)
    return (torch.logaddexp(up, against) - up).mean()


def recall(logits: Tensor, positives: Tensor, *, factor: float = 2.0) -> float:
    """Share of the best positive among the `factor` times as many variables with the largest logits."""
    best = positives[0] > 0
    count = min(len(logits), int(factor * int(best.sum())))
    chosen = torch.topk(logits, count).indices
    return float(best[chosen].sum() / best.sum())


def train(
    states: Path,
    *,
    epochs: int,
    seed: int,
    work: Path,
    out: Path,
    command: str,
    say: Callable[[str], object],
    start: Mapping[str, np.ndarray] | None = None,
    rate: float = 1e-3,
) -> None:
    """Fit and publish. Every fifth instance of a family is kept for validation. Resumes from `work`.

    start: published weights to go on from (a few epochs on hindsight's states); what is "at home" stays theirs then.
    """
    files = sorted(states.glob("*.npz"))
    if not files:
        raise FileNotFoundError(
            f"no states in {states}: python -m workers.train ilp collect makes them"
        )
    told = time.monotonic()
    examples: list[tuple[int, Example]] = []
    summaries: dict[str, list[np.ndarray]] = {}
    digest = hashlib.sha256()
    for file in files:
        family, _, number = file.stem.rpartition("-")
        digest.update(file.name.encode() + file.read_bytes())
        described, found = _examples(family, int(number), load(file))
        summaries.setdefault(family, []).extend(described)
        examples += [(int(number), example) for example in found]
        if time.monotonic() - told > 10:
            told = time.monotonic()
            say(f"{len(examples)} states from {file.name} and before")
    fitting = [e for number, e in examples if number % 5]
    validation = [e for number, e in examples if not number % 5]
    if not fitting or not validation:
        raise ValueError(
            f"training wants states of at least 5 instances a family; {len(files)} files are there"
        )
    torch.manual_seed(seed)
    model = NeighbourhoodPolicy(len(VariableFeature), len(RowFeature), 2)
    if start is None:
        _normalise(model, fitting)
    else:
        named = {
            name: torch.from_numpy(array)
            for name, array in start.items()
            if not name.startswith(out_of_distribution.PREFIX)
        }
        model.load_state_dict(named)
        value, caught, random = _evaluate(model, validation)
        say(f"before: loss {value:.4f}  recall {_told(caught)} random {random:.2f}")
    state = work / "cl-lns.safetensors"
    best = _fit(
        model,
        fitting,
        validation,
        epochs=epochs,
        seed=seed,
        rate=rate,
        state=state,
        say=say,
    )
    model.load_state_dict(best)
    _, caught, random = _evaluate(model, validation)
    if start is None:
        at_home = out_of_distribution.fit(
            {family: np.stack(rows) for family, rows in summaries.items()}
        )
    else:
        at_home = {
            name: array
            for name, array in start.items()
            if name.startswith(out_of_distribution.PREFIX)
        }
    arrays = model.arrays() | at_home
    shares = ", ".join(f"{family} {caught[family]:.0%}" for family in caught)
    metric = f"share of the expert's best set among twice as many top scores, held out: {shares} (random {random:.0%})"
    publish(
        NAME, arrays, folder=out, command=command, data=digest.hexdigest(), metric=metric
    )
    say(f"{len(fitting)} + {len(validation)} states; {metric}")


def _examples(
    family: str, seed: int, states: list[State]
) -> tuple[list[np.ndarray], list[Example]]:
    model = integer_programs.generate(family, "1/5", seed)
    root = Relaxation(model).root()
    if not root.optimal or not states:
        return [], []
    builder = GraphBuilder(model, root)
    examples = []
    for i, state in enumerate(states):
        graph = builder.at([s.x for s in reversed(states[max(0, i - 2) : i + 1])])
        entry_row = np.repeat(
            np.arange(graph.matrix.shape[0]), np.diff(graph.matrix.indptr)
        )
        uniform = bool((graph.edges == graph.edges[0]).all())
        examples.append(
            Example(
                family=family,
                variables=torch.from_numpy(graph.variables),
                rows=torch.from_numpy(graph.rows),
                edges=torch.from_numpy(graph.edges[:1] if uniform else graph.edges),
                index=torch.from_numpy(
                    np.stack([entry_row, graph.matrix.indices]).astype(np.int64)
                ),
                positives=torch.from_numpy(state.positives).float(),
                negatives=torch.from_numpy(state.negatives).float(),
            )
        )
    return [builder.summary()], examples


def _normalise(model: NeighbourhoodPolicy, examples: list[Example]) -> None:
    for name, pick in (("variable", "variables"), ("row", "rows"), ("edge", "edges")):
        # Every state counts the same, whatever its size.
        mean = torch.stack([getattr(e, pick).double().mean(dim=0) for e in examples]).mean(
            dim=0
        )
        square = torch.stack(
            [(getattr(e, pick).double() ** 2).mean(dim=0) for e in examples]
        ).mean(dim=0)
        std = (square - mean**2).clamp_min(0).sqrt()
        getattr(model, f"{name}_mean").copy_(mean.float())
        getattr(model, f"{name}_std").copy_(
            torch.where(std < 1e-4, torch.ones_like(std), std).float()
        )


def _fit(
    model: NeighbourhoodPolicy,
    fitting: list[Example],
    validation: list[Example],
    *,
    epochs: int,
    seed: int,
    rate: float,
    state: Path,
    say: Callable[[str], object],
) -> dict[str, Tensor]:
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=rate, weight_decay=5e-5, amsgrad=True
    )
    first, best, best_loss = checkpoint.restore(state, model, optimizer)
    for epoch in range(first, epochs):
        order = np.random.default_rng((seed, epoch)).permutation(len(fitting))
        for low in range(0, len(order), BATCH):
            batch = order[low : low + BATCH]
            optimizer.zero_grad(set_to_none=True)
            for i in batch:
                example = fitting[i]
                loss = loss_of(
                    _score(model, example), example.positives, example.negatives
                ) / len(batch)
                loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
        value, caught, random = _evaluate(model, validation)
        if value < best_loss:
            best_loss, best = value, {k: v.clone() for k, v in model.state_dict().items()}
        checkpoint.save(
            state, model, optimizer, epoch=epoch + 1, best=best, best_loss=best_loss
        )
        say(
            f"epoch {epoch + 1}/{epochs}  loss {value:.4f} (best {best_loss:.4f})  "
            f"recall {_told(caught)} random {random:.2f}"
        )
    return best


def _told(caught: Mapping[str, float]) -> str:
    return " ".join(f"{family} {share:.2f}" for family, share in caught.items())


def _score(model: NeighbourhoodPolicy, example: Example) -> Tensor:
    found: Tensor = model(example.variables, example.rows, example.edges, example.index)
    return found


def _evaluate(
    model: NeighbourhoodPolicy, examples: list[Example]
) -> tuple[float, dict[str, float], float]:
    losses: dict[str, list[float]] = {}
    caught: dict[str, list[float]] = {}
    random: list[float] = []
    with torch.no_grad():
        for example in examples:
            logits = _score(model, example)
            losses.setdefault(example.family, []).append(
                float(loss_of(logits, example.positives, example.negatives))
            )
            caught.setdefault(example.family, []).append(recall(logits, example.positives))
            random.append(min(1.0, 2 * float(example.positives[0].mean())))
    mean = {family: float(np.mean(values)) for family, values in caught.items()}
    return (
        float(np.mean([np.mean(values) for values in losses.values()])),
        mean,
        float(np.mean(random)),
    )
