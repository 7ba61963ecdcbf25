"""Labels of one design: S11 over frequency at several feeds, for the price of one sweep.

The currents on the metal see a feed only through its post's row of the matrix. With Z_ee the
metal's block, C the rows of posts and D their block, the posts' impedance matrix is the Schur
complement S = D − C Z_ee⁻¹ Cᵀ. One factorisation of Z_ee serves every feed: a feed whose posts P
share its current equally has the mean of S_PP as impedance, the other posts carrying no current.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.domains.antenna.parse import FINE
from solvers.field.board import Cell, Mask, refined_mask, refined_post
from solvers.field.moments import MomentMethod, antenna, reflection
from solvers.field.rational import Rational
from solvers.field.slab import Complex
from solvers.field.sweep import sweep
from solvers.field.tables import Tables
from workers.train.antenna.boards import REFERENCE_OHM

Index = NDArray[np.int16]


@dataclass(frozen=True, kw_only=True, eq=False)
class Label:
    """S11 of one design. Interpolated values are in `curve` and `model` alone."""

    solved: Index  # (s,) numbers of the frequencies that were solved
    s11: Complex  # (s, feeds), as solved
    curve: Complex  # (frequencies,), first feed
    model: Rational  # first feed, in x = f / f_max


class SeveralFeeds(MomentMethod):
    """The method of moments of one mask with several feeds; the sweep follows the first."""

    def __init__(
        self, tables: Tables, mask: Mask, feeds: list[Cell], factor: int
    ) -> None:
        self._factor = factor
        groups = [refined_post(feed, factor) for feed in feeds]
        metal = refined_mask(mask, factor)
        super().__init__(
            tables,
            antenna(metal, groups[0], [post for group in groups[1:] for post in group]),
        )
        self.impedances: dict[int, Complex] = {}

    def input_impedance(self, index: int) -> complex:
        """Return the first feed's impedance at frequency number `index`; keep those of all."""
        z = self.matrix(index)
        n = len(z) - len(self.antenna.posts)
        coupling = z[n:, :n]
        schur = z[n:, n:]
        if n:
            schur = schur - coupling @ np.linalg.solve(z[:n, :n], coupling.T)
        size = self._factor**2
        feeds = range(0, len(schur), size)
        self.impedances[index] = np.array(
            [schur[k : k + size, k : k + size].mean() for k in feeds], complex
        )
        return complex(self.impedances[index][0])


def label(tables: Tables, mask: Mask, feeds: list[Cell], *, fine: bool) -> Label:
    """Solve one design at all feeds, which must be different cells of its metal."""
    method = SeveralFeeds(tables, mask, feeds, FINE if fine else 1)
    swept = sweep(method, reference_ohm=REFERENCE_OHM)
    impedance = np.array([method.impedances[index] for index in swept.solved])
    return Label(
        solved=np.array(swept.solved, np.int16),
        s11=np.asarray(reflection(impedance, REFERENCE_OHM)),
        curve=swept.s11,
        model=swept.model,
    )
