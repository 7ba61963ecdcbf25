"""Translate a job's devices and fabric to the simulator's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cost_models.sharding.hardware import GB, PROFILES, HardwareProfile
from cost_models.sharding.simulator import FabricModel
from trimtab.specs.sharding import DeviceGroup, Fabric


def profiles_of(groups: Sequence[DeviceGroup]) -> list[HardwareProfile]:
    """Return the profile of each device."""
    return [PROFILES[group.hardware] for group in groups for _ in range(group.count)]


def fabric_of(groups: Sequence[DeviceGroup], fabric: Fabric) -> FabricModel:
    """Return the fabric between the devices; profiles supply the values that the job omits."""
    profiles = profiles_of(groups)
    ranks = len(profiles)
    intra = [p.nvlink_bytes_s * p.nvlink_efficiency for p in profiles]
    inter = [p.nic_bytes_s * p.nic_efficiency for p in profiles]
    if fabric.intra_gb_s is not None:
        intra = [fabric.intra_gb_s * GB] * ranks
    if fabric.inter_gb_s is not None:
        inter = [fabric.inter_gb_s * GB] * ranks
    slowest = max(profiles, key=lambda p: p.intra_base_s)
    return FabricModel(
        ranks=ranks,
        per_node=fabric.devices_per_node or ranks,
        intra_bytes_s=np.array(intra),
        inter_bytes_s=np.array(inter),
        intra_base_s=slowest.intra_base_s,
        inter_base_s=slowest.inter_base_s,
        intra_peer_s=slowest.intra_peer_s,
        inter_peer_s=slowest.inter_peer_s,
    )
