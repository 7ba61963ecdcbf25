"""Which net should read the program, and which loss teaches it best: packages left out in turn, in product mode.

    python -m workers.train compile encoders                  # a JSON line each, and a table

Autophase's perceptron, GEAN and GRMP of about as many parameters see the same programs in the same folds. What is reported is
what a user gets: the best of the first N pipelines in the learned order, or -Oz. Graphs are compact ones; programs with more
than `MOST_NODES` nodes are left out, for all nets alike, so that a fold takes minutes. What ships is `policy.py`'s.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

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
    """One net, one loss. Epochs differ because the perceptron's cost nothing."""

    encoder: str  # autophase, gean, grmp
    loss: str  # nvp, bc, q
    temperature: float = 0.005  # of nvp
    rate: float = 2e-3
    epochs: int = 15


TRIALS: tuple[Trial, ...] = tuple(
    Trial(encoder=encoder, loss=loss, epochs=150 if encoder == "autophase" else 15)
    for encoder in ("autophase", "gean", "grmp")
    for loss in ("nvp", "bc", "q")
)


def net_of(encoder: str, outputs: int) -> nn.Module:
    """56,000 to 58,000 parameters each for 24 pipelines."""
    match encoder:
        case "gean":
            return GeanProgram(
                len(TOKENS), outputs, width=32, edge_width=8, heads=4, layers=4
            )
        case "grmp":
            return GrmpProgram(
                len(TOKENS), outputs, relations=RELATIONS, width=36, layers=4, expansion=2
            )
        case "autophase":
            return AutophaseMlp(len(AUTOPHASE_NAMES), outputs, width=200)
    raise ValueError(f"encoder {encoder!r} came; wanted autophase, gean or grmp")


def learned(
    trial: Trial,
    programs: Sequence[ProgramBatch],
    reward: Tensor,
    weight: Tensor,
    seed: int,
) -> nn.Module:
    """The net after its epochs. Shapes: reward (N, K), weight (N,) how often a program is drawn."""
    torch.manual_seed(seed)
    net = net_of(trial.encoder, reward.shape[1])
    optimizer = torch.optim.AdamW(net.parameters(), lr=trial.rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, trial.epochs)
    for _ in range(trial.epochs):
        for chosen in torch.multinomial(weight, len(programs), replacement=True).split(
            _BATCH
        ):
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
    """(N, K) scores of every program by a net that saw nothing of its package."""
    reward = torch.from_numpy(data.saved).float()
    weight = torch.from_numpy(package_weights(data.packages) ** 0.5)
    scores = np.zeros_like(data.saved)
    which = folds(data.packages, FOLDS)
    for fold in range(FOLDS):
        kept, out = (
            np.flatnonzero(which != fold).tolist(),
            np.flatnonzero(which == fold).tolist(),
        )
        net = learned(trial, [programs[i] for i in kept], reward[kept], weight[kept], seed)
        with torch.no_grad():
            scores[out] = torch.cat([net(programs[i]) for i in out]).numpy()
    return scores


def compare(
    folder: Path, *, metric: Metric, out: Path, seed: int, say: Callable[[str], None]
) -> None:
    """Every trial, a JSON line each as soon as it is done; trials that `out` has are not done again."""
    data, programs = _programs(folder, load(folder, metric, say))
    weights = package_weights(data.packages)
    oracle = float(weights @ np.maximum(0.0, data.saved.max(axis=1)))
    own = -np.tile(np.arange(data.saved.shape[1], dtype=float), (len(data.saved), 1))
    say(
        f"{len(programs)} programs of {len(set(data.packages))} packages, {data.saved.shape[1]} pipelines"
    )
    known = (
        [json.loads(line) for line in out.read_text().splitlines()] if out.is_file() else []
    )
    done = {
        (line["encoder"], line["loss"], line["seed"])
        for line in known
        if line["metric"] == metric.value
    }
    for trial in (replace(TRIALS[0], encoder="none", loss="none"), *TRIALS):
        if (trial.encoder, trial.loss, seed) in done:
            continue
        began = time.process_time()
        scores = own if trial.encoder == "none" else left_out(trial, data, programs, seed)
        saved = {n: float(weights @ best_of_first(scores, data.saved, n)) for n in COUNTS}
        parameters = 0
        if trial.encoder != "none":
            parameters = sum(
                p.numel() for p in net_of(trial.encoder, data.saved.shape[1]).parameters()
            )
        line = {
            "suite": "compile-encoders",
            "metric": metric.value,
            **asdict(trial),
            "seed": seed,
            "folds": FOLDS,
        }
        line |= {
            "programs": len(programs),
            "packages": len(set(data.packages)),
            "parameters": parameters,
        }
        line |= {
            "saved": saved,
            "oracle": oracle,
            "cpu_s": round(time.process_time() - began, 1),
        }
        with out.open("a") as file:
            file.write(json.dumps(line) + "\n")
        shares = "  ".join(
            f"best of {n}: {value:.2%} ({value / oracle:.0%})" for n, value in saved.items()
        )
        say(f"{trial.encoder:10s} {trial.loss:5s} {parameters:7,} parameters  {shares}")


def _programs(folder: Path, data: Data) -> tuple[Data, list[ProgramBatch]]:
    """Those whose graphs are small enough."""
    kept, programs = np.zeros(len(data.shas), dtype=bool), []
    for place, sha in enumerate(data.shas):
        graph, features = _described(folder, sha)
        if len(graph.nodes) <= MOST_NODES:
            kept[place] = True
            programs.append(batch_of(graph, features))
    return data.part(kept), programs


def _described(folder: Path, sha: str) -> tuple[ProgramGraph, Features]:
    """Compact graph and counts, kept beside the corpus."""
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
    with np.load(place) as kept:
        graph = ProgramGraph(nodes=kept["nodes"], edges=kept["edges"])
        return graph, Features(autophase=kept["autophase"], inst_count=kept["inst_count"])
