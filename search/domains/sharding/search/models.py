"""Learned models of the domain: the shipped weights, the ensemble and its calibration."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cost_models.sharding.nets import (
    ConvexComputeNet,
    ConvexExchangeNet,
    PaperComputeNet,
    PaperExchangeNet,
)
from cost_models.sharding.problem import TableArrays
from cost_models.weights import FOLDER, digest, load_weights
from search.domains.sharding.encode.items import Items
from search.domains.sharding.search.neuroshard import PaperExchange, paper_model
from search.domains.sharding.search.plan_model import PlanModel
from trimtab.specs.sharding import Hardware

COMPUTE = "trimtab-compute-0"
EXCHANGE = "trimtab-exchange"
CALIBRATION = "sharding-calibration.json"
MEMBERS = 4
SPREAD_FLOOR = 0.01  # relative
WIDTH_BINS = (5.0, 9.0, 20.0, 45.0)  # upper ends of mean widths


@dataclass(frozen=True, kw_only=True)
class Models:
    """Models that price plans."""

    compute: ConvexComputeNet
    exchange: ConvexExchangeNet
    # Further members, trained in the same way from other initial weights.
    ensemble: tuple[ConvexComputeNet, ...] = ()
    digests: Mapping[str, str] = field(default_factory=dict)
    # 90 % quantiles of |oracle / model - 1| / spread, one for each bin of mean widths.
    calibration: tuple[float, ...] | None = None
    folder: Path = FOLDER

    def spread(self, costs: Sequence[float]) -> float:
        """Return the members' relative standard deviation for a plan, plus a floor of 1 %."""
        return float(np.std(costs) / np.mean(costs)) + SPREAD_FLOOR

    def interval(self, costs: Sequence[float], mean_width: float) -> list[float] | None:
        """Return a 90 % interval for the oracle's cost of a plan, by normalised split conformal.

        costs: milliseconds by each member, the certified model first.
        mean_width: of the job's tables; the errors of the model depend on it.
        None without a calibration. See deploy/docs/design/sharding.md, "Calibration".
        """
        if self.calibration is None:
            return None
        reach = self.calibration[width_bin(mean_width)] * self.spread(costs)
        return [costs[0] * (1 - reach), costs[0] * (1 + reach)]

    def paper(
        self, items: Items, arrays: TableArrays, hardware: Hardware, devices: int
    ) -> PlanModel:
        """Build NeuroShard's model of a job. Raises WeightsRefused when its weights are missing."""
        compute = PaperComputeNet.of(
            load_weights(f"neuroshard-compute-{hardware.value}", folder=self.folder)
        )
        weights = load_weights(
            f"neuroshard-exchange-{hardware.value}-{devices}", folder=self.folder
        )
        exchange = PaperExchange(
            forward=PaperExchangeNet.of(weights, "forward"),
            backward=PaperExchangeNet.of(weights, "backward"),
        )
        return paper_model(items, arrays, devices, compute, exchange)


def width_bin(mean_width: float) -> int:
    """Return the calibration bin of a job."""
    return sum(mean_width > edge for edge in WIDTH_BINS)


def shipped(folder: Path = FOLDER) -> Models:
    """Load the models of this repository.

    Raises WeightsRefused when a file differs from its manifest row.
    """
    calibration = folder / CALIBRATION
    quantiles = (
        json.loads(calibration.read_text())["quantiles"]
        if calibration.is_file()
        else None
    )
    members = [f"trimtab-compute-{k}" for k in range(1, MEMBERS)]
    return Models(
        compute=ConvexComputeNet.of(load_weights(COMPUTE, folder=folder)),
        exchange=ConvexExchangeNet.of(load_weights(EXCHANGE, folder=folder)),
        ensemble=tuple(
            ConvexComputeNet.of(load_weights(name, folder=folder)) for name in members
        ),
        digests={
            name: digest(name, folder=folder) for name in (COMPUTE, EXCHANGE, *members)
        },
        calibration=None if quantiles is None else tuple(float(q) for q in quantiles),
        folder=folder,
    )
