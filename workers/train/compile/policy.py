"""Train what orders the coreset for a program, and say honestly what it is worth: packages are left out in turn.

    python -m workers.train compile policy                    # compares losses by cross-validation, publishes the best
    python -m workers.train compile policy --metric ir_instructions

A program's reward row is the share each pipeline saves against -Oz (negative where larger). What is reported is what a user
gets: the best of the first N pipelines in the learned order, or -Oz when none of them is smaller.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
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
from workers.train.compile.matrix import Reward, reward
from workers.train.compile.mine import package_weights

Floats = NDArray[np.float64]
FOLDS = 6
_LEAST_STD = 1e-3  # of a feature that hardly moves


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is learned and how."""

    loss: str = "nvp"  # nvp, bc, q, reward
    temperature: float = 0.005  # of nvp
    width: int = 64
    members: int = 8  # of the ensemble
    epochs: int = 200
    rate: float = 2e-3
    decay: float = 3e-2
    dropout: float = 0.3
    noise: float = 0.1  # of standardised features, while training


OWN_ORDER = Setting(loss="none", members=1, width=1)  # the coreset's, for every program
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
        """Logits."""
        found: Tensor = self.out(self.dropout(torch.relu(self.first(x))))
        return found


@dataclass(frozen=True, kw_only=True, eq=False)
class Data:
    """Programs, what describes them, what each pipeline of the coreset saves on them."""

    features: Floats  # (N, F)
    saved: Floats  # (N, K)
    packages: list[str]
    shas: list[str]
    digest: str

    def part(self, rows: NDArray[np.bool_]) -> Data:
        """Some of the programs."""
        packages, shas = (
            [one for one, keep in zip(names, rows, strict=True) if keep]
            for names in (self.packages, self.shas)
        )
        return replace(
            self,
            features=self.features[rows],
            saved=self.saved[rows],
            packages=packages,
            shas=shas,
        )


def load(folder: Path, metric: Metric, say: Callable[[str], None]) -> Data:
    """Training and validation packages that have every pipeline of the coreset measured."""
    name = LISTS[metric]
    found = reward(folder, splits=("train", "val"), metric=name)
    columns = [found.digests.index(candidate.digest) for candidate in load_coreset(metric)]
    features = described(folder, found, say)
    digest = hashlib.sha256(
        json.dumps([found.shas, found.digests]).encode() + found.saved.tobytes()
    ).hexdigest()
    saved = found.saved[:, columns]
    return Data(
        features=features,
        saved=saved,
        packages=found.packages,
        shas=found.shas,
        digest=digest,
    )


def described(folder: Path, found: Reward, say: Callable[[str], None]) -> Floats:
    """(N, F) descriptions, kept beside the corpus."""
    kept = folder / "described.jsonl"
    lines = (
        [json.loads(line) for line in kept.read_text().splitlines()]
        if kept.is_file()
        else []
    )
    known: dict[str, list[float]] = {line["sha"]: line["features"] for line in lines}
    for number, sha in enumerate(found.shas):
        if sha in known:
            continue
        with Engine((folder / "modules" / f"{sha[:16]}.bc").read_bytes()) as engine:
            (oz,) = engine.measure([Recipe(pipeline=engine.default_pipelines()["Oz"])])
            assert oz.sizes is not None  # it is in the matrix
            known[sha] = describe(engine.features(), oz.sizes).tolist()
        with kept.open("a") as out:
            out.write(json.dumps({"sha": sha, "features": known[sha]}) + "\n")
        if number % 50 == 0:
            say(f"{number + 1} of {len(found.shas)} described")
    return np.array([known[sha] for sha in found.shas])


def fit(data: Data, setting: Setting, seed: int) -> dict[str, np.ndarray]:
    """Arrays of `cost_models.compile.pipeline_order.PipelineScorer`, candidates apart."""
    if setting == OWN_ORDER:
        return _own_order(data)
    mean, std = (
        data.features.mean(axis=0),
        np.maximum(_LEAST_STD, data.features.std(axis=0)),
    )
    x = torch.from_numpy(np.clip((data.features - mean) / std, -4.0, 4.0)).float()
    y = torch.from_numpy(data.saved).float()
    weight = torch.from_numpy(
        package_weights(data.packages) ** 0.5
    )  # between every program and every package alike
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
    """A net that looks at nothing."""
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
    """(N, K) mean logits, as the numpy net gives them."""
    outputs = arrays["out.bias"].shape[1]
    named = np.array(
        [list(number.to_bytes(32, "big")) for number in range(outputs)], dtype=np.uint8
    )
    scorer = PipelineScorer({**arrays, "candidates": named})
    return np.array([list(scorer.scores(row).values()) for row in features])


def best_of_first(scores: Floats, saved: Floats, count: int) -> Floats:
    """(N,) saved by the best of the `count` pipelines of the highest scores; 0, -Oz itself, when none is smaller."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    return np.maximum(0.0, np.take_along_axis(saved, order, axis=1).max(axis=1))


def folds(packages: Sequence[str], count: int) -> NDArray[np.int64]:
    """(N,) the part in which a program is left out: that of its package."""
    names = np.random.default_rng(7).permutation(sorted(set(packages))).tolist()
    fold = {name: place % count for place, name in enumerate(names)}
    return np.array([fold[name] for name in packages])


def left_out(data: Data, setting: Setting, seed: int = 0) -> Floats:
    """(N, K) scores of every program by a net that saw nothing of its package."""
    which = folds(data.packages, FOLDS)
    scores = np.zeros_like(data.saved)
    for number in range(FOLDS):
        out = which == number
        scores[out] = scored(fit(data.part(~out), setting, seed), data.features[out])
    return scores


def train(
    folder: Path, *, metric: Metric, out: Path, command: str, say: Callable[[str], None]
) -> None:
    """Compare the settings on packages left out, publish the best one trained on all.

    Where none of them beats the coreset's own order, none is published, and one that was is withdrawn.
    """
    data = load(folder, metric, say)
    weights = package_weights(data.packages)
    greedy = -np.tile(np.arange(data.saved.shape[1], dtype=float), (len(data.saved), 1))
    oracle = float(weights @ np.maximum(0.0, data.saved.max(axis=1)))
    programs, packages = len(data.saved), len(set(data.packages))
    say(
        f"{programs} programs of {packages} packages, {data.saved.shape[1]} pipelines, oracle {oracle:.2%}"
    )
    say(_told("coreset's own order", greedy, data.saved, weights, oracle))
    tried: dict[Setting, Floats] = {OWN_ORDER: greedy}
    for setting in SETTINGS:
        tried[setting] = left_out(data, setting)
        name = setting.loss + (
            f" T={setting.temperature}"
            if setting.loss == "nvp"
            else f" {setting.width} wide"
        )
        say(_told(name, tried[setting], data.saved, weights, oracle))

    def saved(scores: Floats, count: int) -> float:
        return float(weights @ best_of_first(scores, data.saved, count))

    pick = max(tried, key=lambda setting: saved(tried[setting], 1))
    behind = max(tried, key=lambda setting: saved(tried[setting], 10))
    both = picked_first(tried[pick], tried[behind])
    say(_told("one, then the other", both, data.saved, weights, oracle))
    if pick == behind == OWN_ORDER:
        withdraw(weights_name(metric), folder=out)
        say("nothing learned beats the coreset's own order: no network is published")
        return
    named = np.array(
        [list(bytes.fromhex(c.digest)) for c in load_coreset(metric)], dtype=np.uint8
    )
    arrays = {"candidates": named}
    for part, setting in zip(PARTS, (pick, behind), strict=True):
        arrays |= {f"{part}.{name}": array for name, array in fit(data, setting, 0).items()}
    one, ten = saved(both, 1), saved(both, 10)
    text = f"packages left out in turn: {one:.2%} of {metric.value} saved by its first pipeline, {ten:.2%} by the best of ten; "
    text += f"{saved(greedy, 1):.2%} and {saved(greedy, 10):.2%} in the coreset's own order; all {len(named)}: {oracle:.2%}"
    publish(
        weights_name(metric),
        arrays,
        folder=out,
        command=command,
        data=data.digest,
        metric=text,
    )
    say(f"first by {pick}")
    say(f"then by {behind}")
    say(text)


def picked_first(pick: Floats, behind: Floats) -> Floats:
    """(N, K) scores as `PipelineOrder` gives them: the best of `pick` first, the others as `behind` has them."""
    scores = behind.copy()
    scores[np.arange(len(scores)), pick.argmax(axis=1)] = behind.max(axis=1) + 1.0
    return scores


def _told(name: str, scores: Floats, saved: Floats, weights: Floats, oracle: float) -> str:
    shown = [float(weights @ best_of_first(scores, saved, count)) for count in (1, 3, 10)]
    return f"{name:22s}" + "  ".join(
        f"best of {count}: {value:.2%} ({value / oracle:.0%})"
        for count, value in zip((1, 3, 10), shown, strict=True)
    )


def _loss(logits: Tensor, reward_: Tensor, setting: Setting) -> Tensor:
    losses: Mapping[str, Callable[[], Tensor]] = {
        "nvp": lambda: nvp_loss(logits, reward_, setting.temperature),
        "bc": lambda: bc_loss(logits, reward_),
        "q": lambda: q_loss(logits, reward_),
        "reward": lambda: expected_reward_loss(logits, reward_),
    }
    return losses[setting.loss]()
