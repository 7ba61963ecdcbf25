"""Boards that surrogates are made for: the default one, or a JSON file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from cost_models.antenna.facts import BoardFacts
from cost_models.antenna.modes import BoardTables, nodes
from search.domains.antenna.parse import FINE, field_board, field_grid
from solvers.field.board import Board, Cell, Grid
from solvers.field.coarse import VERSION, coarse_tables, corrected
from solvers.field.tables import Tables, load_tables
from trimtab.faults import faults_of
from trimtab.specs.antenna import AntennaBoard, AntennaGrid, AntennaSpec
from workers.train.steps import StepError

FREQUENCIES = 121
REFERENCE_OHM = 50.0
_LEAST_HZ, _MOST_HZ = 2e9, 8e9
# Of a job's band in messages, and what the file calls it.
_NAMES = {
    "bands[0]: expected f_lo_hz below f_hi_hz": "f_min_hz: expected a value below f_max_hz",
    "bands[0].f_lo_hz": "f_min_hz",
    "bands.0.f_lo_hz": "f_min_hz",
    "bands[0].f_hi_hz": "f_max_hz",
    "bands.0.f_hi_hz": "f_max_hz",
    "bands: expected a highest": "f_max_hz: expected a highest",
    "split the job": "make a surrogate for each part",
}
_KEYS = {"board", "grid", "feed", "f_min_hz", "f_max_hz"}


@dataclass(frozen=True, kw_only=True)
class TrainingBoard:
    """Substrate, grid, feed and frequencies of one surrogate.

    feeds: places of the feed in designs, drawn in turn; None is a feed that the search places.
    """

    board: AntennaBoard
    grid: AntennaGrid
    feeds: tuple[Cell | None, ...] = (None,)
    f_min_hz: float = _LEAST_HZ
    f_max_hz: float = _MOST_HZ

    @cached_property
    def frequencies_hz(self) -> NDArray[np.float64]:
        """Frequencies of the tables, equally spaced."""
        return np.linspace(self.f_min_hz, self.f_max_hz, FREQUENCIES)

    @property
    def slab(self) -> Board:
        """The board for the field solver."""
        return field_board(self.board)

    @property
    def pixels(self) -> Grid:
        """The grid for the field solver."""
        return field_grid(self.grid)

    def tables(self, *, fine: bool, cache: Path | None) -> Tables:
        """Return the tables of the coarse or the fine solver."""
        grid = self.pixels.refined(FINE) if fine else self.pixels
        tables = load_tables(self.slab, grid, self.frequencies_hz, cache=cache)
        return tables if fine else corrected(tables)

    @cached_property
    def mode_tables(self) -> BoardTables:
        """The tables of reduced models, head `modal`: the coarse solver's at a few frequencies."""
        low, high, reference = self.f_min_hz, self.f_max_hz, REFERENCE_OHM
        frequencies = (low + high) / 2 + (high - low) / 2 * nodes()
        solved = coarse_tables(self.slab, self.pixels, frequencies)
        omega, middle = 2 * np.pi * frequencies, np.pi * (low + high)
        # Of a unit rooftop with itself and with the next one along: `MomentMethod.loss_impedance`.
        loss = 2 * self.slab.surface_impedance(frequencies) / (1j * omega)
        along_x, along_y = solved.vector_x.copy(), solved.vector_y.copy()
        for table, next_one in ((along_x, (1, 0)), (along_y, (0, 1))):
            table[:, 0, 0] += loss * 2 / 3
            table[:, *next_one] += loss / 6
        posts = -1j * omega[:, None, None] * solved.post_rooftop
        return BoardTables(
            vector_x=along_x * middle / reference,
            vector_y=along_y * middle / reference,
            scalar=solved.scalar / (middle * reference),
            post=posts / (middle * reference),
            port=1j * omega * solved.post_post[:, 0, 0] / (middle * reference),
        )

    def spec(self, feed: Cell | None, **fields: Any) -> AntennaSpec:
        """Return a spec on this board; without bands in `fields`, with one over all frequencies."""
        low, high = self.f_min_hz, self.f_max_hz
        document = {
            "bands": [{"f_lo_hz": low, "f_hi_hz": high}],
            "board": self.board.model_dump(),
            "grid": self.grid.model_dump(),
            "feed": feed,
            **fields,
        }
        return AntennaSpec.model_validate(document, strict=False)

    @property
    def facts(self) -> BoardFacts:
        """The board as a surrogate's file describes it."""
        slab, grid = self.slab, self.pixels
        feeds = set(self.feeds)
        return BoardFacts(
            eps_r=slab.eps_r,
            tan_d=slab.tan_d,
            height_m=slab.height_m,
            conductivity_s_m=slab.conductivity_s_m,
            cells=(grid.cells, grid.cells),
            cell_m=grid.cell_m,
            feed=None if None in feeds else next(iter(feeds)),
            f_min_hz=self.f_min_hz,
            f_max_hz=self.f_max_hz,
        )

    @property
    def digest(self) -> str:
        """Hash of everything that the labels depend on but the designs."""
        grid = self.pixels, self.frequencies_hz.tobytes(), FINE
        text = repr((self.slab, *grid, VERSION))
        return hashlib.sha256(text.encode()).hexdigest()


DEFAULT = TrainingBoard(board=AntennaBoard(), grid=AntennaGrid(), feeds=(None, (3, 6)))


def read_board(path: Path) -> TrainingBoard:
    """Read a board: `board` and `grid` as in a spec, `feed`, `f_min_hz` and `f_max_hz`.

    Raises StepError with the field, the value and the remedy.
    """
    try:
        document = json.loads(path.read_text())
    except OSError as error:
        raise StepError(
            f"board: expected a readable file, got {path}: {error}"
        ) from error
    except ValueError as error:
        raise StepError(f"board: expected JSON in {path}, got: {error}") from error
    if not isinstance(document, Mapping):
        raise StepError(f"board: expected an object in {path}, got {document!r:.80}")
    if unknown := sorted(set(document) - _KEYS):
        raise StepError(
            f"board: expected the keys {', '.join(sorted(_KEYS))}, got {unknown[0]!r}; remove it"
        )
    low, high = document.get("f_min_hz", _LEAST_HZ), document.get("f_max_hz", _MOST_HZ)
    try:
        # A job on the board: its checks are resolution, electrical size and feed.
        spec = AntennaSpec.model_validate(
            {
                "bands": [{"f_lo_hz": low, "f_hi_hz": high}],
                "board": document.get("board", {}),
                "grid": document.get("grid", {}),
                "feed": document.get("feed"),
            },
            strict=False,
        )
    except ValidationError as error:
        text = str(faults_of(error)[0])
        for name, key in _NAMES.items():
            text = text.replace(name, key)
        raise StepError(f"{path}: {text}") from error
    return TrainingBoard(
        board=spec.board,
        grid=spec.grid,
        feeds=(spec.feed,),
        f_min_hz=spec.lowest_hz,
        f_max_hz=spec.highest_hz,
    )
