"""Train the exchange models: NeuroShard's per device count and profile, trimtab's for any."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from cost_models.sharding.fabric import fabric_of
from cost_models.sharding.nets import exchange_condition
from cost_models.sharding.simulator import all_to_all_ms, transfer_ms
from cost_models.weights.publish import publish
from trimtab.specs.sharding import DeviceGroup, Fabric, Hardware
from workers.train.sharding.data import PAPER_BATCH, PAPER_WIDTHS
from workers.train.sharding.fit import Recipe, evaluate, fit, split
from workers.train.sharding.models import ConvexExchange, PaperExchange

Say = Callable[[str], object]


def paper_exchange(
    hardware: Hardware,
    devices: int,
    *,
    samples: int,
    epochs: int,
    seed: int,
    work: Path,
    out: Path,
    say: Say,
) -> None:
    """Train NeuroShard's two exchange nets for `devices` devices in one node, and publish them.

    The protocol is that of the authors' code (Zha et al., MLSys 2023); see
    deploy/docs/design/sharding.md, "Cost models".
    """
    dims, start = random_placements(np.random.default_rng(seed), samples, devices)
    fabric = fabric_of(
        [DeviceGroup(count=devices, memory_gib=4, hardware=hardware)], Fabric()
    )
    exchange = all_to_all_ms(dims, PAPER_BATCH, fabric)[:, None]  # (N, 1)
    wait = start.max(1, keepdims=True) - start
    arrays: dict[str, np.ndarray] = {}
    metrics = []
    for direction, x, cost in (
        ("forward", np.hstack([dims, start]), wait + exchange),
        ("backward", dims, np.broadcast_to(exchange, dims.shape)),
    ):
        mean, std = x.mean(0), x.std(0) + 1e-6
        torch.manual_seed(seed)
        model = PaperExchange(mean, std, devices)
        inputs, targets = _tensor(x), _tensor(cost)

        def predict(net: nn.Module, index: np.ndarray, inputs: Tensor = inputs) -> Tensor:
            return net(inputs[index])

        name = f"neuroshard-exchange-{hardware.value}-{devices}"
        best = fit(
            model,
            predict,
            targets,
            Recipe(epochs=epochs, seed=seed),
            state=work / f"{name}-{direction}-{samples}.safetensors",
            say=say,
        )
        _, _, test = split(samples, seed)
        error = (evaluate(model, predict, test) - targets[test]).abs()
        mean = float(targets[test].mean())
        metrics.append(
            f"{direction} mean error {float(error.mean()):.3f} ms of {mean:.3f}"
        )
        arrays |= {
            f"{direction}.{k.removeprefix('layers.')}": v.numpy() for k, v in best.items()
        }
    publish(
        name,
        arrays,
        folder=out,
        command="python -m workers.train sharding paper-exchange "
        f"--hardware {hardware.value} --devices {devices} "
        f"--samples {samples} --epochs {epochs} --seed {seed}",
        data=_digest(dims, start),
        metric="; ".join(metrics),
    )


def random_placements(
    rng: np.random.Generator, samples: int, devices: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw dim sums and start times (ms), (N, D) each, of placements with any imbalance.

    Each places tables greedily by dim sum, but errs with a random probability.
    """
    dims = np.zeros((samples, devices))
    start = np.zeros((samples, devices))
    for n in range(samples):
        widths = np.sort(rng.choice(PAPER_WIDTHS, int(rng.integers(10, 60))))[::-1]
        anywhere = rng.random(len(widths)) < rng.random()
        target = rng.integers(0, devices, len(widths))
        load = [0] * devices
        for width, free, device in zip(
            widths.tolist(), anywhere.tolist(), target.tolist(), strict=True
        ):
            load[device if free else load.index(min(load))] += width
        dims[n] = load
        offset = rng.integers(0, rng.integers(1, 20), devices)
        start[n] = offset - offset.min()
    return dims, start


def conditioned_exchange(
    *, samples: int, epochs: int, seed: int, work: Path, out: Path, say: Say
) -> None:
    """Train trimtab's exchange net, and publish its weights.

    2 to 1,024 devices, any profile, any fabric, any imbalance.
    """
    rng = np.random.default_rng(seed)
    x = np.empty((samples, 4))  # near, far, log2 W, log2 nodes
    cost = np.empty((samples, 1))
    for n in range(samples):
        ranks = int(2 ** rng.integers(1, 11))
        per_node = int(2 ** rng.integers(0, int(np.log2(ranks)) + 1))
        hardware = list(Hardware)[int(rng.integers(len(Hardware)))]
        links = Fabric(devices_per_node=per_node)
        if rng.random() < 0.5:
            links = Fabric(
                devices_per_node=per_node,
                intra_gb_s=float(np.exp(rng.uniform(np.log(10), np.log(900)))),
                inter_gb_s=float(np.exp(rng.uniform(np.log(1), np.log(100)))),
            )
        fabric = fabric_of(
            [DeviceGroup(count=ranks, memory_gib=4, hardware=hardware)], links
        )
        dims = rng.gamma(np.exp(rng.uniform(-1, 4)), 1.0, ranks)
        dims *= np.exp(rng.uniform(np.log(8), np.log(4096))) / dims.mean()
        batch = int(2 ** rng.integers(11, 19))
        near, far = transfer_ms(dims, batch, fabric)
        x[n] = [near, far, *exchange_condition(ranks, per_node)]
        cost[n] = all_to_all_ms(dims, batch, fabric)
    torch.manual_seed(seed)
    model = ConvexExchange()
    inputs, targets = _tensor(x), _tensor(cost)

    def predict(net: nn.Module, index: np.ndarray) -> Tensor:
        return net(inputs[index])  # type: ignore[no-any-return]

    recipe = Recipe(
        epochs=epochs,
        batch=1024,
        learning_rate=5e-3,
        cosine=True,
        relative=True,
        seed=seed,
    )
    best = fit(
        model,
        predict,
        targets,
        recipe,
        state=work / f"trimtab-exchange-{samples}.safetensors",
        say=say,
    )
    _, _, test = split(samples, seed)
    error = (evaluate(model, predict, test) / targets[test] - 1).abs()
    publish(
        "trimtab-exchange",
        {k: v.numpy() for k, v in best.items()},
        folder=out,
        command="python -m workers.train sharding exchange "
        f"--samples {samples} --epochs {epochs} --seed {seed}",
        data=_digest(x, cost),
        metric=f"MAPE {float(error.mean()):.2%} on {len(test)} held-out exchanges",
    )


def _tensor(x: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(x).astype(np.float32))


def _digest(*arrays: np.ndarray) -> str:
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()
