"""Compare the simulator with public measurements: `python -m cost_models.sharding.calibration`.

Not all public runs name their device or their inputs, so for these only ratios are compared. The
constants marked [assumed] in `hardware.py` were set by hand against this list; the residuals are
the errors that remain. See deploy/docs/design/sharding.md, "Calibration".
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cost_models.sharding.hardware import PROFILES
from cost_models.sharding.problem import Shards, TableArrays
from cost_models.sharding.simulator import ComputeCost, compute_ms
from trimtab.specs.sharding import DataType, Hardware, Optimizer, Table, ZipfAccess


@dataclass(frozen=True, kw_only=True)
class Target:
    """A public figure and the simulator's."""

    name: str
    source: str
    public: float
    simulated: float

    @property
    def residual(self) -> float:
        """Relative error of the simulator."""
        return self.simulated / self.public - 1


# torchrec PR 2365: forward P90 in ms of `100000-d-T-B-10`, by d; the device is not named.
_FOUR_TABLES = {
    4: 0.121,
    8: 0.134,
    16: 0.161,
    32: 0.174,
    64: 0.310,
    128: 0.648,
    256: 1.451,
    512: 3.337,
    1024: 7.019,
}
_SIXTEEN_TABLES = {
    16: 0.588,
    32: 0.723,
    64: 1.294,
    128: 2.735,
    256: 6.561,
    512: 14.853,
    1024: 31.06,
}


def targets() -> list[Target]:
    """Return every public figure with the simulator's."""
    figures = []
    for tables, batch, public in (
        (4, 262_144, _FOUR_TABLES),
        (16, 131_072, _SIXTEEN_TABLES),
    ):
        ours = {d: _uniform(tables, batch, d).forward_ms[0] for d in public}
        for narrow, wide in zip(list(public)[:-1], list(public)[1:], strict=True):
            figures.append(
                Target(
                    name=f"forward, {tables} tables: width {narrow} / width {wide}",
                    source="torchrec PR 2365",
                    public=public[narrow] / public[wide],
                    simulated=ours[narrow] / ours[wide],
                )
            )
    both = {
        d: (
            _uniform(16, 131_072, d).forward_ms[0] / _uniform(4, 262_144, d).forward_ms[0]
        )
        for d in (32, 128, 512)
    }
    figures += [
        Target(
            name=f"forward, width {d}: 16 tables of 131,072 bags / 4 tables of 262,144",
            source="torchrec PR 2365",
            public=_SIXTEEN_TABLES[d] / _FOUR_TABLES[d],
            simulated=float(both[d]),
        )
        for d in both
    ]
    fbgemm = _cost(32, 512, 128, 20, 100_000, Hardware.V100, DataType.FP16)
    figures.append(
        Target(
            name="V100 forward, ms",
            source="FBGEMM d24451208",
            public=0.138,
            simulated=float(fbgemm.forward_ms[0]),
        )
    )
    figures.append(
        Target(
            name="V100 forward + backward, ms",
            source="FBGEMM d24451208",
            public=1.139,
            simulated=float(fbgemm.total_ms[0]),
        )
    )
    return figures


def _uniform(tables: int, batch: int, dim: int) -> ComputeCost:
    return _cost(tables, batch, dim, 10, 100_000, Hardware.H100, DataType.FP32)


def _cost(
    tables: int,
    batch: int,
    dim: int,
    pooling: float,
    rows: int,
    hardware: Hardware,
    dtype: DataType,
) -> ComputeCost:
    access = ZipfAccess(alpha=0.0, active_rows=rows)
    listed = [
        Table(
            name=f"t{i}", rows=rows, dim=dim, pooling=pooling, dtype=dtype, access=access
        )
        for i in range(tables)
    ]
    arrays = TableArrays.of(listed, batch=batch, optimizer=Optimizer.SGD)
    index = np.arange(tables)
    shards = Shards(
        table=index,
        width=np.full(tables, dim),
        group=np.zeros(tables, dtype=int),
        groups=1,
    )
    return compute_ms(arrays, shards, PROFILES[hardware])


def main(
    write: Callable[[str], object] = lambda text: sys.stdout.write(text + "\n"),
) -> None:
    """Print the table of residuals."""
    figures = targets()
    write(f"{'figure':62} {'public':>8} {'ours':>8} {'residual':>9}  source")
    for t in figures:
        write(
            f"{t.name:62} {t.public:8.3f} {t.simulated:8.3f} {t.residual:+9.1%}  {t.source}"
        )
    residuals = [abs(t.residual) for t in figures]
    write(f"median |residual| {np.median(residuals):.1%}, worst {max(residuals):.1%}")


if __name__ == "__main__":
    main()
