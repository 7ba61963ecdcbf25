"""Target `sharding`: the shipped compute model fitted to measurements of the user's devices.

An instance is a measured set of tables, from the collector's files. The metric is the absolute
percentage error of the predicted milliseconds.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from cost_models.sharding.fitted import FITTED, with_factors
from cost_models.sharding.hardware import PROFILES
from cost_models.weights import load_weights
from search.domains.learn.types import FitRun, Fitted, Instance, Point, Source
from search.model_files import FittedModel, write_model
from search.types import InvalidInput
from trimtab.cards import Metric
from trimtab.specs.learn import MOST_FILES, ShardingLearnOptions
from trimtab.specs.sharding import Hardware
from workers.train.sharding.collect.errors import CollectError
from workers.train.sharding.few_shot import (
    DRAWN_SETS,
    Inputs,
    Tuning,
    TuningState,
    calibrate,
    drawn_sets,
    fine_tune,
    predict,
    simulate,
)
from workers.train.sharding.measured import MeasuredSet, arrays_of, read_measured

TARGET = "sharding"
SHIPPED = "trimtab-compute-0"
MOST_SETS = 20_000
_STATE = "tuning.safetensors"


class ShardingLearner:
    """`Learner` of the sharding cost models."""

    target = TARGET
    metric = Metric(name="absolute percentage error", unit="%")
    least_instances = 40
    most_sources = MOST_FILES
    judge_share = 0.1
    packages = ("numpy", "scipy")
    labels_from = "the collector's files hold the times"

    def __init__(self) -> None:
        self._hardware = Hardware.A100

    @cached_property
    def _shipped(self) -> Mapping[str, np.ndarray]:
        return load_weights(SHIPPED)

    def prepare(
        self,
        sources: Sequence[Source],
        options: ShardingLearnOptions,
        workdir: Path,
    ) -> list[Instance]:
        """Read the sets of all files, which must be of one machine and one batch."""
        self._hardware = options.hardware
        instances: list[Instance] = []
        first: tuple[str, str, int] | None = None
        for source in sources:
            try:
                file = read_measured(source.path)
            except CollectError as error:
                text = str(error).replace(str(source.path), source.name)
                text = text.removeprefix(f"{source.name}: ")
                raise InvalidInput(f"instances: {source.name}: {text}") from None
            this = (source.name, file.machine, file.batch)
            first = first or this
            if this[1:] != first[1:]:
                what = "batch" if this[1] == first[1] else "device"
                raise InvalidInput(
                    f"instances: {source.name}: expected measurements of one device with one "
                    f"batch, got another {what} than in {first[0]}; fit one model for each"
                )
            for n, one in enumerate(file.sets):
                instances.append(
                    Instance(
                        key=one.key,
                        name=f"{source.name}#{n}",
                        data=one,
                        label=one.cost_ms,
                    )
                )
            if len(instances) > MOST_SETS:
                raise InvalidInput(
                    f"instances: expected at most {MOST_SETS:,} measured sets, got more; a few "
                    "hundred are enough"
                )
        return instances

    def fit(
        self, instances: Sequence[Instance], run: FitRun, options: ShardingLearnOptions
    ) -> Fitted:
        """Fit the device's constants, then fine-tune the net from the shipped weights."""
        base = PROFILES[options.hardware]
        sets = arrays_of([_labelled(instance) for instance in instances])
        shipped = self._shipped
        state_file = run.folder / _STATE
        if state_file.is_file():
            arrays = load_file(state_file)
            factors = tuple(arrays.pop("factors").tolist())
            state = TuningState.from_arrays(arrays)
        else:
            factors = calibrate(sets, base, stop=run.stop)
            state = TuningState.new(shipped)
        profile = with_factors(base, factors)

        def on_validation(state: TuningState, loss: float, error: float) -> bool:
            _save(state_file, {**state.to_arrays(), "factors": np.array(factors)})
            run.save()
            latest = loss if np.isfinite(loss) else error
            run.report(
                Point(
                    step=max(1, state.step),
                    steps=options.steps,
                    loss=float(latest),
                    validation=error,
                )
            )
            return run.stop()

        drawn = drawn_sets(sets, profile, DRAWN_SETS, seed=run.seed)
        weights = fine_tune(
            state,
            Inputs.of(shipped, sets, profile),
            Tuning(
                steps=options.steps, seed=run.seed, drawn_steps=4 * options.steps // 5
            ),
            Inputs.of(shipped, drawn, profile),
            on_validation=on_validation,
        )
        path = run.workdir / "fitted.safetensors"
        scope = {
            "hardware": options.hardware.value,
            "factors": list(factors),
            "batch": sets.tables.batch,
            "sets": len(sets),
            "widths": [int(sets.width.min()), int(sets.width.max())],
        }
        write_model(path, weights, target=TARGET, scope=scope)
        error = float(np.abs(simulate(sets, profile) / sets.cost_ms - 1).mean())
        listed = ", ".join(
            f"{name} {factor:.3g}" for name, factor in zip(FITTED, factors, strict=True)
        )
        return Fitted(
            path=path,
            notes=(
                f"Constants of the device, as factors of {options.hardware.value}: {listed}.",
                f"The simulated device with these constants, on which plans are verified, has a "
                f"mean error of {100 * error:.3g} % on the fit instances.",
            ),
            figures={
                "factors": dict(zip(FITTED, factors, strict=True)),
                "simulated_mape": error,
                "steps": state.step,
            },
        )

    def evaluate(
        self, instance: Instance, model: FittedModel | None, *, seed: int, limit_s: float
    ) -> float:
        """Return the absolute percentage error on a set."""
        profile = PROFILES[self._hardware]
        weights = self._shipped
        if model is not None:
            weights = model.arrays
            profile = with_factors(profile, model.scope["factors"])
        one = _labelled(instance)
        cost = predict(weights, arrays_of([one]), profile)
        return float(100 * abs(cost[0] / one.cost_ms - 1))


def _labelled(instance: Instance) -> MeasuredSet:
    """Return the set with its merged label."""
    one: MeasuredSet = instance.data
    assert instance.label is not None
    return replace(one, cost_ms=instance.label)


def _save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    part = path.with_suffix(".part")
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, part)
    os.replace(part, path)
