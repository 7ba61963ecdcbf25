"""The problem of an antenna job: board and grid for the field solvers, frequencies, tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from search.types import InvalidInput
from solvers.field.board import C0, Board, Grid
from solvers.field.tables import Tables, compute_tables
from trimtab.specs.antenna import AntennaBoard, AntennaGrid, AntennaSpec

FINE = 2  # cells of the fine solver along each side of a pixel
_BEYOND = 0.1  # of the lowest and highest frequency, that is solved beyond the bands
_FEWEST, _MOST = 31, 121  # frequencies of the tables
_STEP = 0.012  # between them, relative to the highest frequency
_THICKEST = 0.25  # of the wavelength in the substrate
_BAND_STEP_HZ, _BAND_POINTS = 5e6, 61


def field_board(board: AntennaBoard) -> Board:
    """Return a spec's board for the field solvers."""
    return Board(
        eps_r=board.eps_r,
        tan_d=board.tan_d,
        height_m=board.height_mm * 1e-3,
        conductivity_s_m=board.conductivity_s_m,
    )


def field_grid(grid: AntennaGrid) -> Grid:
    """Return a spec's grid of pixels for the field solvers."""
    return Grid(cells=grid.cells, cell_m=grid.cell_mm * 1e-3)


@dataclass(frozen=True, kw_only=True, eq=False)
class AntennaProblem:
    """A spec with what both field solvers need. Tables are computed on first use."""

    spec: AntennaSpec
    workdir: Path
    model_file: Path | None = None  # an uploaded surrogate
    fitted: tuple[str, bytes] | None = None  # id and file of a registered surrogate

    @cached_property
    def board(self) -> Board:
        """The board for the field solvers."""
        return field_board(self.spec.board)

    @cached_property
    def grid(self) -> Grid:
        """The grid of pixels."""
        return field_grid(self.spec.grid)

    @cached_property
    def range_hz(self) -> tuple[float, float]:
        """Lowest and highest frequency that is solved."""
        return self.spec.lowest_hz * (1 - _BEYOND), self.spec.highest_hz * (1 + _BEYOND)

    @cached_property
    def frequencies_hz(self) -> NDArray[np.float64]:
        """Frequencies of the tables, equally spaced."""
        low, high = self.range_hz
        count = int(np.ceil((high - low) / (_STEP * high))) + 1
        return np.linspace(low, high, min(_MOST, max(_FEWEST, count)))

    @cached_property
    def fine(self) -> Tables:
        """Interaction tables with 2 x 2 cells per pixel."""
        grid = self.grid.refined(FINE)
        return _tables(self.board, grid, *self.range_hz, len(self.frequencies_hz))


@lru_cache(maxsize=4)  # a process that runs several jobs on one board computes them once
def _tables(
    board: Board, grid: Grid, low_hz: float, high_hz: float, count: int
) -> Tables:
    return compute_tables(board, grid, np.linspace(low_hz, high_hz, count))


def parse(spec: AntennaSpec, inputs: Mapping[str, Path], workdir: Path) -> AntennaProblem:
    """Return the problem. Raises InvalidInput for a slab that the solvers do not model."""
    highest = spec.highest_hz
    wavelength_mm = C0 / highest / np.sqrt(spec.board.eps_r) * 1e3
    if spec.board.height_mm > _THICKEST * wavelength_mm:
        raise InvalidInput(
            f"board.height_mm: expected at most a quarter of the wavelength in the substrate at "
            f"{highest / 1e9:.3g} GHz ({_THICKEST * wavelength_mm:.3g} mm), got "
            f"{spec.board.height_mm:g}; use a thinner board: the solvers' posts carry the same "
            "current over their whole length"
        )
    return AntennaProblem(spec=spec, workdir=workdir, model_file=inputs.get("model_file"))


def band_points(low_hz: float, high_hz: float) -> NDArray[np.float64]:
    """Return the frequencies at which a band is judged: 61 or more, at most 5 MHz apart.

    Both edges belong to them. The tables' own points would miss a peak within a narrow band.
    """
    count = max(_BAND_POINTS, int(np.ceil((high_hz - low_hz) / _BAND_STEP_HZ)) + 1)
    return np.linspace(low_hz, high_hz, min(count, 401))
