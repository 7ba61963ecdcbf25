"""Rectangular patches by both field solvers, against cavity theory and published resonances."""

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

from solvers.field.board import C0, Board, Grid
from solvers.field.moments import MomentMethod, antenna
from solvers.field.openems.mesh import MeshSettings, layers_of
from solvers.field.openems.pixels import simulation
from solvers.field.openems.probes import impedance
from solvers.field.openems.process import OpenEmsFailed, OpenEmsMissing
from solvers.field.openems.process import run as run_openems
from solvers.field.patch import effective_length_m
from solvers.field.sweep import sweep
from solvers.field.tables import compute_tables

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
_SPAN = 0.18  # of the frequencies beside the expected resonance
_TABLE, _DENSE = 41, 721  # frequencies solved at most, and of the search for the peak
_LIMIT_S = 900.0


@dataclass(frozen=True, kw_only=True)
class Patch:
    """A patch of square cells, resonant along x, fed by a post of one cell."""

    name: str
    eps_r: float
    tan_d: float
    height_mm: float
    cell_mm: float
    length: int  # cells along x
    width: int
    feed: int  # cell along x, from the patch's edge
    margin_mm: float = 24.0  # board beyond the patch, for openEMS
    published_hz: float | None = None
    source: str = ""

    @property
    def board(self) -> Board:
        """The board."""
        return Board(eps_r=self.eps_r, tan_d=self.tan_d, height_m=self.height_mm * 1e-3)

    @property
    def grid(self) -> Grid:
        """The square of cells that holds the patch."""
        return Grid(cells=max(self.length, self.width), cell_m=self.cell_mm * 1e-3)

    @property
    def cavity_hz(self) -> float:
        """TM₁₀ of the cavity model with Hammerstad's edge extension.

        Balanis, Antenna Theory, 4th ed., equations 14-1 to 14-4.
        """
        cell_m = self.cell_mm * 1e-3
        half_wave_m = effective_length_m(
            self.board, length_m=self.length * cell_m, width_m=self.width * cell_m
        )
        return C0 / (2 * half_wave_m)


# Thin boards, on which cavity theory is accurate.
CANONICAL: tuple[Patch, ...] = (
    Patch(
        name="32 x 40 mm", eps_r=3.38, tan_d=1e-3, height_mm=1.524, cell_mm=2.0,
        length=16, width=20, feed=4,
    ),
    Patch(
        name="36 x 44 mm", eps_r=2.2, tan_d=1e-3, height_mm=1.6, cell_mm=2.0,
        length=18, width=22, feed=5,
    ),
    Patch(
        name="28 x 36 mm", eps_r=4.4, tan_d=1e-3, height_mm=1.6, cell_mm=2.0,
        length=14, width=18, feed=4,
    ),
    Patch(
        name="24 x 32 mm", eps_r=2.2, tan_d=1e-3, height_mm=0.8, cell_mm=2.0,
        length=12, width=16, feed=3,
    ),
)  # fmt: skip

_CHANG = (
    "measured: Chang, Long and Richards, An experimental investigation of electrically thick "
    "rectangular microstrip antennas, IEEE Trans. Antennas Propag. 34(6), 1986"
)
_MATHWORKS = (
    "simulated: example of the MathWorks Antenna Toolbox, method of moments with a finite board of "
    "80 x 60 mm (github.com/SadiaPikachu/Patch-Microstrip-Antenna-MATLAB-codes-CUET-BME422)"
)


def _measured(
    length_mm: float, width_mm: float, published_ghz: float, feed: int = 5
) -> Patch:
    """Return a patch of Chang et al.: 20 cells long, and as wide as a whole number of cells."""
    cell = length_mm / 20
    return Patch(
        name=f"{length_mm:g} x {width_mm:g} mm", eps_r=2.33, tan_d=1.2e-3, height_mm=3.175,
        cell_mm=cell, length=20, width=round(width_mm / cell), feed=feed,
        published_hz=published_ghz * 1e9, source=_CHANG,
    )  # fmt: skip


PUBLISHED: tuple[Patch, ...] = (
    # The published probe is 5.5 mm from the middle, here 5 mm: cells of 2 mm.
    Patch(
        name="40 x 30 mm", eps_r=2.33, tan_d=0.0, height_mm=1.57, cell_mm=2.0,
        length=20, width=15, feed=7, margin_mm=17.5,
        published_hz=2.37e9, source=_MATHWORKS,
    ),
    _measured(38.0, 57.0, 2.31),
    _measured(30.5, 45.5, 2.89),
    _measured(19.5, 29.5, 4.24),
    _measured(13.0, 19.5, 5.84),
    _measured(11.0, 17.0, 6.80),
    _measured(9.0, 14.0, 7.70),
)  # fmt: skip


def run(patches: Sequence[Patch]) -> Iterator[dict[str, Any]]:
    """Yield a line for each patch: resonances, the frequencies of the largest resistance."""
    for patch in patches:
        expected = patch.published_hz or patch.cavity_hz
        line: dict[str, Any] = {
            "patch": patch.name,
            "eps_r": patch.eps_r,
            "height_mm": patch.height_mm,
            "cavity_hz": patch.cavity_hz,
        }
        if patch.published_hz is not None:
            line |= {"published_hz": patch.published_hz, "source": patch.source}
        line |= _by_moments(patch, expected) | _by_openems(patch, expected)
        yield line


def resonance(frequencies_hz: Real, z: Complex) -> tuple[float, float]:
    """Return (frequency, resistance) of the largest resistance."""
    peak = int(z.real.argmax())
    return float(frequencies_hz[peak]), float(z.real[peak])


def _by_moments(patch: Patch, expected_hz: float) -> dict[str, Any]:
    began = time.process_time()
    frequencies = expected_hz * np.linspace(1 - _SPAN, 1 + _SPAN, _TABLE)
    tables = compute_tables(patch.board, patch.grid, frequencies)
    mask = np.ones((patch.length, patch.width), bool)
    built = antenna(mask, [(patch.feed, patch.width // 2)])
    model = sweep(MomentMethod(tables, built)).model
    dense = expected_hz * np.linspace(1 - _SPAN, 1 + _SPAN, _DENSE)
    s11 = model(dense / frequencies.max())
    at, resistance = resonance(dense, 50 * (1 + s11) / (1 - s11))
    return {
        "moments_hz": at,
        "moments_ohm": resistance,
        "unknowns": built.unknowns,
        "moments_cpu_s": time.process_time() - began,
    }


def _by_openems(patch: Patch, expected_hz: float) -> dict[str, Any]:
    mask = np.ones((patch.length, patch.width), bool)
    model = simulation(
        patch.board,
        patch.grid,
        mask,
        port=(patch.feed, patch.width // 2),
        # A pulse of a wide band is short: the run ends when the antenna has rung down.
        band_hz=(0.5 * expected_hz, 1.5 * expected_hz),
        mesh=MeshSettings(
            edge_mm=min(0.25, patch.cell_mm / 4),
            lines_per_cell=1,
            slab_layers=layers_of(patch.height_mm, patch.cell_mm),
            board_margin_mm=patch.margin_mm,
        ),
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    try:
        with tempfile.TemporaryDirectory() as folder:
            done = run_openems(model, workdir=Path(folder), limit_s=_LIMIT_S)
    except (OpenEmsMissing, OpenEmsFailed) as error:
        return {"openems": str(error)}
    assert done is not None
    dense = expected_hz * np.linspace(1 - _SPAN, 1 + _SPAN, _DENSE)
    at, resistance = resonance(dense, impedance(done.voltage, done.current, dense))
    return {
        "openems_hz": at,
        "openems_ohm": resistance,
        "openems_cells": done.cells,
        "openems_cpu_s": resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before,
    }
