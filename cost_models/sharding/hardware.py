"""Simulated devices: every constant with its source.

Datasheet constants are marked [sheet], published measurements [pub], and constants without a
public source [assumed]. The [assumed] constants were chosen once against the public ratios in
`cost_models.sharding.calibration`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from trimtab.specs.sharding import Hardware

GB = 1e9
MIB = 2.0**20


@dataclass(frozen=True, kw_only=True)
class HardwareProfile:
    """An accelerator of the simulator. Bandwidths are bytes per second and direction."""

    name: str
    hbm_bytes_s: float  # [sheet] peak HBM bandwidth
    hbm_efficiency: float  # [assumed] share of the peak a gather of whole sectors reaches
    l2_bytes: float  # [sheet] capacity
    l2_bytes_s: float  # [assumed] gather bandwidth on hits
    sm_count: int  # [sheet]
    clock_hz: float  # [sheet] boost clock
    warps_per_sm: int  # [sheet] resident warps
    # [assumed] SM cycles of a warp per row of at most 128 elements
    issue_cycles: float = 4.0
    # [assumed] share of the gather bandwidth that read-modify-write of rows reaches
    update_efficiency: float = 0.45
    # [assumed] share of the resident warps that a kernel needs to run at full speed
    fill_share: float = 0.5
    launch_s: float = 5e-6  # [assumed] one kernel launch, as seen in a stream
    # [assumed] kernels in the fused backward: linearise, radix sort, run-length, update
    backward_launches: int = 14
    # [assumed] share of peak bandwidth of an LSD radix sort.
    sort_efficiency: float = 0.55
    nvlink_bytes_s: float  # [sheet] inside a node
    # [pub] nccl-tests #212: about 370 of 450 GB/s on H100.
    nvlink_efficiency: float = 0.82
    nic_bytes_s: float  # [sheet] between nodes, one NIC per device
    nic_efficiency: float = 0.97  # [pub] nccl-tests #267: 48-49 of 50 GB/s
    intra_base_s: float = 15e-6  # [assumed] per collective call inside a node
    inter_base_s: float = 30e-6  # [assumed] per collective call between nodes
    intra_peer_s: float = 0.3e-6  # [assumed] per peer
    inter_peer_s: float = 1.0e-6  # [assumed] per peer

    def conditions(self) -> np.ndarray:
        """Return (CONDITIONS,) the inputs of a hardware-conditioned net: natural logarithms."""
        return np.log(
            [
                self.hbm_bytes_s * self.hbm_efficiency,
                self.l2_bytes,
                self.l2_bytes_s,
                self.sm_count * self.clock_hz,
            ]
        )


CONDITIONS = 4

# Bandwidths and sizes: vendors' datasheets of V100 SXM2, A100 SXM4 80 GB, H100 SXM5; NVLink 2/3/4
# per direction; NICs 100/200/400 Gb/s as in DGX-1, DGX A100, DGX H100.
PROFILES: Mapping[Hardware, HardwareProfile] = MappingProxyType(
    {
        Hardware.V100: HardwareProfile(
            name="v100",
            hbm_bytes_s=900 * GB,
            hbm_efficiency=0.85,
            l2_bytes=6 * MIB,
            l2_bytes_s=2_200 * GB,
            sm_count=80,
            clock_hz=1.53e9,
            warps_per_sm=64,
            nvlink_bytes_s=150 * GB,
            nic_bytes_s=12.5 * GB,
        ),
        Hardware.A100: HardwareProfile(
            name="a100",
            hbm_bytes_s=2_039 * GB,
            hbm_efficiency=0.85,
            l2_bytes=40 * MIB,
            l2_bytes_s=4_800 * GB,
            sm_count=108,
            clock_hz=1.41e9,
            warps_per_sm=64,
            nvlink_bytes_s=300 * GB,
            nic_bytes_s=25 * GB,
        ),
        Hardware.H100: HardwareProfile(
            name="h100",
            hbm_bytes_s=3_350 * GB,
            hbm_efficiency=0.85,
            l2_bytes=50 * MIB,
            l2_bytes_s=7_000 * GB,
            sm_count=132,
            clock_hz=1.755e9,
            warps_per_sm=64,
            nvlink_bytes_s=450 * GB,
            nic_bytes_s=50 * GB,
        ),
    }
)
