"""Fitted model of a job's devices: whether one fits, and the models and devices that it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from cost_models.sharding.fitted import FittedDevice
from cost_models.sharding.hardware import PROFILES, HardwareProfile
from search.domains.sharding.search.models import Models
from search.model_files import FittedModel, ModelChoice, ModelOffer
from search.types import InvalidInput
from trimtab.model_file import ModelRefused
from trimtab.specs.sharding import Hardware, Method, ShardingSpec

TARGET = "sharding"
_FARTHEST = 16  # factor between the batch of a job and that of the measurements


@dataclass(frozen=True, kw_only=True)
class Prices:
    """Model that prices a job's plans."""

    models: Models
    choice: ModelChoice
    measured: Mapping[Hardware, HardwareProfile]


def prices_of(spec: ShardingSpec, offer: ModelOffer, shipped: Models) -> Prices:
    """Choose among the offered models. Raises InvalidInput for a named one that is refused."""
    try:
        choice = offer.choose(TARGET, lambda model: misfit(spec, model))
    except ModelRefused as error:
        raise InvalidInput(f"model: {error}") from None
    if choice.model is None:
        return Prices(models=shipped, choice=choice, measured={})
    hardware = Hardware(choice.model.scope["hardware"])
    device = _device(choice.model)
    models = replace(
        shipped,
        compute=device.net,
        ensemble=(),  # the other members know nothing of this device
        calibration=None,
        digests={**shipped.digests, choice.model.id: choice.model.sha256},
    )
    return Prices(models=models, choice=choice, measured={hardware: device.profile})


def misfit(spec: ShardingSpec, model: FittedModel) -> str:
    """Return why a model does not cover a job; empty when it does."""
    try:
        _device(model)
        hardware, batch = Hardware(model.scope["hardware"]), int(model.scope["batch"])
    except (KeyError, TypeError, ValueError) as error:
        return f"its file is incomplete ({type(error).__name__}: {str(error)[:200]})"
    named = {group.hardware for group in spec.devices}
    if named != {hardware}:
        listed = ", ".join(sorted(named))
        return f"it is for devices of profile {hardware.value}, the job names {listed}"
    if spec.method is Method.NEUROSHARD:
        return "method neuroshard uses its own published models"
    if not batch / _FARTHEST <= spec.global_batch <= batch * _FARTHEST:
        return (
            f"it was measured with a batch of {batch}, and the job's {spec.global_batch} is more "
            f"than {_FARTHEST} times away"
        )
    return ""


def _device(model: FittedModel) -> FittedDevice:
    base = PROFILES[Hardware(model.scope["hardware"])]
    return FittedDevice.of(model.scope, model.arrays, base)
