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
from solvers.field.tables import Tables, compute_tables, load_tables
from trimtab.specs.antenna import AntennaBoard, AntennaGrid, AntennaSpec
from workers.train.steps import StepError

FREQUENCIES = 121
REFERENCE_OHM = 50.0
_LEAST_HZ, _MOST_HZ = 2e9, 8e9
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
        return load_tables(self.slab, grid, self.frequencies_hz, cache=cache)

    @cached_property
    def mode_tables(self) -> BoardTables:
        """The tables of reduced models, head `modal`: the coarse solver's at a few frequencies."""
        low, high, reference = self.f_min_hz, self.f_max_hz, REFERENCE_OHM
        frequencies = (low + high) / 2 + (high - low) / 2 * nodes()
        solved = compute_tables(self.slab, self.pixels, frequencies)
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
        text = repr((self.slab, self.pixels, self.frequencies_hz.tobytes(), FINE))
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
    try:
        made = TrainingBoard(
            board=AntennaBoard.model_validate(document.get("board", {}), strict=False),
            grid=AntennaGrid.model_validate(document.get("grid", {}), strict=False),
            feeds=(_feed(document.get("feed")),),
            f_min_hz=float(document.get("f_min_hz", _LEAST_HZ)),
            f_max_hz=float(document.get("f_max_hz", _MOST_HZ)),
        )
        made.spec(made.feeds[0])  # the checks of a job: resolution, electrical size, feed
    except (ValidationError, ValueError, TypeError) as error:
        raise StepError(f"board: {path}: {_text(error)}") from error
    return made


def _feed(value: Any) -> Cell | None:
    if value is None:
        return None
    if (
        not isinstance(value, list)
        or len(value) != 2
        or {type(v) for v in value} != {int}
    ):
        raise ValueError(f"feed: expected two cell numbers or null, got {value!r:.80}")
    return value[0], value[1]


def _text(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        return f"{place}: {first['msg']}, got {first['input']!r:.80}"
    return str(error)
