"""Train and compare encoders (GEAN, GRMP, Autophase MLP) and losses (NVP, BC, Q regression).

    python -m workers.train compile paper-learn      # train, stop early on val, report on heldout
    python -m workers.train compile paper-publish    # coreset, and the best GEAN-NVP on val

GRMP is the gated relational message passing of Xu et al., EurNet (2022).
"""

from __future__ import annotations

import copy
import datetime
import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from torch import Tensor, nn

from cost_models.weights.publish import publish, publish_file, withdraw
from gnn.policies.program import (
    AutophaseMlp,
    GeanProgram,
    GrmpProgram,
    ProgramBatch,
)
from gnn.policies.weights import arrays
from search.domains.compile.search.paper import (
    PASSES,
    POLICY,
    SEQUENCES,
    digest,
    graph_arrays,
)
from solvers.llvm.features import AUTOPHASE_NAMES, Features
from solvers.llvm.graph import ProgramGraph
from solvers.llvm.install import find_llvm
from solvers.llvm.vocabulary import TOKENS, Flow
from workers.train.compile.losses import bc_loss, nvp_loss, q_loss
from workers.train.compile.paper.discover import engine_of, measured, sequences
from workers.train.compile.paper.rollout import (
    Table,
    coreset,
    mean_over_oz,
    means_over_oz,
    rolled_out,
)

SIZE = 50  # sequences of the coreset, as in the paper
RELATIONS = 12  # of GRMP: six classes of edges, both ways
_BATCH = 8
_TOTAL = AUTOPHASE_NAMES.index("TotalInsts")
NETS = "paper-nets"  # beside the corpus: a folder for each coreset
# Whole programs, of which a good sequence may leave a tenth: reported apart from packages.
PROGRAM_SETS = ("generated", "csmith")
Program = tuple[ProgramBatch, Tensor]  # with its reward row (1, K)
Results = dict[str, NDArray[np.float64]]  # method → (N,) IR counts


@dataclass(frozen=True, kw_only=True)
class Run:
    """One encoder with one loss; validation packages choose among temperatures."""

    name: str
    encoder: str  # gean, grmp, autophase
    loss: str  # nvp, bc, q
    temperature: float = 0.002
    rate: float = 2e-3
    epochs: int = 20


TEMPERATURES = (0.002, 0.005, 0.01, 0.02, 0.05)
RUNS: tuple[Run, ...] = (
    *(
        Run(
            name=f"Autophase-NVP T={t}",
            encoder="autophase",
            loss="nvp",
            temperature=t,
            epochs=150,
        )
        for t in TEMPERATURES
    ),
    Run(name="Autophase-BC", encoder="autophase", loss="bc", epochs=150),
    Run(name="Autophase-Q", encoder="autophase", loss="q", epochs=150),
    *(
        Run(name=f"GEAN-NVP T={t}", encoder="gean", loss="nvp", temperature=t)
        for t in (0.002, 0.01)
    ),
    Run(name="GEAN-BC", encoder="gean", loss="bc"),
    Run(name="GEAN-Q", encoder="gean", loss="q"),
    *(
        Run(name=f"GRMP-NVP T={t}", encoder="grmp", loss="nvp", temperature=t)
        for t in (0.002, 0.01)
    ),
    Run(name="GRMP-BC", encoder="grmp", loss="bc"),
    Run(name="GRMP-Q", encoder="grmp", loss="q"),
)


def batch_of(graph: ProgramGraph, features: Features) -> ProgramBatch:
    """Return one program as tensors: compact graph, Autophase over the instruction count."""
    read = {
        name: torch.from_numpy(array) for name, array in vars(graph_arrays(graph)).items()
    }
    flow, position = read["flow"], read["position"]
    relation = torch.where(
        flow == Flow.CONTROL,
        position.clamp(max=1),  # the first successor, or another
        torch.where(
            flow == Flow.DATA, 2 + position.clamp(max=2), torch.full_like(flow, 5)
        ),
    )
    count = max(1, int(features.autophase[_TOTAL]))
    return ProgramBatch(
        features=torch.from_numpy(features.autophase / count).float()[None],
        **read,
        relation=relation,
        graph=torch.zeros(len(read["token"]), dtype=torch.long),
        edge_graph=torch.zeros(len(flow), dtype=torch.long),
    )


def net_of(run: Run, outputs: int) -> nn.Module:
    """Build a small network; GEAN and GRMP have about as many parameters.

    The paper's sizes take 12 s for one step on one program of 5,000 nodes on one core
    (deploy/docs/design/compile.md, "Paper mode").
    """
    words = len(TOKENS)
    match run.encoder:
        case "gean":
            return GeanProgram(words, outputs, width=32, edge_width=8, heads=4, layers=4)
        case "grmp":
            return GrmpProgram(
                words, outputs, relations=RELATIONS, width=32, layers=4, expansion=2
            )
        case _:
            return AutophaseMlp(len(AUTOPHASE_NAMES), outputs)


def fit(
    run: Run,
    train: Sequence[Program],
    val: Sequence[Program],
    seed: int,
    say: Callable[[str], None],
) -> nn.Module:
    """Train a network and return it with the weights of the best validation loss."""
    torch.manual_seed(seed)
    net = net_of(run, train[0][1].shape[1])
    optimizer = torch.optim.AdamW(net.parameters(), lr=run.rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, run.epochs)
    best, least = copy.deepcopy(net.state_dict()), float("inf")
    for epoch in range(run.epochs):
        net.train()
        order = np.random.default_rng((seed, epoch)).permutation(len(train))
        for low in range(0, len(order), _BATCH):
            chosen = [train[i] for i in order[low : low + _BATCH]]
            optimizer.zero_grad(set_to_none=True)
            value = loss_of(run, net, chosen)
            value.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
        schedule.step()
        net.eval()
        with torch.no_grad():
            value = loss_of(run, net, val)
        if float(value) < least:
            best, least = copy.deepcopy(net.state_dict()), float(value)
    parameters = sum(parameter.numel() for parameter in net.parameters())
    say(f"{run.name}: {parameters:,} parameters, validation loss {least:.4f}")
    net.load_state_dict(best)
    net.eval()
    return net


def loss_of(run: Run, net: nn.Module, programs: Sequence[Program]) -> Tensor:
    """Return the loss of several programs in one batch."""
    logits = net(ProgramBatch.join([batch for batch, _ in programs]))
    reward = torch.cat([row for _, row in programs])
    match run.loss:
        case "nvp":
            return nvp_loss(logits, reward, run.temperature)
        case "bc":
            return bc_loss(logits, reward)
        case _:
            return q_loss(logits, reward)


def order_of(net: nn.Module, programs: Sequence[Program]) -> NDArray[np.int64]:
    """Return (N, K) sequences by falling score."""
    with torch.no_grad():
        scores = torch.cat([net(batch) for batch, _ in programs]).numpy()
    order: NDArray[np.int64] = np.argsort(-scores, axis=1, kind="stable")
    return order


def compare(
    folder: Path,
    *,
    out: Path,
    seed: int,
    say: Callable[[str], None],
    part: tuple[int, int] = (0, 1),
) -> None:
    """Report every run on the held-out programs, beside top-k and the oracle; a JSON line each.

    Networks are saved for `publish_paper`, and a second call only reports. part: (index, number) of
    the processes that share the runs.
    """
    measurements = measured(folder)
    columns = coreset(Table.of(measurements, "train"), SIZE)
    nets = _nets_folder(folder, _passes(folder, columns))
    tables = {
        split: Table.of(measurements, split, columns)
        for split in ("train", "val", "heldout")
    }
    test, k = tables["heldout"], len(columns)
    lengths = (max(len(row[j]) for row in tables["train"].counts) for j in range(k))
    counts = ", ".join(f"{split} {len(table.shas)}" for split, table in tables.items())
    say(f"{k} sequences of {sum(lengths)} passes in all; {counts}")
    data = {split: _with_rewards(folder, table) for split, table in tables.items()}
    on_validation: dict[str, float] = {}
    results = {
        "Oz": test.oz,
        f"Top-{PASSES}": rolled_out(test, _own_order(test, k), PASSES),
        "Oracle": test.best().min(axis=1),
    }
    for run in RUNS[part[0] :: part[1]]:
        began = time.monotonic()
        path = nets / f"{run.name}-{seed}.safetensors"
        net = (
            _loaded(run, path, k)
            if path.is_file()
            else fit(run, data["train"], data["val"], seed, say)
        )
        save_file(arrays(net), path)
        # The pooled mean on validation packages chooses among temperatures.
        val = rolled_out(tables["val"], order_of(net, data["val"]), PASSES)
        on_validation[run.name] = mean_over_oz(tables["val"], val)[1]
        results[run.name] = rolled_out(test, order_of(net, data["heldout"]), PASSES)
        seconds = time.monotonic() - began
        say(
            f"  {_summary(run.name, test, results)}  validation {on_validation[run.name]:.2%}, "
            f"{seconds:.0f} s"
        )
    with out.open("a") as file:
        for name in results:
            row = _as_json(name, test, results) | {
                "seed": seed,
                "sequences": k,
                "on_validation": on_validation.get(name),
            }
            file.write(json.dumps(row) + "\n")
    for name in results:
        say(_summary(name, test, results))


def _as_json(name: str, test: Table, results: Results) -> dict[str, Any]:
    """Return a method's results on the held-out programs as JSON."""
    sets, pooled, ratio = mean_over_oz(test, results[name])
    of_sets = means_over_oz(test, results[name])
    packages = [mean for package, mean in of_sets.items() if package not in PROGRAM_SETS]
    return {
        "suite": "compile-paper",
        "method": name,
        "mean_of_sets": sets,
        "pooled": pooled,
        "mean_of_packages": float(np.mean(packages)) if packages else None,
        "sets": of_sets,
        "gmean_over_oz": ratio,
        "share": _closed_gap(results, name),
        "programs": len(results[name]),
    }


def publish_paper(
    folder: Path, *, out: Path, seed: int, say: Callable[[str], None]
) -> None:
    """Publish the coreset of sequences, and a network of `compare` if it is worth using.

    The GEAN-NVP that is best on validation packages, if it beats the coreset's own order there.
    Raises FileNotFoundError when `compare` has not run.
    """
    measurements = measured(folder)
    training = Table.of(measurements, "train")
    columns = coreset(training, SIZE)
    passes = _passes(folder, columns)
    val = Table.of(measurements, "val", columns)
    own_order = _pooled(val, _own_order(val, len(columns)))
    best = _best_gean(folder, passes, val, seed, say)
    say(f"the coreset's own order: {own_order:.2%} on validation packages")
    command = "python -m workers.train compile paper-publish"
    data = hashlib.sha256("".join(sorted(training.shas)).encode()).hexdigest()
    document = {
        "llvm": find_llvm().build_id,
        "date": datetime.date.today().isoformat(),
        "programs": dict(sorted(Counter(training.packages).items())),
        "sequences": passes,
    }
    publish_file(
        f"{SEQUENCES}.json",
        json.dumps(document, indent=0).encode(),
        folder=out,
        command=command,
        data=data,
        metric=f"{len(passes)} sequences; {PASSES} passes in their own order save "
        f"{own_order:.2%} of -Oz's IR instructions on validation packages",
    )
    if best.saved <= own_order:
        withdraw(POLICY, folder=out)
        say("no network beats the coreset's own order: none is published")
        return
    publish(
        POLICY,
        load_file(best.path)
        | {"sequences": np.frombuffer(digest(passes), dtype=np.uint8)},
        folder=out,
        command=command,
        data=data,
        metric=f"{best.path.stem}: {best.saved:.2%} on validation packages, own order "
        f"{own_order:.2%}",
    )


@dataclass(frozen=True, kw_only=True)
class _SavedNet:
    path: Path
    saved: float  # on validation packages


def _best_gean(
    folder: Path,
    passes: Sequence[Sequence[str]],
    val: Table,
    seed: int,
    say: Callable[[str], None],
) -> _SavedNet:
    """Find the saved GEAN-NVP that is best on validation packages. Raises FileNotFoundError."""
    programs, nets = _with_rewards(folder, val), _nets_folder(folder, passes)
    run = Run(name="", encoder="gean", loss="nvp")
    best: _SavedNet | None = None
    for path in sorted(nets.glob(f"GEAN-NVP*-{seed}.safetensors")):
        net = _loaded(run, path, len(passes))
        saved = _pooled(val, order_of(net, programs))
        say(f"{path.stem}: {saved:.2%} on validation packages")
        if best is None or saved > best.saved:
            best = _SavedNet(path=path, saved=saved)
    if best is None:
        raise FileNotFoundError(
            f"no GEAN-NVP of seed {seed} in {nets}: run the step paper-learn first"
        )
    return best


def _pooled(table: Table, order: NDArray[np.int64]) -> float:
    """Pooled mean share saved against -Oz within the budget of passes."""
    return mean_over_oz(table, rolled_out(table, order, PASSES))[1]


def _own_order(table: Table, k: int) -> NDArray[np.int64]:
    """(N, K) greedy order of the coreset, for every program."""
    return np.tile(np.arange(k), (len(table.shas), 1))


def _passes(folder: Path, columns: Sequence[int]) -> list[list[str]]:
    every = sequences(folder)
    return [every[j] for j in columns]


def _nets_folder(folder: Path, passes: Sequence[Sequence[str]]) -> Path:
    """Folder of the networks for a coreset; created if it is missing."""
    place = folder / NETS / digest(passes).hex()[:12]
    place.mkdir(parents=True, exist_ok=True)
    return place


def _loaded(run: Run, path: Path, outputs: int) -> nn.Module:
    net = net_of(run, outputs)
    net.load_state_dict(
        {name: torch.from_numpy(array) for name, array in load_file(path).items()}
    )
    return net.eval()


def _closed_gap(results: Results, name: str) -> float:
    """Return the fraction of the gap between own order and oracle that a method closes.

    0: the coreset's own order; 1: the oracle. The paper's own ratio (4.5 % over 5.8 %) is
    meaningless where the oracle itself is larger than -Oz.
    """
    own_order, oracle = (
        np.log(results[key]).mean() for key in (f"Top-{PASSES}", "Oracle")
    )
    return float(
        (own_order - np.log(results[name]).mean()) / max(1e-12, own_order - oracle)
    )


def _summary(name: str, test: Table, results: Results) -> str:
    sets, pooled, ratio = mean_over_oz(test, results[name])
    return (
        f"{name:15s} mean of sets {sets:7.2%}  pooled {pooled:7.2%}  gmean {ratio:.3f}  "
        f"closed {_closed_gap(results, name):6.1%}"
    )


def _with_rewards(folder: Path, table: Table) -> list[Program]:
    reward = torch.from_numpy(table.reward()).float()
    programs = []
    for sha, row in zip(table.shas, reward, strict=True):
        with engine_of(folder, {"sha": sha}) as engine:
            batch = batch_of(engine.graph().compact(), engine.features())
        programs.append((batch, row[None]))
    return programs
