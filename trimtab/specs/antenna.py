"""Kind `antenna`: a planar antenna on a given board, searched for given frequency bands."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from trimtab.specs.common import ArtifactRef, Spec, WireModel
from trimtab.specs.remedies import remedied

C0_M_S = 299_792_458.0
LEAST_HZ, MOST_HZ = 5e7, 1e11
LEAST_CELLS_PER_WAVELENGTH = 6.0
# Of the grid in wavelengths: the field solver breaks down below.
_LEAST_ELECTRICAL_SIZE = 0.01
MOST_MARGIN_MM = 24.0  # of a board without a size
_MOST_SPAN = 8.0  # highest frequency over lowest

MODEL_AUTO, MODEL_NONE = "auto", "none"

_DECIBELS = "give dB: -10 is a tenth of the power reflected"
_MILLIMETRES = "give millimetres"
_FRACTION = "give a fraction, e.g. 0.02 for 2 %"

_Index = Annotated[int, Field(ge=0), remedied("count cells from 0")]
Hertz = Annotated[float, Field(gt=0), remedied("give hertz, e.g. 2.45e9")]


class Topology(StrEnum):
    """Shapes that the search tries."""

    RECTANGLES = "rectangles"
    """A few overlapping rectangles, the first one on the feed."""
    PIXELS = "pixels"
    """Any cells: rectangles to begin with, changed cell by cell."""


class SearchMethod(StrEnum):
    """Search method. All use the same rules for legal metal and the same field solver."""

    TABU = "tabu"
    """Tabu search: each step scores all designs that differ in one cell, exactly."""
    ANNEALING = "annealing"
    """Simulated annealing with restarts from the best designs so far."""
    GENETIC = "genetic"
    """Genetic algorithm with crossover of blocks."""
    CROSS_ENTROPY = "cross_entropy"
    """Cross-entropy method over the probability of metal in each cell."""
    CMA_ES = "cma_es"
    """CMA-ES on the coordinates of the rectangles."""
    TREE = "tree"
    """Monte-Carlo tree search: one rectangle placed after another."""
    PLACEMENT = "placement"
    """Reinforcement learning: a policy places one rectangle after another."""
    GRADIENT = "gradient"
    """Gradients through the surrogate over relaxed metal, projected to legal designs; without a
    surrogate, tabu search."""
    RANDOM = "random"
    """Random rectangles: the baseline."""


class Band(WireModel):
    """A band in which the antenna must be matched."""

    f_lo_hz: Hertz
    """Lower edge, hertz."""
    f_hi_hz: Hertz
    """Upper edge, hertz."""
    s11_max_db: Annotated[float, Field(ge=-40, le=-1), remedied(_DECIBELS)] = -10.0
    """Largest |S11| in the band, dB."""


class AvoidBand(WireModel):
    """A band in which the antenna must reflect."""

    f_lo_hz: Hertz
    """Lower edge, hertz."""
    f_hi_hz: Hertz
    """Upper edge, hertz."""
    s11_min_db: Annotated[float, Field(ge=-20, le=-0.1), remedied(_DECIBELS)] = -3.0
    """Least |S11| in the band, dB."""


class AntennaBoard(WireModel):
    """Substrate on a ground plane. The default is like RT/duroid 5880, 3.175 mm thick."""

    eps_r: Annotated[
        float, Field(ge=1, le=12), remedied("give the value relative to air, e.g. 4.4")
    ] = 2.2
    """Relative permittivity of the substrate."""
    tan_d: Annotated[float, Field(ge=0, le=0.1), remedied(_FRACTION)] = 0.001
    """Loss tangent of the substrate."""
    height_mm: Annotated[float, Field(ge=0.05, le=8), remedied(_MILLIMETRES)] = 3.175
    """Thickness of the substrate."""
    conductivity_s_m: Annotated[
        float, Field(ge=1e5, le=1e8), remedied("give S/m, e.g. 5.8e7 for copper")
    ] = 5.8e7
    """Conductivity of metal and ground plane; copper by default."""
    size_mm: Annotated[float, Field(gt=0, le=1000), remedied(_MILLIMETRES)] | None = None
    """Side of the square board with the grid at its centre, for the second solver. None: 24 mm of
    board beyond the grid on each side, or half the wavelength of the lowest frequency if that is
    less."""


class AntennaGrid(WireModel):
    """Square of cells that are metal or not."""

    cells: Annotated[
        int, Field(ge=6, le=19), remedied("change cell_mm to cover the same square")
    ] = 12
    """Cells along each side. More than 19 would exceed the fine solver's 3,000 unknowns."""
    cell_mm: Annotated[float, Field(ge=0.1, le=20), remedied(_MILLIMETRES)] = 3.0
    """Side of a cell."""


class AntennaSpec(Spec):
    """A planar antenna: bands and board in, metal on the grid and its S-parameters out."""

    KIND: ClassVar[str] = "antenna"
    UNIT: ClassVar[str] = "dB"  # of the worst margin over all requirements
    BASIC: ClassVar[tuple[str, ...]] = (
        "bands",
        "avoid",
        "board",
        "grid",
    )
    MODELS: ClassVar[bool] = True
    OUTPUTS: ClassVar[tuple[str, ...]] = (
        "design.json",
        "antenna.s1p",
        "antenna.svg",
        "antenna.png",
        "poles-zeros.csv",
        "s11.svg",
        "smith.svg",
        "pattern.svg",
        "antenna-metal.gbr",
        "antenna-outline.gbr",
        "antenna.drl",
        "antenna.dxf",
        "antenna.gds",
        "antenna-openems.xml",
    )
    SUMMARY: ClassVar[str] = (
        "Searches metal on a board that is matched in given bands; a second field solver checks it."
    )
    LIMITS: ClassVar[tuple[str, ...]] = ("evaluations",)
    EXAMPLE: ClassVar[Mapping[str, Any] | None] = {
        "kind": "antenna",
        "name": "Example: patch antenna at 5.2 GHz",
        "spec": {
            "bands": [{"f_lo_hz": 5.15e9, "f_hi_hz": 5.35e9}],
            "feed": [3, 6],
            "coarse_solves": 200,
        },
        "budget": {"seconds": 120.0},
        "labels": {"example": "5-ghz-patch"},
    }

    bands: Annotated[tuple[Band, ...], Field(min_length=1, max_length=4, strict=False)]
    """Bands in which the antenna must be matched, 1 to 4, without overlap."""
    avoid: Annotated[tuple[AvoidBand, ...], Field(max_length=4, strict=False)] = ()
    """Bands in which it must reflect, up to 4."""
    board: AntennaBoard = Field(default_factory=AntennaBoard)
    """Substrate, its thickness, and the size of the board."""
    grid: AntennaGrid = Field(default_factory=AntennaGrid)
    """Cells that may be metal."""
    feed: Annotated[
        tuple[_Index, _Index] | None,
        Field(strict=False),
    ] = None
    """Cell (along x, along y, from 0) of the feed, a post of one cell from ground to metal. None:
    the search places it."""
    topology: Topology = Topology.PIXELS
    """Few rectangles, or any cells."""
    max_rectangles: Annotated[
        int, Field(ge=1, le=8), remedied("topology pixels has any shape")
    ] = 5
    """Rectangles of a design, at most."""
    max_vias: Annotated[int, Field(ge=0, le=4), remedied("0 is without vias")] = 0
    """Posts from metal to ground beside the feed, at most."""
    z0_ohm: Annotated[float, Field(ge=5, le=500), remedied("give ohms")] = 50.0
    """Reference impedance of S11."""
    min_efficiency: Annotated[float, Field(ge=0, le=0.95), remedied(_FRACTION)] = 0.0
    """Least efficiency at the centre of each band: power that metal and dielectric do not
    dissipate, over accepted power."""
    min_feature_mm: Annotated[float, Field(ge=0, le=100), remedied(_MILLIMETRES)] = 0.0
    """Narrowest metal. 0: one cell."""
    symmetric: bool = False
    """Metal mirrored about the grid's centre line along x."""
    connected: bool = False
    """One piece of metal, without islands."""
    search: SearchMethod = SearchMethod.TABU
    """Search method."""
    model: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")] = MODEL_AUTO
    """Learned surrogate: its name, `none`, or `auto` for the shipped one where it covers the job
    and pays. The result says which was used, or why none."""
    model_file: ArtifactRef | None = None
    """Uploaded surrogate of your own board, made by `python -m workers.train antenna`."""
    coarse_solves: Annotated[
        int, Field(ge=1, le=1_000_000), remedied("300 to 10,000 are usual")
    ] = 1000
    """Designs tried by the coarse solver (one unknown per cell edge), at most."""
    fine_solves: Annotated[
        int, Field(ge=1, le=10_000), remedied("8 to 100 are usual")
    ] = 60
    """Solves by the fine solver (2 x 2 cells per cell), at most; a step that scores all neighbours
    of a design counts as one."""
    verify_runs: Annotated[
        int, Field(ge=0, le=5), remedied("0 leaves the second solver out")
    ] = 3
    """Runs of the second solver, openEMS, at most; a design that it refuses is corrected by what it
    showed. 0: leave the check out."""
    margin_db: Annotated[float, Field(ge=0, le=10), remedied("3 or 4 dB are usual")] = 3.0
    """Margin to reach in every band, by the fine solver. Two solvers differ by about 3 dB."""

    @model_validator(mode="after")
    def _makes_sense(self) -> AntennaSpec:
        _check_bands(self.bands, self.avoid)
        _check_span(self)
        self._check_geometry()
        return self

    def artifacts(self) -> dict[str, ArtifactRef]:
        """Return the uploaded files, by the name of their field."""
        return {} if self.model_file is None else {"model_file": self.model_file}

    @property
    def lowest_hz(self) -> float:
        """Lowest edge of all bands."""
        return min(low for _, low, _ in _named(self.bands, self.avoid))

    @property
    def highest_hz(self) -> float:
        """Highest edge of all bands."""
        return max(high for _, _, high in _named(self.bands, self.avoid))

    @property
    def cells_per_wavelength(self) -> float:
        """Cells per wavelength in the substrate at the highest frequency."""
        wavelength_m: float = C0_M_S / self.highest_hz / math.sqrt(self.board.eps_r)
        return wavelength_m / (self.grid.cell_mm * 1e-3)

    @property
    def size_mm(self) -> float:
        """Side of the grid."""
        return self.grid.cells * self.grid.cell_mm

    @property
    def margin_mm(self) -> float:
        """Board beyond the grid on each side."""
        if self.board.size_mm is not None:
            return (self.board.size_mm - self.size_mm) / 2
        return min(MOST_MARGIN_MM, self.longest_mm / 2)

    @property
    def longest_mm(self) -> float:
        """Wavelength in air at the lowest frequency."""
        return C0_M_S / self.lowest_hz * 1e3

    @property
    def feature_cells(self) -> int:
        """Narrowest metal in cells."""
        return max(1, math.ceil(self.min_feature_mm / self.grid.cell_mm - 1e-9))

    def _check_geometry(self) -> None:
        cells, size_mm = self.grid.cells, self.size_mm
        if self.feed is not None and max(self.feed) >= cells:
            raise ValueError(
                f"feed: expected a cell of the grid, 0 to {cells - 1} each, got "
                f"{list(self.feed)}; the metal cannot reach it elsewhere"
            )
        if self.board.size_mm is not None and self.board.size_mm < size_mm + 2:
            raise ValueError(
                f"board.size_mm: expected at least {size_mm + 2:g} (the grid and 1 mm on each "
                f"side), got {self.board.size_mm:g}; use a larger board or a smaller grid"
            )
        if self.feature_cells > cells // 2:
            raise ValueError(
                f"min_feature_mm: expected at most half the grid ({size_mm / 2:g}), got "
                f"{self.min_feature_mm:g}; give millimetres"
            )
        per_wavelength = self.cells_per_wavelength
        if per_wavelength < LEAST_CELLS_PER_WAVELENGTH:
            cell_mm = self.grid.cell_mm * per_wavelength / LEAST_CELLS_PER_WAVELENGTH
            raise ValueError(
                f"grid.cell_mm: expected at least {LEAST_CELLS_PER_WAVELENGTH:g} cells per "
                f"wavelength in the substrate at the highest frequency, got "
                f"{per_wavelength:.2g}; use cells of at most {cell_mm:.2g} mm"
            )
        lowest = self.lowest_hz
        electrical = size_mm * 1e-3 * lowest / C0_M_S
        if electrical < _LEAST_ELECTRICAL_SIZE:
            needed_mm = _LEAST_ELECTRICAL_SIZE * C0_M_S / lowest * 1e3
            raise ValueError(
                f"grid: expected a side of at least {_LEAST_ELECTRICAL_SIZE:g} wavelengths at "
                f"the lowest frequency ({needed_mm:.3g} mm), got {size_mm:.3g} mm; use a larger "
                "grid or a higher frequency"
            )


def _check_bands(bands: Sequence[Band], avoid: Sequence[AvoidBand]) -> None:
    """Raise ValueError for an edge out of range and for bands that are reversed or overlap."""
    named = _named(bands, avoid)
    for name, low, high in named:
        for edge, value in (("f_lo_hz", low), ("f_hi_hz", high)):
            if not LEAST_HZ <= value <= MOST_HZ:
                unit = "hertz, e.g. 2.45e9 for 2.45 GHz" if value < 1e6 else "hertz"
                raise ValueError(
                    f"{name}.{edge}: expected {LEAST_HZ:g} to {MOST_HZ:g} Hz, got {value:g}; "
                    f"give {unit}"
                )
        if not low < high:
            remedy = "exchange them" if low > high else "give the band a width"
            raise ValueError(
                f"{name}: expected f_lo_hz below f_hi_hz, got {low:g} and {high:g}; {remedy}"
            )
    ordered = sorted(named, key=lambda row: row[1])
    for (first, _, end), (second, begin, _) in itertools.pairwise(ordered):
        if begin < end:
            raise ValueError(
                f"{second}: expected bands that do not overlap, got {begin:g} Hz inside "
                f"{first}, which ends at {end:g} Hz; merge or separate them"
            )


def _check_span(spec: AntennaSpec) -> None:
    low, high = spec.lowest_hz, spec.highest_hz
    if high > _MOST_SPAN * low:
        raise ValueError(
            f"bands: expected a highest frequency of at most {_MOST_SPAN:g} times the lowest, got "
            f"{low:g} to {high:g} Hz; split the job"
        )


def _named(
    bands: Sequence[Band], avoid: Sequence[AvoidBand]
) -> list[tuple[str, float, float]]:
    """Return (name in messages, lower edge, upper edge) of every band."""
    return [
        *((f"bands[{i}]", band.f_lo_hz, band.f_hi_hz) for i, band in enumerate(bands)),
        *((f"avoid[{i}]", band.f_lo_hz, band.f_hi_hz) for i, band in enumerate(avoid)),
    ]
