from functools import cache

import numpy as np
import pytest

from cost_models.antenna.image import oriented
from cost_models.antenna.modal import uncorrected
from cost_models.antenna.modes import (
    ARRAYS,
    NODES,
    Modes,
    Reduced,
    interpolation,
    nodes,
    reduce_many,
    turned_input,
)
from cost_models.antenna.tape import Node
from solvers.field.coarse import coarse_tables
from solvers.field.moments import MomentMethod, antenna, reflection
from solvers.field.tables import Tables
from tests.cost_models.antenna.conftest import CELLS, TRAINING, designs

TABLES = TRAINING.mode_tables
X = np.linspace(-1, 1, 7)


def response(masks: np.ndarray, feeds: np.ndarray, modes: int) -> np.ndarray:
    """S11 of the reduced models, (n, X)."""
    made = reduce_many(TABLES, masks, feeds[:, None], modes)
    as_nodes = Reduced(**{name: Node(value) for name, value in vars(made).items()})
    return uncorrected(as_nodes, TRAINING.facts.relative_width, X).value[:, 0]


def solved(mask: np.ndarray, feed: np.ndarray) -> np.ndarray:
    """S11 by the method of moments itself, (X,)."""
    method = MomentMethod(_solver(), antenna(mask, [(int(feed[0]), int(feed[1]))]))
    return np.array([reflection(method.input_impedance(k)) for k in range(len(X))])


@cache
def _solver() -> Tables:
    low, high = TRAINING.f_min_hz, TRAINING.f_max_hz
    frequencies = (low + high) / 2 + (high - low) / 2 * X
    return coarse_tables(TRAINING.slab, TRAINING.pixels, frequencies)


def test_more_modes_come_closer_to_the_method_of_moments():
    masks, feeds = designs(6)
    truth = np.array([solved(m, f) for m, f in zip(masks, feeds, strict=True)])
    errors = [np.abs(response(masks, feeds, k) - truth).mean() for k in (2, 6, 12, 36)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 0.03
    assert errors[-1] < 0.006


def test_modes_diagonalise_both_matrices_in_the_middle_of_the_band():
    masks, feeds = designs(5, seed=3)
    for mask, feed in zip(masks, feeds, strict=True):
        modes = Modes(TABLES, mask.astype(float), feed[None], 40)
        made, count, middle = modes.reduced, len(modes.values), NODES // 2
        np.testing.assert_allclose(made.inductance[middle], np.eye(40), atol=1e-9)
        given = made.elastance[middle][:count, :count]
        np.testing.assert_allclose(given, np.diag(modes.values), atol=1e-9)
        # Without modes above the last, nothing is left for the feed.
        assert np.abs(made.rest).max() < 1e-12
        for density in (made.electric, made.magnetic):
            np.testing.assert_allclose(density[:count].sum(axis=(1, 2)), 1, rtol=1e-9)
            assert not density[:, ~mask].any()


def test_one_metal_in_several_islands_has_no_mode_for_their_charges():
    mask = np.zeros((CELLS, CELLS))
    mask[:2], mask[4:] = 1, 1
    modes = Modes(TABLES, mask, np.array([[0, 0]]), 5)
    assert len(modes.values) == 24 - 2
    np.testing.assert_allclose(modes.charges[:12].sum(axis=0), 0, atol=1e-9)


@pytest.mark.parametrize("cells", [[(2, 2)], [(2, 2), (2, 3)], [(2, 2), (3, 2)]])
def test_hardly_any_metal_is_no_error(cells):
    mask = np.zeros((CELLS, CELLS), bool)
    for cell in cells:
        mask[cell] = True
    s11 = response(mask[None], np.array([[2, 2]]), 5)[0]
    np.testing.assert_allclose(s11, solved(mask, np.array([2, 2])), atol=0.02)


def test_turned_and_moved_metal_has_the_same_response():
    rng = np.random.default_rng(1)
    mask = np.zeros((1, CELLS, CELLS), bool)
    mask[0, :4, :5] = rng.random((4, 5)) < 0.7
    mask[0, 1, 1] = True
    whole = response(mask, np.array([[1, 1]]), 8)
    for orientation in range(8):
        turned, cells = oriented(mask, np.array([[[1, 1]]]), orientation)
        np.testing.assert_allclose(response(turned, cells[:, 0], 8), whole, atol=1e-4)
    moved = np.roll(mask, (2, 1), axis=(1, 2))
    np.testing.assert_allclose(response(moved, np.array([[3, 2]]), 8), whole, atol=1e-4)


def test_pictures_of_modes_turn_with_the_metal():
    masks, feeds = designs(2, seed=5)
    made = reduce_many(TABLES, masks, feeds[:, None], 4)
    for orientation in range(8):
        turned, cells = oriented(masks, feeds[:, None], orientation)
        again = reduce_many(TABLES, turned, cells, 4)
        pictures = turned_input(made, orientation)
        for name in ("electric", "magnetic", "scalars", "rest"):
            np.testing.assert_allclose(
                getattr(pictures, name), getattr(again, name), atol=2e-4
            )


def test_interpolation_is_exact_for_polynomials():
    x = np.linspace(-1, 1, 9)
    for power in range(NODES):
        np.testing.assert_allclose(
            interpolation(x) @ nodes() ** power, x**power, atol=1e-12
        )
    assert set(ARRAYS) == set(vars(reduce_many(TABLES, *_one(), 3)))


def _one() -> tuple[np.ndarray, np.ndarray]:
    masks, feeds = designs(1)
    return masks, feeds[:, None]
