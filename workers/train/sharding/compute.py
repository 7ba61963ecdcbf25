"""Train the computation models: NeuroShard's for one profile, trimtab's for all profiles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from cost_models.weights.publish import publish
from trimtab.specs.sharding import Hardware
from workers.train.sharding.data import Sets, conditioned_sets, paper_sets
from workers.train.sharding.fit import Recipe, SetBatches, evaluate, fit, split
from workers.train.sharding.models import ConvexCompute, PaperCompute, physical_scale

Say = Callable[[str], object]


def paper_compute(
    hardware: Hardware,
    *,
    samples: int,
    epochs: int,
    seed: int,
    work: Path,
    out: Path,
    say: Say,
) -> None:
    """Train NeuroShard's computation net for one profile, and publish its weights."""
    sets = paper_sets(hardware, samples, seed)
    mean, std = sets.features.mean(0), sets.features.std(0) + 1e-6
    torch.manual_seed(seed)
    model = PaperCompute(mean, std)
    batches = SetBatches(sets)
    name = f"neuroshard-compute-{hardware.value}"
    best = fit(
        model,
        batches.predict,
        batches.cost,
        Recipe(epochs=epochs, seed=seed),
        state=work / f"{name}-{samples}.safetensors",
        say=say,
    )
    publish(
        name,
        {k: v.numpy() for k, v in best.items()},
        folder=out,
        command=f"python -m workers.train sharding paper-compute --hardware {hardware.value} "
        f"--samples {samples} --epochs {epochs} --seed {seed}",
        data=sets.digest(),
        metric=_held_out(model, batches, sets, seed),
    )


def conditioned_compute(
    *, samples: int, epochs: int, seed: int, member: int, work: Path, out: Path, say: Say
) -> None:
    """Train one member of trimtab's ensemble, and publish its weights.

    Members share the data and differ in their initial weights and the order of batches.
    """
    say("drawing and pricing the training sets …")
    sets = conditioned_sets(samples, seed)
    mean, std = sets.features.mean(0), sets.features.std(0) + 1e-6
    torch.manual_seed(seed + 1000 * member)
    model = ConvexCompute(mean, std, physical_scale(), sets.condition.mean(0))
    batches = SetBatches(sets)
    name = f"trimtab-compute-{member}"
    recipe = Recipe(
        epochs=epochs,
        batch=1024,
        learning_rate=2e-3,
        cosine=True,
        relative=True,
        seed=seed + 1000 * member,
    )
    best = fit(
        model,
        batches.predict,
        batches.cost,
        recipe,
        state=work / f"{name}-{samples}.safetensors",
        say=say,
    )
    publish(
        name,
        {k: v.numpy() for k, v in best.items()},
        folder=out,
        command=f"python -m workers.train sharding compute --member {member} "
        f"--samples {samples} --epochs {epochs} --seed {seed}",
        data=sets.digest(),
        metric=_held_out(model, batches, sets, recipe.seed),
    )


def _held_out(model: torch.nn.Module, batches: SetBatches, sets: Sets, seed: int) -> str:
    """Return the errors on the test sets as text for the manifest."""
    _, _, test = split(len(sets), seed)
    predicted = evaluate(model, batches.predict, test).numpy()
    error = np.abs(predicted / sets.cost_ms[test] - 1)
    tail = np.quantile(error, 0.95)
    return f"MAPE {error.mean():.2%}, 95th percentile {tail:.2%} on {len(test)} held-out sets"
