"""Label-efficiency curves: error against the share of labels, by four ways to get an encoder.

Arms: trained from scratch on the labels; a frozen random encoder; one pre-trained on an analytic
proxy that costs no label (the cavity model of an antenna, static counts of a program); and one
pre-trained without any target (VICReg on views). The last three are read by a ridge probe. Groups
of a task are never split, a seed draws split, weights and labels for all arms, and errors are
shares of the error of the mean target.

Rule, fixed in advance (deploy/docs/design/pretraining.md, "Cards"): self-supervision becomes a
domain's default only if it reaches the scratch model's error with half of the labels, or cuts it by
10 % at the two smallest budgets (paired t-test over the seeds, p < 0.05), and beats the proxy. A
run decides nothing where no arm is below 95 % of the error of the mean target with all labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import ttest_rel
from torch import Tensor, nn

from gnn.pretrain.diagnostics import collapse
from gnn.pretrain.loop import PretrainParams, pretrain
from gnn.pretrain.objectives import JointEmbedding, Loss, TwoViews, objective_of
from workers.bench.encoders.domains import loss
from workers.bench.encoders.graphs import (
    Batch,
    Graph,
    Task,
    TaskNet,
    Training,
    joined,
    split,
    train,
)
from workers.bench.stats import mean_interval

Line = dict[str, Any]
Real = NDArray[np.float64]
SHARES = (0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
SCRATCH, RANDOM, PROXY, SELF = "scratch", "frozen random", "proxy", "self-supervised"
ARMS = (SCRATCH, RANDOM, PROXY, SELF)
_RIDGES = (1.0, 10.0, 100.0, 1000.0)
_BATCH = 24  # graphs of a step of pre-training
_CUT, _P = 0.1, 0.05
_LEARNED = 0.95  # of the mean target's error: above it an arm has learned nothing
ENCODER = "grmp"


@dataclass(frozen=True, kw_only=True, eq=False)
class Domain:
    """A task with what pre-training needs."""

    task: Task
    proxies: Real  # (graphs, P) analytic numbers of each graph
    view: Callable[[int, np.random.Generator], Graph]
    """(number of a graph, generator) → the same object, described differently."""


@dataclass(frozen=True, kw_only=True)
class CurveParams:
    """Sizes of a run."""

    width: int = 16
    pretrain_steps: int = 150
    steps: int = 150  # from scratch
    rate: float = 3e-3


class _Embedder(nn.Module):  # type: ignore[misc]
    """The part of a net that pre-training trains."""

    def __init__(self, net: TaskNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, batch: Batch) -> Tensor:
        """Return states of the graphs."""
        return self.net.embed(batch)


def run(
    domain: Domain,
    *,
    seeds: Sequence[int],
    params: CurveParams,
    earlier: Sequence[Line] = (),
) -> Iterator[Line]:
    """Yield a line for each seed that `earlier` has not, then the card."""
    task = domain.task
    lines = [line for line in earlier if line.get("task") == task.name]
    done = {line["run_seed"] for line in lines}
    for seed in seeds:
        if seed in done:
            continue
        line = _curves(domain, seed, params)
        lines.append(line)
        yield line
    chosen = [line for line in lines if line["run_seed"] in set(seeds)]
    yield {"task": task.name, "run_seed": "all", **card(chosen)}


def _curves(domain: Domain, seed: int, params: CurveParams) -> Line:
    """Errors of every arm and share of labels for one seed."""
    task = domain.task
    fit, out = split(task.groups, seed)
    order = np.random.default_rng((seed, 1)).permutation(fit)
    counts = [max(2, round(share * len(fit))) for share in SHARES]
    targets = np.stack([graph.target for graph in task.graphs]).astype(float)
    nets = {arm: _pretrained(arm, domain, fit, seed, params) for arm in ARMS[1:]}
    errors: dict[str, list[float]] = {SCRATCH: []}
    for count in counts:
        rows = [int(i) for i in order[:count]]
        errors[SCRATCH].append(_scratch(task, rows, out, seed, params, targets))
    alarms = {}
    for arm, (embeddings, alarm) in nets.items():
        alarms[arm] = alarm
        errors[arm] = [
            _probe(embeddings, targets, [int(i) for i in order[:count]], out)
            for count in counts
        ]
    return {
        "task": task.name,
        "run_seed": seed,
        "fit": len(fit),
        "held_out": len(out),
        "labels": counts,
        "shares": list(SHARES),
        "errors": {arm: [round(e, 4) for e in values] for arm, values in errors.items()},
        "alarms": alarms,
    }


def _net(task: Task, seed: int, width: int) -> TaskNet:
    torch.manual_seed(seed)
    return TaskNet(task, ENCODER, width)


def _scratch(
    task: Task,
    rows: Sequence[int],
    out: Sequence[int],
    seed: int,
    params: CurveParams,
    targets: Real,
) -> float:
    net = _net(task, seed, params.width)
    training = Training(steps=params.steps, rate=params.rate)
    train(net, task, rows, training, loss, np.random.default_rng(seed))
    with torch.no_grad():
        predicted = torch.cat([net(joined([task.graphs[i]])) for i in out]).numpy()
    return _relative(predicted, targets, rows, out)


def _relative(
    predicted: Real, targets: Real, rows: Sequence[int], out: Sequence[int]
) -> float:
    """Error over that of the mean target of the held-out graphs, which no arm knows."""
    truth = targets[list(out)]
    floor = float(((truth - truth.mean(axis=0)) ** 2).mean())
    return float(((predicted - truth) ** 2).mean()) / floor


def _pretrained(
    arm: str, domain: Domain, fit: Sequence[int], seed: int, params: CurveParams
) -> tuple[Real, list[str]]:
    """(embeddings of all graphs, collapse alarms) of an arm's frozen encoder."""
    task = domain.task
    net = _net(task, seed, params.width)
    if arm == PROXY:
        _train_proxy(net, domain, fit, seed, params)
    elif arm == SELF:
        _train_views(net, domain, fit, seed, params)
    net.eval()
    with torch.no_grad():
        embeddings = torch.cat([net.embed(joined([graph])) for graph in task.graphs])
    dimensions = min(4, task.outputs)
    alarms = list(collapse(embeddings, target_dimensions=dimensions).reasons)
    return embeddings.numpy().astype(float), alarms


def _train_proxy(
    net: TaskNet, domain: Domain, fit: Sequence[int], seed: int, params: CurveParams
) -> None:
    proxies = domain.proxies
    mean, std = proxies[list(fit)].mean(axis=0), proxies[list(fit)].std(axis=0)
    scaled = ((proxies - mean) / np.maximum(std, 1e-6)).clip(-5, 5).astype(np.float32)
    graphs = tuple(
        replace(graph, target=row)
        for graph, row in zip(domain.task.graphs, scaled, strict=True)
    )
    task = replace(domain.task, graphs=graphs, batch=_BATCH)
    inner = 2 * params.width
    # The encoder stays, the head is the proxy's own.
    head = net.head
    net.head = nn.Sequential(
        nn.Linear(inner, params.width),
        nn.ReLU(),
        nn.Linear(params.width, scaled.shape[1]),
    )
    training = Training(steps=params.pretrain_steps, rate=params.rate)
    train(net, task, fit, training, loss, np.random.default_rng(seed))
    net.head = head


def _train_views(
    net: TaskNet, domain: Domain, fit: Sequence[int], seed: int, params: CurveParams
) -> None:
    rng = np.random.default_rng((seed, 2))
    encoder = _Embedder(net)
    objective = objective_of(Loss.VICREG, encoder, 2 * params.width, domain.task.inputs)
    assert isinstance(objective, JointEmbedding)

    def draw(generator: torch.Generator) -> TwoViews:
        rows = rng.choice(fit, min(_BATCH, len(fit)), replace=False)
        first, second = (joined([domain.view(int(i), rng) for i in rows]) for _ in "ab")
        return TwoViews(first=(first,), second=(second,))

    pretrain(
        encoder,
        objective,
        draw,
        PretrainParams(steps=params.pretrain_steps, rate=params.rate),
        rng=torch.Generator().manual_seed(seed),
    )


def _probe(
    embeddings: Real, targets: Real, rows: Sequence[int], out: Sequence[int]
) -> float:
    """Relative error of a ridge probe; its strength by generalised cross-validation."""
    spread = embeddings.std(axis=0)
    x = (embeddings - embeddings.mean(axis=0)) / np.maximum(spread, 1e-6)
    a, y = x[list(rows)], targets[list(rows)]
    bias = y.mean(axis=0)
    best: tuple[float, Real] | None = None
    for strength in _RIDGES:
        gram = a @ a.T + strength * np.eye(len(a))
        inverse = np.linalg.inv(gram)
        # Left-out residuals of a ridge: inverse · y over its diagonal.
        residual = (inverse @ (y - bias)) / np.diag(inverse)[:, None]
        score = float((residual**2).mean())
        if best is None or score < best[0]:
            best = (score, a.T @ inverse @ (y - bias))
    assert best is not None
    return _relative(x[list(out)] @ best[1] + bias, targets, rows, out)


def card(lines: Sequence[Line]) -> Line:
    """Return mean curves with intervals, and the rule's verdict."""
    curves = {
        arm: np.array([line["errors"][arm] for line in lines]) for arm in ARMS
    }  # (seeds, shares)
    means = {
        arm: [
            [round(v, 4) for v in mean_interval([float(e) for e in column])]
            for column in values.T
        ]
        for arm, values in curves.items()
    }
    decided, reasons = verdict(curves)
    return {
        "seeds": len(lines),
        "shares": list(SHARES),
        "labels": lines[0]["labels"],
        "errors": means,
        "default": decided,
        "reasons": reasons,
    }


def verdict(curves: Mapping[str, Real]) -> tuple[str, list[str]]:
    """Apply the rule to (seeds, shares) errors of the arms: (default arm, reasons)."""
    scratch, own, proxy = curves[SCRATCH], curves[SELF], curves[PROXY]
    half = SHARES.index(0.5)
    reaches = bool(own[:, half].mean() <= scratch[:, -1].mean())
    cuts = []
    for place in (0, 1):
        less = 1 - own[:, place].mean() / scratch[:, place].mean()
        p = float(ttest_rel(own[:, place], scratch[:, place], alternative="less").pvalue)
        cuts.append(bool(less >= _CUT and p < _P))
    beats = bool(own.mean() < proxy.mean())
    learned = min(float(values[:, -1].mean()) for values in curves.values()) < _LEARNED
    helps = (reaches or all(cuts)) and beats and learned
    reasons = [
        *(() if learned else ("nothing is decided: no arm has learned the task",)),
        f"half of the labels reach the scratch error with all: {'yes' if reaches else 'no'} "
        f"({own[:, half].mean():.3f} against {scratch[:, -1].mean():.3f})",
        "at least 10 % lower at the two smallest budgets, p < 0.05: "
        + ("yes" if all(cuts) else "no"),
        f"beats the proxy on the mean over budgets: {'yes' if beats else 'no'} "
        f"({own.mean():.3f} against {proxy.mean():.3f})",
    ]
    return (SELF if helps else SCRATCH), reasons
