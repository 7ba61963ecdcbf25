import numpy as np
import pytest

from cost_models.antenna.mode_gradients import pullback, reduced_nodes
from cost_models.antenna.modes import ARRAYS, Modes, Reduced, reduce_many
from cost_models.antenna.tape import Node, gradients
from tests.cost_models.antenna.conftest import TRAINING

TABLES = TRAINING.mode_tables
FEEDS = np.array([[1, 2], [3, 3]])
STEP = 1e-5
# The signs of modes are free: an element between two modes, or a mode and a feed, has none.
EVEN = ["electric", "magnetic", "scalars", "inductance", "elastance", "rest"]


@pytest.mark.parametrize("name", EVEN)
def test_pullback_is_the_gradient_of_finite_differences(name):
    rng = np.random.default_rng(0)
    metal, modes = rng.uniform(0.2, 1, (4, 4)), 4
    made = Modes(TABLES, metal, FEEDS, modes).reduced
    slope = {key: np.zeros_like(getattr(made, key)) for key in ARRAYS}
    slope[name] = rng.normal(size=slope[name].shape)
    if name in ("inductance", "elastance"):
        slope[name] *= np.eye(modes)
    found = pullback(Modes(TABLES, metal, FEEDS, modes), Reduced(**slope))

    def loss(at: np.ndarray) -> float:
        again = getattr(Modes(TABLES, at, FEEDS, modes).reduced, name)
        return float((again * slope[name]).sum())

    for i, j in ((0, 0), (1, 2), (3, 3), (2, 1)):
        up, down = metal.copy(), metal.copy()
        up[i, j] += STEP
        down[i, j] -= STEP
        expected = (loss(up) - loss(down)) / (2 * STEP)
        assert found[i, j] == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_nodes_hold_the_models_and_their_gradient():
    rng = np.random.default_rng(2)
    metal = rng.uniform(0.3, 1, (2, 4, 4)).astype(np.float32)
    cells = np.stack([FEEDS, FEEDS])
    node = Node(metal)
    made = reduced_nodes(TABLES, node, cells, 4)
    plain = vars(reduce_many(TABLES, metal, cells, 4))
    for name in ARRAYS:
        np.testing.assert_allclose(getattr(made, name).value, plain[name], atol=1e-5)
    # Both feeds see the same modes: signs cancel in the product.
    between = (made.coupling[:, 0] * made.coupling[:, 1]).sum()
    slope = gradients(between, [node])[0]

    def loss(at: np.ndarray) -> float:
        both = Modes(TABLES, at, FEEDS, 4).reduced.coupling
        return float((both[0] * both[1]).sum())

    up, down = metal[1].astype(float), metal[1].astype(float)
    up[2, 1] += STEP
    down[2, 1] -= STEP
    expected = (loss(up) - loss(down)) / (2 * STEP)
    assert slope[1, 2, 1] == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_what_vanishes_leaves_the_modes_of_the_rest():
    metal = np.ones((4, 4))
    metal[0] = 0.0
    without = Modes(TABLES, metal, FEEDS, 6).values
    for amount in (0.04, 0.1):
        metal[0] = amount
        values = Modes(TABLES, metal, FEEDS, 6).values[:6]
        np.testing.assert_allclose(values, without[:6], rtol=0.1)


def test_degenerate_modes_leave_the_gradient_finite():
    metal = np.ones((4, 4))  # a square: pairs of equal modes
    made = Modes(TABLES, metal, FEEDS, 5)
    slope = {key: np.ones_like(value) for key, value in vars(made.reduced).items()}
    assert np.isfinite(pullback(made, Reduced(**slope))).all()
