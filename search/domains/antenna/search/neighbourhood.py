"""All neighbours of a design scored at once, exactly, at either fidelity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from search.domains.antenna.design import Design
from search.domains.antenna.parse import FINE
from search.domains.antenna.search.samples import BandSamples
from search.domains.antenna.search.solve import Evaluator, Fidelity
from solvers.field.board import Cell
from solvers.field.coarse import coarse_tables
from solvers.field.reanalysis import Reanalysis, memory_bytes
from solvers.field.tables import compute_tables

Real = NDArray[np.float64]
_MOST_BYTES = 700_000_000


class Neighbourhood:
    """The present design, and the guides of designs near it.

    samples: where and how responses are judged; those of the evaluator by default.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        fidelity: Fidelity = "coarse",
        samples: BandSamples | None = None,
    ) -> None:
        self._evaluator, self._fidelity = evaluator, fidelity
        self.samples = samples or evaluator.samples
        problem = evaluator.problem
        factor = FINE if fidelity == "fine" else 1
        tables = evaluator.coarse
        if fidelity == "fine" or samples is not None:
            frequencies = self.samples.solved_frequencies_hz
            if factor > 1:
                grid = problem.grid.refined(factor)
                tables = compute_tables(problem.board, grid, frequencies)
            else:
                tables = coarse_tables(problem.board, problem.grid, frequencies)
        self._reanalysis = Reanalysis(
            tables,
            _posts(evaluator),
            vias=problem.spec.max_vias > 0,
            factor=factor,
        )

    @classmethod
    def fits(cls, evaluator: Evaluator, fidelity: Fidelity) -> bool:
        """Return whether the matrices fit into memory."""
        grid, factor = evaluator.problem.grid, FINE if fidelity == "fine" else 1
        n = factor * grid.cells
        unknowns = 2 * n * (n - 1) + (1 + factor**2) * len(_posts(evaluator))
        count = len(evaluator.samples.frequencies_hz)
        return memory_bytes(unknowns, count) <= _MOST_BYTES

    def move(self, design: Design) -> None:
        """Make a design the present one."""
        self._reanalysis.move(design.mask, design.feed, design.vias)

    def guides(self, designs: Sequence[Design]) -> tuple[Real, Real]:
        """Return margin and guide of each design, dB; efficiencies are left out.

        Cheap where they differ from the present design in few cells.
        """
        self._evaluator.neighbours[self._fidelity] += len(designs)
        has = self._reanalysis.unknowns_of(
            np.array([design.mask for design in designs]),
            [design.feed for design in designs],
            [design.vias for design in designs],
        )
        admittances = self._reanalysis.admittances(
            has, [design.feed for design in designs]
        )
        table, guides = self.samples.margins(self.samples.reflections(admittances))
        return table.min(axis=1), guides


def _posts(evaluator: Evaluator) -> list[Cell]:
    """Return the cells that may carry a post: one, or all where feed or vias are free."""
    spec = evaluator.problem.spec
    if spec.feed is not None and spec.max_vias == 0:
        return [spec.feed]
    cells = range(spec.grid.cells)
    return [(i, j) for i in cells for j in cells]
