"""An antenna as metal cells with feed and vias, and its form as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from solvers.field.board import Cell, Mask


@dataclass(frozen=True, kw_only=True, eq=False)
class Design:
    """Metal on the grid, the feed's post and posts to ground."""

    mask: Mask  # (cells, cells), [along x, along y]
    feed: Cell
    vias: tuple[Cell, ...] = ()

    @property
    def key(self) -> bytes:
        """Equal for equal designs."""
        return self.mask.tobytes() + repr((self.feed, sorted(self.vias))).encode()

    def to_json(self) -> dict[str, Any]:
        """Return the design as JSON values; a row of `metal` runs along x at one y."""
        rows = ["".join("#" if cell else "." for cell in row) for row in self.mask.T]
        return {
            "metal": rows,
            "feed": list(self.feed),
            "vias": [list(via) for via in self.vias],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Design:
        """Read `to_json` again. Raises ValueError, KeyError or TypeError."""
        rows = data["metal"]
        if not isinstance(rows, list) or not all(isinstance(row, str) for row in rows):
            raise TypeError("metal: expected rows of # and .")
        if len({len(row) for row in rows}) != 1 or set("".join(rows)) - set("#."):
            raise ValueError("metal: expected rows of # and . of one length")
        mask = np.array([[cell == "#" for cell in row] for row in rows], bool).T.copy()
        return cls(
            mask=mask, feed=_cell(data["feed"]), vias=tuple(map(_cell, data["vias"]))
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class AntennaSolution:
    """A design and the objective that the search claims for it."""

    design: Design
    objective_db: float

    def to_bytes(self) -> bytes:
        """Serialise as JSON."""
        claimed = {**self.design.to_json(), "objective_db": self.objective_db}
        return json.dumps(claimed).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> AntennaSolution:
        """Read `to_bytes` again. Raises ValueError, KeyError or TypeError."""
        read = json.loads(data)
        if not isinstance(read, dict):
            raise TypeError("expected an object")
        objective = read["objective_db"]
        if isinstance(objective, bool) or not isinstance(objective, int | float):
            raise TypeError("objective_db: expected a number")
        if not np.isfinite(objective):
            raise ValueError("objective_db: expected a finite number")
        return cls(design=Design.from_json(read), objective_db=float(objective))


def _cell(value: Any) -> Cell:
    i, j = value
    if type(i) is not int or type(j) is not int:
        raise TypeError(f"cell: expected two integers, got {value!r}")
    return i, j
