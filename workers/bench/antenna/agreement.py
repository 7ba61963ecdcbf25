"""Agreement of coarse and fine method of moments and openEMS on random designs, 2-8 GHz."""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.domains.antenna.design import Design
from search.domains.antenna.search.layouts import Vectors
from search.domains.antenna.search.legalise import Rules
from solvers.field.board import Board, Grid
from solvers.field.coarse import corrected
from solvers.field.moments import MomentMethod, refined_antenna
from solvers.field.openems.mesh import MeshSettings, layers_of
from solvers.field.openems.pixels import port_inductance_h, simulation
from solvers.field.openems.probes import impedance
from solvers.field.openems.process import OpenEmsFailed, OpenEmsMissing
from solvers.field.openems.process import run as run_openems
from solvers.field.sweep import sweep
from solvers.field.tables import Tables, compute_tables
from trimtab.specs.antenna import AntennaSpec

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
BOARD = Board(eps_r=2.2, tan_d=0.001, height_m=3.175e-3)
CELL_M = 3e-3
RANGE_HZ = 2e9, 8e9
_LIMIT_S = 900.0
_RESAMPLES = 2000
_SCALES = np.linspace(-0.015, 0.015, 31)
# Of the product (see `simulation_of`), and one with twice the lines within a pixel and half as
# many layers again, for the first designs alone.
_LAYERS = layers_of(BOARD.height_m * 1e3, CELL_M * 1e3)
MESHES = {
    "openems": MeshSettings(slab_layers=_LAYERS),
    "refined": MeshSettings(lines_per_cell=4, slab_layers=3 * _LAYERS // 2),
}
_REFINED = 4
_FINEST = (
    3  # cells along each side of a pixel, to see where the method of moments converges
)


def run(
    *, count: int, cells: int, frequencies: int, seed: int
) -> Iterator[dict[str, Any]]:
    """Yield a line for each design, then one with means and 95 % intervals."""
    grid = Grid(cells=cells, cell_m=CELL_M)
    frequencies_hz = np.linspace(*RANGE_HZ, frequencies)
    tables = {
        factor: compute_tables(BOARD, grid.refined(factor), frequencies_hz)
        for factor in (1, 2, _FINEST)
    }
    coarse = corrected(tables[1])
    lines = []
    for number, design in enumerate(random_designs(count, cells, seed)):
        low, coarse_s = _by_moments(coarse, design, 1)
        plain, _ = _by_moments(tables[1], design, 1)
        high, fine_s = _by_moments(tables[2], design, 2)
        finest, finest_s = _by_moments(tables[_FINEST], design, _FINEST)
        line: dict[str, Any] = {
            "design": number,
            "coarse_fine": mean_difference(low, high),
            "coarse_plain_fine": mean_difference(plain, high),
            "fine_finest": mean_difference(high, finest),
            "coarse_cpu_s": coarse_s,
            "fine_cpu_s": fine_s,
            "finest_cpu_s": finest_s,
        }
        for name, mesh in MESHES.items():
            if name == "refined" and number >= _REFINED:
                continue
            try:
                second = _by_openems(design, grid, frequencies_hz, mesh)
            except (OpenEmsMissing, OpenEmsFailed) as error:
                line[f"{name}_failed"] = str(error)
                continue
            scale, scaled = _best_scale(frequencies_hz, second.s11, high)
            line |= {
                f"fine_{name}_raw": mean_difference(second.raw, high),
                f"fine_{name}": mean_difference(second.s11, high),
                f"fine_{name}_scaled": scaled,
                f"finest_{name}": mean_difference(second.s11, finest),
                f"{name}_scale": scale,
                f"{name}_cpu_s": second.cpu_s,
                f"{name}_mesh_cells": second.cells,
            }
        lines.append(line)
        yield line
    yield _summary(lines, seed)


def random_designs(count: int, cells: int, seed: int) -> list[Design]:
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


def _by_moments(tables: Tables, design: Design, factor: int) -> tuple[Complex, float]:
    """Return S11 by the method of moments, and the CPU seconds of its sweep."""
    began = time.process_time()
    built = refined_antenna(design.mask, design.feed, factor=factor)
    s11 = sweep(MomentMethod(tables, built)).s11
    return s11, time.process_time() - began


@dataclass(frozen=True, kw_only=True)
class _Second:
    """S11 by openEMS."""

    raw: Complex
    s11: (
        Complex  # without the analytic inductance between the two definitions of the port
    )
    cpu_s: float
    cells: int


def _by_openems(
    design: Design, grid: Grid, frequencies_hz: Real, mesh: MeshSettings
) -> _Second:
    """Solve a design by openEMS. Raises OpenEmsMissing or OpenEmsFailed."""
    model = simulation(
        BOARD, grid, design.mask, port=design.feed, band_hz=RANGE_HZ, mesh=mesh
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    with tempfile.TemporaryDirectory() as folder:
        done = run_openems(model, workdir=Path(folder), limit_s=_LIMIT_S)
    assert done is not None, "nothing stops this run"
    z = impedance(done.voltage, done.current, frequencies_hz)
    corrected = z - 2j * np.pi * frequencies_hz * port_inductance_h(BOARD)
    return _Second(
        raw=_reflection(z),
        s11=_reflection(corrected),
        cpu_s=resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before,
        cells=done.cells,
    )


def _reflection(z: Complex) -> Complex:
    return np.asarray((z - 50) / (z + 50))


def mean_difference(
    a: NDArray[np.complexfloating[Any, Any]], b: NDArray[np.complexfloating[Any, Any]]
) -> float:
    """Return the mean |ΔS11| of two curves at the same frequencies."""
    return float(np.abs(a - b).mean())


def _best_scale(frequencies_hz: Real, a: Complex, b: Complex) -> tuple[float, float]:
    """Return the scale of a's frequencies, at most ± 1.5 %, and the least mean |ΔS11|."""

    def difference(scale: float) -> float:
        at = frequencies_hz / (1 + scale)
        moved = np.interp(at, frequencies_hz, a.real) + 1j * np.interp(
            at, frequencies_hz, a.imag
        )
        return mean_difference(moved, b)

    differences = [difference(float(scale)) for scale in _SCALES]
    best = int(np.argmin(differences))
    return float(_SCALES[best]), differences[best]


def _summary(lines: Sequence[dict[str, Any]], seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    figures: dict[str, Any] = {"design": "all", "designs": len(lines)}
    names = [
        name
        for name in lines[0]
        if isinstance(lines[0][name], float) and not name.endswith("_cpu_s")
    ]
    for name in names:
        values = np.array([line[name] for line in lines if name in line])
        if len(values):
            means = rng.choice(values, (_RESAMPLES, len(values))).mean(axis=1)
            figures[name] = float(values.mean())
            figures[f"{name}_interval"] = np.quantile(means, (0.025, 0.975)).tolist()
    return figures
