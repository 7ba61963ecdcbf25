"""Facts of a surrogate, and the check whether it covers a job."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from cost_models.antenna.cavity import Cavity
from cost_models.antenna.heads import Head, HeadShape
from cost_models.antenna.nets import NetShape, Trunk

_SAME = 1e-6  # relative difference of numbers that count as equal


@dataclass(frozen=True, kw_only=True)
class BoardFacts:
    """Board, grid and feed that a surrogate is made for, or that a job asks for."""

    eps_r: float
    tan_d: float
    height_m: float
    conductivity_s_m: float
    cells: tuple[int, int]  # along x and y
    cell_m: float
    feed: tuple[int, int] | None = None  # None: any cell
    vias: int = 0  # at most
    f_min_hz: float
    f_max_hz: float

    @property
    def relative_width(self) -> float:
        """Half the range of frequencies over its middle."""
        return (self.f_max_hz - self.f_min_hz) / (self.f_max_hz + self.f_min_hz)


@dataclass(frozen=True, kw_only=True)
class SurrogateFacts:
    """Boards a surrogate was trained for, its form, and its errors on held-out designs."""

    board: BoardFacts
    trunk: Trunk
    head: Head
    width: int
    depth: int
    readout: int
    poles: int
    grid: int
    cavity: bool = True
    z0_ohm: float = 50.0
    samples: int = 0  # coarse designs that it was trained on
    fine_samples: int = 0
    data_sha256: str = ""
    errors: Mapping[str, float] = field(default_factory=dict)
    refinements: int = 0  # times that it was fine-tuned after training

    def __post_init__(self) -> None:
        board = self.board
        if board.cells[0] != board.cells[1]:
            raise ValueError(f"cells: expected a square grid, got {board.cells}")
        if not 0 < board.f_min_hz < board.f_max_hz:
            raise ValueError(
                f"f_min_hz: expected a positive frequency below f_max_hz, got "
                f"{board.f_min_hz:g} and {board.f_max_hz:g}"
            )

    @property
    def net(self) -> NetShape:
        """Sizes of the net."""
        return NetShape(
            trunk=self.trunk,
            head=HeadShape(
                head=self.head,
                poles=self.poles,
                grid=self.grid,
                half_width=self.board.relative_width,
            ),
            width=self.width,
            depth=self.depth,
            readout=self.readout,
            cells=self.board.cells[0],
            cavity=self.cavity,
        )

    @property
    def cavity_model(self) -> Cavity | None:
        """The cavity model whose response the net reads."""
        board = self.board
        return (
            Cavity.of(
                eps_r=board.eps_r,
                height_m=board.height_m,
                cell_m=board.cell_m,
                f_min_hz=board.f_min_hz,
                f_max_hz=board.f_max_hz,
            )
            if self.cavity
            else None
        )

    def to_json(self) -> str:
        """Serialise."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> SurrogateFacts:
        """Read `to_json` again. Raises ValueError, KeyError or TypeError."""
        fields: dict[str, Any] = json.loads(text)
        board: dict[str, Any] = fields.pop("board")
        for name in ("cells", "feed"):
            if board[name] is not None:
                i, j = board[name]
                board[name] = int(i), int(j)
        trunk, head = Trunk(fields.pop("trunk")), Head(fields.pop("head"))
        return cls(board=BoardFacts(**board), trunk=trunk, head=head, **fields)


def outside(facts: SurrogateFacts, wanted: BoardFacts) -> str | None:
    """Return why the surrogate does not cover a job; None when it does.

    `wanted.f_min_hz` and `f_max_hz` are the lowest and highest edge of the job's bands. A closed
    form can be evaluated at any frequency, but means nothing beyond the range it was trained on.
    """
    board = facts.board
    for name, unit in (
        ("eps_r", ""),
        ("tan_d", ""),
        ("height_m", " m"),
        ("conductivity_s_m", " S/m"),
        ("cell_m", " m"),
    ):
        made, required = getattr(board, name), getattr(wanted, name)
        if not math.isclose(made, required, rel_tol=_SAME, abs_tol=1e-12):
            return f"made for {name} {made:g}{unit}, not {required:g}{unit}"
    if board.cells != wanted.cells:
        return f"made for a grid of {_by(board.cells)} cells, not {_by(wanted.cells)}"
    if wanted.vias:
        return "made for designs without vias"
    if board.feed is not None and wanted.feed != board.feed:
        asked_feed = "free" if wanted.feed is None else f"at {wanted.feed}"
        return f"made for a feed at {board.feed}, not {asked_feed}"
    if wanted.f_min_hz < board.f_min_hz or wanted.f_max_hz > board.f_max_hz:
        return (
            f"made for {board.f_min_hz / 1e9:g} to {board.f_max_hz / 1e9:g} GHz, not "
            f"{wanted.f_min_hz / 1e9:g} to {wanted.f_max_hz / 1e9:g} GHz"
        )
    return None


def _by(cells: tuple[int, int]) -> str:
    return f"{cells[0]} x {cells[1]}"
