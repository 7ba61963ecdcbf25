"""Train the network that orders the coreset, with cross-validation over packages.

    python -m workers.train compile policy              # compare losses, publish the best
    python -m workers.train compile policy --metric ir_instructions

A program's reward row is the share that each pipeline saves against -Oz (negative where
larger). Reported is what a user gets: the best of the first N pipelines in the learned order,
or -Oz when none of them is smaller.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cost_models.compile.pipeline_order import PARTS, PipelineScorer
from cost_models.weights.publish import publish, withdraw
from search.domains.compile.search.coreset import LISTS, load_coreset
from search.domains.compile.search.policy import describe, weights_name
from solvers.llvm.engine import Engine
from solvers.llvm.types import Metric, Recipe
from workers.train.compile.losses import bc_loss, expected_reward_loss, nvp_loss, q_loss
from workers.train.compile.matrix import reward
from workers.train.compile.mine import package_weights

Floats = NDArray[np.float64]
FOLDS = 6
_LEAST_STD = 1e-3  # of a feature that is almost constant
_CLIP = 4.0  # standard deviations, as in the numpy network
_COUNTS = (1, 3, 10)  # pipelines of which the best is reported


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Loss and hyper-parameters of one network."""

    loss: str = "nvp"  # nvp, bc, q, reward
    temperature: float = 0.005  # of nvp
    width: int = 64
    members: int = 8  # of the ensemble
    epochs: int = 200
    rate: float = 2e-3
    decay: float = 3e-2
    dropout: float = 0.3
    noise: float = 0.1  # of standardised features, while training


# The coreset's own order, for every program.
OWN_ORDER = Setting(loss="none", members=1, width=1)
SETTINGS: tuple[Setting, ...] = (
    Setting(loss="nvp", temperature=0.002),
    Setting(loss="nvp", temperature=0.005),
    Setting(loss="nvp", temperature=0.01),
    Setting(loss="nvp", temperature=0.02),
    Setting(loss="bc"),
    Setting(loss="q"),
    Setting(loss="reward", width=32),
    Setting(loss="reward", width=64, epochs=400, dropout=0.5),
)


class Member(nn.Module):
    """One perceptron of the ensemble. Shapes: (B, F) → (B, K)."""

    def __init__(self, features: int, outputs: int, setting: Setting) -> None:
        super().__init__()
        self.first, self.out = (
            nn.Linear(features, setting.width),
            nn.Linear(setting.width, outputs),
        )
        self.dropout = nn.Dropout(setting.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self.out(self.dropout(torch.relu(self.first(x))))
        return logits


@dataclass(frozen=True, kw_only=True, eq=False)
class Data:
    """Programs with their features and the share that each pipeline of the coreset saves."""

    features: Floats  # (N, F)
    saved: Floats  # (N, K)
    packages: list[str]
    shas: list[str]
    digest: str

    def part(self, rows: NDArray[np.bool_]) -> Data:
        """Return the data of the programs whose row is True."""
        return replace(
            self,
            features=self.features[rows],
            saved=self.saved[rows],
            packages=list(compress(self.packages, rows)),
            shas=list(compress(self.shas, rows)),
        )


def load(folder: Path, metric: Metric, say: Callable[[str], None]) -> Data:
    """Load training and validation programs with every pipeline of the coreset measured."""
    measured = reward(folder, splits=("train", "val"), metric=LISTS[metric])
    columns = [
        measured.digests.index(candidate.digest) for candidate in load_coreset(metric)
    ]
    content = json.dumps([measured.shas, measured.digests]).encode()
    return Data(
        features=describe_all(folder, measured.shas, say),
        saved=measured.saved[:, columns],
        packages=measured.packages,
        shas=measured.shas,
        digest=hashlib.sha256(content + measured.saved.tobytes()).hexdigest(),
    )


def describe_all(folder: Path, shas: Sequence[str], say: Callable[[str], None]) -> Floats:
    """Return (N, F) features of programs, cached beside the corpus."""
    cache = folder / "described.jsonl"
    lines = cache.read_text().splitlines() if cache.is_file() else []
    rows = (json.loads(line) for line in lines)
    features: dict[str, list[float]] = {row["sha"]: row["features"] for row in rows}
    for number, sha in enumerate(shas):
        if sha in features:
            continue
        with Engine((folder / "modules" / f"{sha[:16]}.bc").read_bytes()) as engine:
            (oz,) = engine.measure([Recipe(pipeline=engine.default_pipelines()["Oz"])])
            assert oz.sizes is not None  # it is in the matrix
            features[sha] = describe(engine.features(), oz.sizes).tolist()
        with cache.open("a") as out:
            out.write(json.dumps({"sha": sha, "features": features[sha]}) + "\n")
        if number % 50 == 0:
            say(f"{number + 1} of {len(shas)} described")
    return np.array([features[sha] for sha in shas])


def fit(data: Data, setting: Setting, seed: int) -> dict[str, np.ndarray]:
    """Train an ensemble; returns the arrays of `PipelineScorer` without `candidates`."""
    if setting == OWN_ORDER:
        return _own_order(data)
    mean, std = (
        data.features.mean(axis=0),
        np.maximum(_LEAST_STD, data.features.std(axis=0)),
    )
    x = torch.from_numpy(np.clip((data.features - mean) / std, -_CLIP, _CLIP)).float()
    y = torch.from_numpy(data.saved).float()
    # Between equal weights for programs and equal weights for packages.
    weight = torch.from_numpy(package_weights(data.packages) ** 0.5)
    members = []
    for number in range(setting.members):
        torch.manual_seed(1000 * seed + number)
        net = Member(x.shape[1], y.shape[1], setting)
        optimizer = torch.optim.AdamW(
            net.parameters(), lr=setting.rate, weight_decay=setting.decay
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, setting.epochs)
        for _ in range(setting.epochs):
            chosen = torch.multinomial(weight, len(x), replacement=True)
            noisy = x[chosen] + setting.noise * torch.randn(len(chosen), x.shape[1])
            optimizer.zero_grad(set_to_none=True)
            _loss(net(noisy), y[chosen], setting).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        members.append(
            {name: tensor.detach().numpy() for name, tensor in net.state_dict().items()}
        )
    stacked = {
        name: np.stack([member[name] for member in members]).astype(np.float32)
        for name in members[0]
    }
    return stacked | {
        "feature.mean": mean.astype(np.float32),
        "feature.std": std.astype(np.float32),
    }


def _own_order(data: Data) -> dict[str, np.ndarray]:
    """Arrays of a network that ignores its input."""
    features, outputs = data.features.shape[1], data.saved.shape[1]
    return {
        "feature.mean": np.zeros(features, dtype=np.float32),
        "feature.std": np.ones(features, dtype=np.float32),
        "first.weight": np.zeros((1, 1, features), dtype=np.float32),
        "first.bias": np.zeros((1, 1), dtype=np.float32),
        "out.weight": np.zeros((1, outputs, 1), dtype=np.float32),
        "out.bias": -np.arange(outputs, dtype=np.float32)[None],
    }


def scored(arrays: Mapping[str, np.ndarray], features: Floats) -> Floats:
    """Return the (N, K) mean logits of the numpy network."""
    outputs = arrays["out.bias"].shape[1]
    named = np.array(
        [list(number.to_bytes(32, "big")) for number in range(outputs)], dtype=np.uint8
    )
    scorer = PipelineScorer({**arrays, "candidates": named})
    return np.array([list(scorer.scores(row).values()) for row in features])


def best_of_first(scores: Floats, saved: Floats, count: int) -> Floats:
    """Return (N,) shares saved by the best of the `count` pipelines with the highest scores.

    0, for -Oz itself, when none of them is smaller.
    """
    order = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    return np.maximum(0.0, np.take_along_axis(saved, order, axis=1).max(axis=1))


def folds(packages: Sequence[str], count: int) -> NDArray[np.int64]:
    """Return (N,) the fold of each program, which is that of its package."""
    names = np.random.default_rng(7).permutation(sorted(set(packages))).tolist()
    fold = {name: place % count for place, name in enumerate(names)}
    return np.array([fold[name] for name in packages])


def left_out(data: Data, setting: Setting, seed: int = 0) -> Floats:
    """Return (N, K) scores of every program by a network that saw nothing of its package."""
    fold_of = folds(data.packages, FOLDS)
    scores = np.zeros_like(data.saved)
    for number in range(FOLDS):
        out = fold_of == number
        scores[out] = scored(fit(data.part(~out), setting, seed), data.features[out])
    return scores


def train(
    folder: Path, *, metric: Metric, out: Path, command: str, say: Callable[[str], None]
) -> None:
    """Compare the settings by cross-validation, and publish the best, trained on all programs.

    Where none beats the coreset's own order, none is published, and a published one is withdrawn.
    """
    data = load(folder, metric, say)
    score = _Score.of(data)
    programs, packages, pipelines = (
        len(data.saved),
        len(set(data.packages)),
        data.saved.shape[1],
    )
    say(
        f"{programs} programs of {packages} packages, {pipelines} pipelines, oracle "
        f"{score.oracle:.2%}"
    )
    own_order = -np.tile(np.arange(pipelines, dtype=float), (programs, 1))
    say(score.line("coreset's own order", own_order))
    tried: dict[Setting, Floats] = {OWN_ORDER: own_order}
    for setting in SETTINGS:
        tried[setting] = left_out(data, setting)
        nvp = setting.loss == "nvp"
        name = (
            f"{setting.loss} T={setting.temperature}"
            if nvp
            else (f"{setting.loss} {setting.width} wide")
        )
        say(score.line(name, tried[setting]))
    pick = max(tried, key=lambda setting: score.saved(tried[setting], 1))
    order = max(tried, key=lambda setting: score.saved(tried[setting], 10))
    both = picked_first(tried[pick], tried[order])
    say(score.line("one, then the other", both))
    if pick == order == OWN_ORDER:
        withdraw(weights_name(metric), folder=out)
        say("no network beats the coreset's own order: none is published")
        return
    text = (
        f"packages left out in turn: {score.saved(both, 1):.2%} of {metric.value} saved by its "
        f"first pipeline, {score.saved(both, 10):.2%} by the best of ten; "
        f"{score.saved(own_order, 1):.2%} and {score.saved(own_order, 10):.2%} in the coreset's "
        f"own order; all {pipelines}: {score.oracle:.2%}"
    )
    publish(
        weights_name(metric),
        _arrays(data, metric, (pick, order)),
        folder=out,
        command=command,
        data=data.digest,
        metric=text,
    )
    say(f"first by {pick}")
    say(f"then by {order}")
    say(text)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Score:
    """Mean shares saved over programs, all packages weighing the same."""

    reward: Floats  # (N, K)
    weights: Floats  # (N,)
    oracle: float  # by the best of all pipelines

    @classmethod
    def of(cls, data: Data) -> _Score:
        weights = package_weights(data.packages)
        oracle = float(weights @ np.maximum(0.0, data.saved.max(axis=1)))
        return cls(reward=data.saved, weights=weights, oracle=oracle)

    def saved(self, scores: Floats, count: int) -> float:
        return float(self.weights @ best_of_first(scores, self.reward, count))

    def line(self, name: str, scores: Floats) -> str:
        shares = ((count, self.saved(scores, count)) for count in _COUNTS)
        return f"{name:22s}" + "  ".join(
            f"best of {count}: {share:.2%} ({share / self.oracle:.0%})"
            for count, share in shares
        )


def _arrays(
    data: Data, metric: Metric, settings: tuple[Setting, Setting]
) -> dict[str, np.ndarray]:
    """Arrays of `PipelineOrder`, trained on all programs."""
    digests = [list(bytes.fromhex(c.digest)) for c in load_coreset(metric)]
    arrays = {"candidates": np.array(digests, dtype=np.uint8)}
    for part, setting in zip(PARTS, settings, strict=True):
        arrays |= {
            f"{part}.{name}": array for name, array in fit(data, setting, 0).items()
        }
    return arrays


def picked_first(pick: Floats, order: Floats) -> Floats:
    """Return (N, K) scores as `PipelineOrder` does: the best of `pick`, then those of `order`."""
    scores = order.copy()
    scores[np.arange(len(scores)), pick.argmax(axis=1)] = order.max(axis=1) + 1.0
    return scores


def _loss(logits: Tensor, reward: Tensor, setting: Setting) -> Tensor:
    losses: Mapping[str, Callable[[], Tensor]] = {
        "nvp": lambda: nvp_loss(logits, reward, setting.temperature),
        "bc": lambda: bc_loss(logits, reward),
        "q": lambda: q_loss(logits, reward),
        "reward": lambda: expected_reward_loss(logits, reward),
    }
    return losses[setting.loss]()
