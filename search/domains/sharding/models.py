"""The learned models a domain is made with, and where the shipped ones come from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cost_models.sharding.nets import ConvexComputeNet, ConvexExchangeNet, PaperComputeNet, PaperExchangeNet
from cost_models.sharding.problem import TableArrays
from cost_models.weights import FOLDER, digest, load_weights
from search.domains.sharding.items import Items
from search.domains.sharding.neuroshard import PaperExchange, paper_model
from search.domains.sharding.plan_cost import PlanModel
from trimtab.specs.sharding import Hardware

COMPUTE = "trimtab-compute-0"
EXCHANGE = "trimtab-exchange"
CALIBRATION = "sharding-calibration.json"
MEMBERS = 4
SPREAD_FLOOR = 0.01


@dataclass(frozen=True, kw_only=True)
class Models:
    """What prices plans. `calibration` is the 90 % quantile of |oracle / model - 1| / spread over calibration plans."""

    compute: ConvexComputeNet
    exchange: ConvexExchangeNet
    ensemble: tuple[ConvexComputeNet, ...] = ()  # other members, trained alike from other starts
    digests: Mapping[str, str] = field(default_factory=dict)
    calibration: float | None = None
    folder: Path = FOLDER

    def spread(self, costs: Sequence[float]) -> float:
        """How uncertain the members are about a plan, relative: their standard deviation and a floor of 1 %."""
        return float(np.std(costs) / np.mean(costs)) + SPREAD_FLOOR

    def interval(self, costs: Sequence[float]) -> list[float] | None:
        """90 % interval for the oracle's cost of a plan from what each member says (normalised split conformal).

        The first of `costs` is the certified model's.
        """
        if self.calibration is None:
            return None
        reach = self.calibration * self.spread(costs)
        return [costs[0] * (1 - reach), costs[0] * (1 + reach)]

    def paper(self, items: Items, arrays: TableArrays, hardware: Hardware, devices: int) -> PlanModel:
        """NeuroShard's model of a job; raises WeightsRefused when its nets are not there."""
        compute = PaperComputeNet.of(load_weights(f"neuroshard-compute-{hardware.value}", folder=self.folder))
        weights = load_weights(f"neuroshard-exchange-{hardware.value}-{devices}", folder=self.folder)
        exchange = PaperExchange(
            forward=PaperExchangeNet.of(weights, "forward"), backward=PaperExchangeNet.of(weights, "backward")
        )
        return paper_model(items, arrays, devices, compute, exchange)


def shipped(folder: Path = FOLDER) -> Models:
    """The models of this repository. Raises WeightsRefused when a file is not what its manifest row says."""
    calibration = folder / CALIBRATION
    quantile = json.loads(calibration.read_text())["quantile"] if calibration.is_file() else None
    members = [f"trimtab-compute-{k}" for k in range(1, MEMBERS)]
    return Models(
        compute=ConvexComputeNet.of(load_weights(COMPUTE, folder=folder)),
        exchange=ConvexExchangeNet.of(load_weights(EXCHANGE, folder=folder)),
        ensemble=tuple(ConvexComputeNet.of(load_weights(name, folder=folder)) for name in members),
        digests={name: digest(name, folder=folder) for name in (COMPUTE, EXCHANGE, *members)},
        calibration=None if quantile is None else float(quantile),
        folder=folder,
    )
