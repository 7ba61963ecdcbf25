"""Agreement of coarse and fine method of moments and openEMS on random designs, 2-8 GHz."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.domains.antenna.design import Design
from search.domains.antenna.search.layouts import Vectors
from search.domains.antenna.search.legalise import Rules
from solvers.field.board import Board, Grid
from solvers.field.moments import MomentMethod, antenna, refined_antenna
from solvers.field.openems.pixels import port_inductance_h, simulation
from solvers.field.openems.probes import impedance
from solvers.field.openems.process import OpenEmsFailed, OpenEmsMissing
from solvers.field.openems.process import run as run_openems
from solvers.field.sweep import sweep
from solvers.field.tables import compute_tables
from trimtab.specs.antenna import AntennaSpec

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
BOARD = Board(eps_r=2.2, tan_d=0.001, height_m=3.175e-3)
CELL_M = 3e-3
RANGE_HZ = 2e9, 8e9
_LIMIT_S = 900.0
_RESAMPLES = 2000
_SCALES = np.linspace(-0.015, 0.015, 31)


def run(
    *, count: int, cells: int, frequencies: int, seed: int
) -> Iterator[dict[str, Any]]:
    """Yield a line for each design, then one with means and 95 % intervals."""
    grid = Grid(cells=cells, cell_m=CELL_M)
    frequencies_hz = np.linspace(*RANGE_HZ, frequencies)
    coarse = compute_tables(BOARD, grid, frequencies_hz)
    fine = compute_tables(BOARD, grid.refined(2), frequencies_hz)
    lines = []
    for number, design in enumerate(_designs(count, cells, seed)):
        began = time.process_time()
        low = sweep(MomentMethod(coarse, antenna(design.mask, [design.feed]))).s11
        coarse_s = time.process_time() - began
        began = time.process_time()
        built = refined_antenna(design.mask, design.feed, factor=2)
        high = sweep(MomentMethod(fine, built)).s11
        line = {
            "design": number,
            "coarse_fine": _mean_difference(low, high),
            "coarse_cpu_s": coarse_s,
            "fine_cpu_s": time.process_time() - began,
            **_against_openems(design, grid, frequencies_hz, high),
        }
        lines.append(line)
        yield line
    yield _summary(lines, seed)


def _designs(count: int, cells: int, seed: int) -> list[Design]:
    """Return random designs of up to five rectangles with the feed at (n/4, n/2)."""
    spec = AntennaSpec.model_validate(
        {
            "bands": [{"f_lo_hz": 5e9, "f_hi_hz": 5.1e9}],
            "grid": {"cells": cells, "cell_mm": CELL_M * 1e3},
            "feed": [cells // 4, cells // 2],
        },
        strict=False,
    )
    vectors, rng = Vectors(spec, Rules(spec)), np.random.default_rng(seed)
    return [vectors.decode(vectors.random(rng)) for _ in range(count)]


def _against_openems(
    design: Design, grid: Grid, frequencies_hz: Real, fine: Complex
) -> dict[str, Any]:
    model = simulation(BOARD, grid, design.mask, port=design.feed, band_hz=RANGE_HZ)
    try:
        with tempfile.TemporaryDirectory() as folder:
            done = run_openems(model, workdir=Path(folder), limit_s=_LIMIT_S)
    except (OpenEmsMissing, OpenEmsFailed) as error:
        return {"openems": str(error)}
    assert done is not None
    z = impedance(done.voltage, done.current, frequencies_hz)
    corrected = z - 2j * np.pi * frequencies_hz * port_inductance_h(BOARD)
    raw, second = _reflection(z), _reflection(corrected)
    scales = [
        _scaled_difference(frequencies_hz, second, fine, float(scale))
        for scale in _SCALES
    ]
    return {
        "fine_openems_raw": _mean_difference(raw, fine),
        "fine_openems": _mean_difference(second, fine),
        "fine_openems_scaled": min(scales),
        "scale": float(_SCALES[int(np.argmin(scales))]),
        "openems_s": done.seconds,
        "openems_cells": done.cells,
    }


def _reflection(z: Complex) -> Complex:
    return np.asarray((z - 50) / (z + 50))


def _mean_difference(a: Complex, b: Complex) -> float:
    return float(np.abs(a - b).mean())


def _scaled_difference(
    frequencies_hz: Real, a: Complex, b: Complex, scale: float
) -> float:
    """Mean |ΔS11| after a's frequencies are multiplied by 1 + scale."""
    at = frequencies_hz / (1 + scale)
    moved = np.interp(at, frequencies_hz, a.real) + 1j * np.interp(
        at, frequencies_hz, a.imag
    )
    return _mean_difference(moved, b)


def _summary(lines: Sequence[dict[str, Any]], seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    figures: dict[str, Any] = {"design": "all", "designs": len(lines)}
    for name in (
        "coarse_fine",
        "fine_openems_raw",
        "fine_openems",
        "fine_openems_scaled",
    ):
        values = np.array([line[name] for line in lines if name in line])
        if len(values):
            means = rng.choice(values, (_RESAMPLES, len(values))).mean(axis=1)
            figures[name] = float(values.mean())
            figures[f"{name}_interval"] = np.quantile(means, (0.025, 0.975)).tolist()
    return figures
