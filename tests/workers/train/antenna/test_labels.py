import numpy as np
import pytest

from search.domains.antenna.parse import FINE
from solvers.field.moments import MomentMethod, antenna, refined_antenna, reflection
from solvers.field.sweep import sweep
from workers.train.antenna.boards import read_board
from workers.train.antenna.labels import label


@pytest.mark.parametrize("fine", [False, True])
def test_every_feed_has_the_value_of_its_own_solve(board_file, fine):
    board = read_board(board_file)
    tables = board.tables(fine=fine, cache=None)
    rng = np.random.default_rng(0)
    mask = rng.random((6, 6)) < 0.6
    feeds = [(1, 3), (4, 4), (2, 0)]
    for feed in feeds:
        mask[feed] = True
    made = label(tables, mask, feeds, fine=fine)
    assert made.s11.shape == (len(made.solved), 3)
    for number, feed in enumerate(feeds):
        built = (
            refined_antenna(mask, feed, factor=FINE) if fine else antenna(mask, [feed])
        )
        method = MomentMethod(tables, built)
        for row in (0, len(made.solved) // 2, -1):
            expected = reflection(method.input_impedance(int(made.solved[row])))
            assert made.s11[row, number] == pytest.approx(expected, abs=1e-9)
        if number == 0:
            swept = sweep(method)
            np.testing.assert_allclose(made.curve, swept.s11, atol=1e-9)
            assert tuple(made.solved) == swept.solved


def test_metal_of_a_single_cell(board_file):
    tables = read_board(board_file).tables(fine=False, cache=None)
    mask = np.zeros((6, 6), bool)
    mask[1, 3] = True
    made = label(tables, mask, [(1, 3)], fine=False)
    assert np.isfinite(made.s11).all()
    assert np.abs(made.s11).max() <= 1 + 1e-9
