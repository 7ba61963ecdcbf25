"""The learned models a domain is made with, and where the shipped ones come from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

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


@dataclass(frozen=True, kw_only=True)
class Models:
    """What prices plans. `calibration` are the 5 % and 95 % quantiles of oracle / model over calibration plans."""

    compute: ConvexComputeNet
    exchange: ConvexExchangeNet
    digests: Mapping[str, str] = field(default_factory=dict)
    calibration: tuple[float, float] | None = None
    folder: Path = FOLDER

    def interval(self, model_ms: float) -> list[float] | None:
        """90 % interval for the oracle's cost of a plan the model prices at `model_ms` (split conformal)."""
        if self.calibration is None:
            return None
        low, high = self.calibration
        return [model_ms * low, model_ms * high]

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
    quantiles = json.loads(calibration.read_text())["quantiles"] if calibration.is_file() else None
    return Models(
        compute=ConvexComputeNet.of(load_weights(COMPUTE, folder=folder)),
        exchange=ConvexExchangeNet.of(load_weights(EXCHANGE, folder=folder)),
        digests={name: digest(name, folder=folder) for name in (COMPUTE, EXCHANGE)},
        calibration=None if quantiles is None else (float(quantiles[0]), float(quantiles[1])),
        folder=folder,
    )
