"""Coarse against fine mesh on several boards, with and without the coarse mesh's correction.

Random designs, mutations of them, and late designs of searches. The correction was fitted to other
designs of the first three boards; it never saw the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from solvers.field.coarse import corrected
from solvers.field.moments import MomentMethod, refined_antenna
from solvers.field.sweep import sweep
from solvers.field.tables import Tables, compute_tables
from trimtab.specs.antenna import AntennaBoard, AntennaGrid
from workers.bench.antenna.agreement import mean_difference, random_designs
from workers.bench.antenna.search import interval
from workers.train.antenna.boards import DEFAULT, TrainingBoard
from workers.train.antenna.designs import Sample, Source, draw, independent
from workers.train.antenna.labels import label

_FREQUENCIES = 61
_A_SEARCH = 60  # designs; those of its second half are compared
_SEARCHES = 4
_SEARCH_SHARD = 3  # a number of a shard that `draw` fills by searches
_FITTED = ("default", "fr4", "ro4003")
# The designs of `agreement`, on the default board: random ones, at all its frequencies.
TWENTY = "agreement"


def _board(
    eps_r: float, tan_d: float, height_mm: float, cells: int, cell_mm: float, **band: Any
) -> TrainingBoard:
    return TrainingBoard(
        board=AntennaBoard(eps_r=eps_r, tan_d=tan_d, height_mm=height_mm),
        grid=AntennaGrid(cells=cells, cell_mm=cell_mm),
        feeds=((cells // 4, cells // 2),),
        **band,
    )


BOARDS: Mapping[str, TrainingBoard] = MappingProxyType(
    {
        TWENTY: DEFAULT,
        "default": DEFAULT,
        "fr4": _board(4.4, 0.02, 1.6, 12, 3.0, f_max_hz=6e9),
        "ro4003": _board(3.38, 0.0027, 0.813, 12, 3.0, f_max_hz=7e9),
        "foam": _board(1.07, 0.001, 5.0, 12, 4.0),
        "ro3010": _board(10.2, 0.0023, 1.27, 14, 1.5),
        "duroid6002": _board(2.94, 0.0012, 0.762, 16, 1.2, f_min_hz=6e9, f_max_hz=18e9),
        "thin": _board(3.66, 0.004, 0.168, 12, 1.2, f_min_hz=5e9, f_max_hz=15e9),
    }
)


def run(*, boards: Sequence[str], designs: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield mean |ΔS11| over 61 frequencies by board and origin of designs, with its interval.

    designs: random ones and mutations of a board; four fifths as many are late ones of searches.
    """
    for name in boards:
        board = BOARDS[name]
        count = len(DEFAULT.frequencies_hz) if name == TWENTY else _FREQUENCIES
        frequencies = np.linspace(board.f_min_hz, board.f_max_hz, count)
        plain = compute_tables(board.slab, board.pixels, frequencies)
        fine = compute_tables(board.slab, board.pixels.refined(2), frequencies)
        coarse = corrected(plain)
        meshes = (plain, 1), (coarse, 1), (fine, 2)
        rng = np.random.default_rng(seed)
        pairs: dict[Source, list[tuple[float, float]]] = {}
        samples = (
            _of_agreement(seed)
            if name == TWENTY
            else _samples(board, coarse, designs, rng)
        )
        for sample in samples:
            before, after, truth = (_curve(sample, *mesh) for mesh in meshes)
            pairs.setdefault(sample.source, []).append(
                (mean_difference(before, truth), mean_difference(after, truth))
            )
        for source, some in sorted(pairs.items()):
            without, with_it = zip(*some, strict=True)
            yield {
                "board": name,
                "eps_r": board.slab.eps_r,
                "thickness_over_cell": board.slab.height_m / board.pixels.cell_m,
                "fitted": name in (TWENTY, *_FITTED),
                "designs_of": Source(source).name.lower(),
                "designs": len(some),
                "coarse_fine": float(np.mean(with_it)),
                "coarse_fine_interval": interval(with_it, np.mean),
                "coarse_plain_fine": float(np.mean(without)),
                "coarse_plain_fine_interval": interval(without, np.mean),
            }


def _of_agreement(seed: int) -> Iterator[Sample]:
    designs = random_designs(20, DEFAULT.grid.cells, seed)
    for number, design in enumerate(designs):
        feeds = (design.feed,)
        yield Sample(
            mask=design.mask, feeds=feeds, source=Source.RECTANGLES, family=number
        )


def _samples(
    board: TrainingBoard, tables: Tables, count: int, rng: np.random.Generator
) -> Iterator[Sample]:
    yield from independent(board, count, rng)
    of_search = max(1, count // 5)
    for _ in range(_SEARCHES):
        visited: list[Sample] = []

        def score(sample: Sample, visited: list[Sample] = visited) -> Any:
            visited.append(sample)
            return label(tables, sample.mask, [sample.feeds[0]], fine=False).model

        draw(board, _SEARCH_SHARD, _A_SEARCH, rng, score)
        late = visited[len(visited) // 2 :]
        for place in np.linspace(0, len(late) - 1, of_search).astype(int):
            yield late[place]


def _curve(sample: Sample, tables: Tables, factor: int) -> Any:
    built = refined_antenna(sample.mask, sample.feeds[0], factor=factor)
    return sweep(MomentMethod(tables, built)).s11
