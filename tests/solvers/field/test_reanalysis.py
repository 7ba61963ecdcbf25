"""Responses from principal pivots equal those of solves, for all kinds of changes."""

from __future__ import annotations

import numpy as np
import pytest

from solvers.field.board import Board, Cell, Grid, Mask
from solvers.field.moments import MomentMethod, refined_antenna
from solvers.field.reanalysis import Reanalysis
from solvers.field.tables import Tables, compute_tables

CELLS = 5
GRID = Grid(cells=CELLS, cell_m=3e-3)
BOARD = Board(eps_r=2.2, tan_d=0.001, height_m=3.175e-3)
EVERY = [(i, j) for i in range(CELLS) for j in range(CELLS)]


def tables(factor: int) -> Tables:
    return compute_tables(BOARD, GRID.refined(factor), np.array([5.0e9, 5.4e9]))


def antennas(seed: int, *, posts: bool) -> list[tuple[Mask, Cell, tuple[Cell, ...]]]:
    """A random antenna, then others that differ in a few cells and, on request, in posts."""
    rng = np.random.default_rng(seed)
    mask, port, vias = rng.random((CELLS, CELLS)) < 0.7, (2, 2), ((0, 0),) * posts
    made = []
    for number in range(12):
        changed = mask.copy()
        for _ in range(number % 4):
            changed[tuple(rng.integers(CELLS, size=2))] ^= True
        if posts and number % 3 == 1:
            port = tuple(map(int, rng.integers(CELLS, size=2)))
        if posts and number % 3 == 2:
            vias = (tuple(map(int, rng.integers(CELLS, size=2))),) * (number % 2)
        kept = tuple(via for via in vias if via != port)
        for post in (port, *kept):
            changed[post] = True
        made.append((changed, port, kept))
    return made


def solved(
    made: tuple[Mask, Cell, tuple[Cell, ...]], on: Tables, factor: int
) -> list[complex]:
    mask, port, vias = made
    method = MomentMethod(on, refined_antenna(mask, port, vias, factor=factor))
    return [1 / method.input_impedance(index) for index in range(2)]


@pytest.mark.parametrize("factor", [1, 2])
@pytest.mark.parametrize("posts", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_neighbours_and_moves_agree_with_solves(
    factor: int, posts: bool, seed: int
) -> None:
    on, made = tables(factor), antennas(seed, posts=posts)
    engine = Reanalysis(on, EVERY if posts else [(2, 2)], vias=posts, factor=factor)
    masks, ports, vias = (list(column) for column in zip(*made, strict=True))
    has = engine.unknowns_of(np.array(masks), ports, vias)
    expected = np.array([solved(antenna, on, factor) for antenna in made])
    for present in (made[0], made[3], made[7]):
        engine.move(*present)
        np.testing.assert_allclose(engine.admittances(has, ports), expected, rtol=1e-9)


def test_large_matrices_are_in_single_precision_and_close(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("solvers.field.reanalysis._SMALL_BYTES", 0)
    on, made = tables(2), antennas(3, posts=False)
    engine = Reanalysis(on, [(2, 2)], factor=2)
    engine.move(*made[0])
    masks, ports, vias = (list(column) for column in zip(*made, strict=True))
    found = engine.admittances(engine.unknowns_of(np.array(masks), ports, vias), ports)
    expected = np.array([solved(antenna, on, 2) for antenna in made])
    np.testing.assert_allclose(found, expected, rtol=2e-3)


def test_many_moves_keep_their_precision() -> None:
    on, rng = tables(1), np.random.default_rng(0)
    engine = Reanalysis(on, [(2, 2)])
    mask = np.ones((CELLS, CELLS), bool)
    for _ in range(100):
        mask[tuple(rng.integers(CELLS, size=2))] ^= True
        mask[2, 2] = mask[2, 3] = True
        engine.move(mask, (2, 2))
    found = engine.admittances(engine.unknowns_of(mask[None], [(2, 2)], [()]), [(2, 2)])
    np.testing.assert_allclose(found[0], solved((mask, (2, 2), ()), on, 1), rtol=1e-8)


def test_a_neighbourhood_needs_a_present_antenna() -> None:
    engine = Reanalysis(tables(1), [(2, 2)])
    with pytest.raises(AssertionError, match="move to an antenna"):
        engine.admittances(np.zeros((1, engine.unknowns), bool), [(2, 2)])
