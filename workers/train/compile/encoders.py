"""Compare encoders and losses for product mode, by cross-validation over packages.

    python -m workers.train compile encoders          # one JSON line for each trial, and a table

An Autophase perceptron, GEAN and GRMP with about as many parameters see the same programs in
the same folds. GRMP is the gated relational message passing of Xu et al., EurNet (2022).
Reported is what a user gets: the best of the first N pipelines in the learned order, or -Oz.
Graphs are compact; programs with more than `MOST_NODES` nodes are left out for all networks
alike, so that a fold takes minutes. The published network is trained by `policy.py`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gnn.policies.program import AutophaseMlp, GeanProgram, GrmpProgram, ProgramBatch
from solvers.llvm.engine import Engine
from solvers.llvm.features import AUTOPHASE_NAMES, Features
from solvers.llvm.graph import ProgramGraph
from solvers.llvm.types import Metric
from solvers.llvm.vocabulary import TOKENS
from workers.train.compile.losses import bc_loss, nvp_loss, q_loss
from workers.train.compile.mine import package_weights
from workers.train.compile.paper.learn import RELATIONS, batch_of
from workers.train.compile.policy import Data, best_of_first, folds, load

MOST_NODES = 1500  # of a compact graph
FOLDS = 3
COUNTS = (1, 3, 10)
_BATCH = 8


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One encoder with one loss; epochs differ because those of the perceptron are cheap."""

    encoder: str  # autophase, gean, or a word of gnn.layers.encoders.Encoder
    loss: str  # nvp, bc, q
    temperature: float = 0.005  # of nvp
    rate: float = 2e-3
    epochs: int = 15


TRIALS: tuple[Trial, ...] = tuple(
    Trial(encoder=encoder, loss=loss, epochs=150 if encoder == "autophase" else 15)
    for encoder in ("autophase", "gean", "grmp")
    for loss in ("nvp", "bc", "q")
)


# Widths at which a net has 54,000 to 58,000 parameters for 24 pipelines.
_WIDTHS = MappingProxyType({"grmp": 36, "rgcn": 26, "gat": 42, "gine": 38})


ENCODERS = ("autophase", "gean", "paper", *_WIDTHS)
"""Words of the option `encoder`; `paper` is GEAN (Liang et al., ICML 2023)."""


def net_of(encoder: str, outputs: int) -> nn.Module:
    """Build a network; each has 54,000 to 58,000 parameters for 24 pipelines.

    Raises ValueError on other encoders.
    """
    match encoder:
        case "gean" | "paper":
            return GeanProgram(
                len(TOKENS), outputs, width=32, edge_width=8, heads=4, layers=4
            )
        case "autophase":
            return AutophaseMlp(len(AUTOPHASE_NAMES), outputs, width=200)
    if encoder not in _WIDTHS:
        words = ", ".join(ENCODERS)
        raise ValueError(f"encoder: expected one of {words}, got {encoder!r}")
    return GrmpProgram(
        len(TOKENS),
        outputs,
        relations=RELATIONS,
        width=_WIDTHS[encoder],
        layers=4,
        expansion=2,
        encoder=encoder,
    )


def learned(
    trial: Trial,
    programs: Sequence[ProgramBatch],
    reward: Tensor,
    weight: Tensor,
    seed: int,
) -> nn.Module:
    """Train a network. Shapes: reward (N, K); weight (N,), how often a program is drawn."""
    torch.manual_seed(seed)
    net = net_of(trial.encoder, reward.shape[1])
    optimizer = torch.optim.AdamW(net.parameters(), lr=trial.rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, trial.epochs)
    for _ in range(trial.epochs):
        drawn = torch.multinomial(weight, len(programs), replacement=True)
        for chosen in drawn.split(_BATCH):
            optimizer.zero_grad(set_to_none=True)
            logits = net(ProgramBatch.join([programs[i] for i in chosen.tolist()]))
            _loss(trial, logits, reward[chosen]).backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
        schedule.step()
    return net.eval()


def _loss(trial: Trial, logits: Tensor, reward: Tensor) -> Tensor:
    match trial.loss:
        case "nvp":
            return nvp_loss(logits, reward, trial.temperature)
        case "bc":
            return bc_loss(logits, reward)
        case _:
            return q_loss(logits, reward)


def left_out(
    trial: Trial, data: Data, programs: Sequence[ProgramBatch], seed: int
) -> NDArray[np.float64]:
    """Return (N, K) scores of every program by a network that saw nothing of its package."""
    reward = torch.from_numpy(data.saved).float()
    weight = torch.from_numpy(package_weights(data.packages) ** 0.5)
    scores = np.zeros_like(data.saved)
    fold_of = folds(data.packages, FOLDS)
    for fold in range(FOLDS):
        seen = np.flatnonzero(fold_of != fold).tolist()
        out = np.flatnonzero(fold_of == fold).tolist()
        net = learned(
            trial, [programs[i] for i in seen], reward[seen], weight[seen], seed
        )
        with torch.no_grad():
            scores[out] = torch.cat([net(programs[i]) for i in out]).numpy()
    return scores


def compare(
    folder: Path,
    *,
    metric: Metric,
    out: Path,
    seed: int,
    say: Callable[[str], None],
    encoders: Sequence[str] = (),
) -> None:
    """Run every trial and append a JSON line for each; trials that `out` has are skipped.

    encoders: words of `ENCODERS` to train, with each loss; empty: those of `TRIALS`.
    """
    data, programs = _programs(folder, load(folder, metric, say))
    pipelines, packages = data.saved.shape[1], len(set(data.packages))
    weights = package_weights(data.packages)
    oracle = float(weights @ np.maximum(0.0, data.saved.max(axis=1)))
    own_order = -np.tile(np.arange(pipelines, dtype=float), (len(data.saved), 1))
    say(f"{len(programs)} programs of {packages} packages, {pipelines} pipelines")
    done = _done(out, metric)
    for trial in (
        replace(TRIALS[0], encoder="none", loss="none"),
        *trials_of(encoders),
    ):
        if (trial.encoder, trial.loss, seed) in done:
            continue
        began = time.process_time()
        parameters = 0
        if trial.encoder == "none":
            scores = own_order
        else:
            scores = left_out(trial, data, programs, seed)
            net = net_of(trial.encoder, pipelines)
            parameters = sum(parameter.numel() for parameter in net.parameters())
        saved = {n: float(weights @ best_of_first(scores, data.saved, n)) for n in COUNTS}
        line = {
            "suite": "compile-encoders",
            "metric": metric.value,
            **asdict(trial),
            "seed": seed,
            "folds": FOLDS,
            "programs": len(programs),
            "packages": packages,
            "parameters": parameters,
            "saved": saved,
            "oracle": oracle,
            "cpu_s": round(time.process_time() - began, 1),
        }
        with out.open("a") as file:
            file.write(json.dumps(line) + "\n")
        shares = "  ".join(
            f"best of {n}: {value:.2%} ({value / oracle:.0%})"
            for n, value in saved.items()
        )
        say(f"{trial.encoder:10s} {trial.loss:5s} {parameters:7,} parameters  {shares}")


def trials_of(encoders: Sequence[str]) -> tuple[Trial, ...]:
    """Return the trials of some encoders; those of `TRIALS` when none is named."""
    if not encoders:
        return TRIALS
    epochs = {"autophase": TRIALS[0].epochs}
    return tuple(
        Trial(encoder=encoder, loss=loss, epochs=epochs.get(encoder, TRIALS[-1].epochs))
        for encoder in encoders
        for loss in ("nvp", "bc", "q")
    )


def _done(out: Path, metric: Metric) -> set[tuple[str, str, int]]:
    """(encoder, loss, seed) of the trials that a file of results has."""
    lines = out.read_text().splitlines() if out.is_file() else []
    return {
        (row["encoder"], row["loss"], row["seed"])
        for row in map(json.loads, lines)
        if row["metric"] == metric.value
    }


def _programs(folder: Path, data: Data) -> tuple[Data, list[ProgramBatch]]:
    """Programs whose graphs are small enough, with their part of the data."""
    small, programs = np.zeros(len(data.shas), dtype=bool), []
    for place, sha in enumerate(data.shas):
        graph, features = _described(folder, sha)
        if len(graph.nodes) <= MOST_NODES:
            small[place] = True
            programs.append(batch_of(graph, features))
    return data.part(small), programs


def _described(folder: Path, sha: str) -> tuple[ProgramGraph, Features]:
    """Compact graph and features of a program, cached beside the corpus."""
    place = folder / "graphs" / f"{sha[:16]}.npz"
    if not place.is_file():
        place.parent.mkdir(exist_ok=True)
        with Engine((folder / "modules" / f"{sha[:16]}.bc").read_bytes()) as engine:
            graph, features = engine.graph().compact(), engine.features()
        np.savez_compressed(
            place,
            nodes=graph.nodes,
            edges=graph.edges,
            autophase=features.autophase,
            inst_count=features.inst_count,
        )
    with np.load(place) as file:
        graph = ProgramGraph(nodes=file["nodes"], edges=file["edges"])
        return graph, Features(autophase=file["autophase"], inst_count=file["inst_count"])
