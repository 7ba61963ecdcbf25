import numpy as np
import pytest

from cost_models.antenna.cavity import NUMBERS, POINTS, Cavity

CAVITY = Cavity.of(eps_r=2.2, height_m=3.175e-3, cell_m=3e-3, f_min_hz=2e9, f_max_hz=8e9)


def test_resonances_are_those_of_a_rectangle():
    """λ_mn = 4 sin²(mπ/2n_x) + 4 sin²(nπ/2n_y) for cells in a rectangle without fringing."""
    plain = Cavity(squares=CAVITY.squares, extension=0.0)
    metal = np.zeros((12, 12))
    metal[2:10, 3:8] = 1
    feed = np.array([[2, 3]])
    m, n = np.arange(8)[:, None], np.arange(5)[None]
    modes = 4 * np.sin(m * np.pi / 16) ** 2 + 4 * np.sin(n * np.pi / 10) ** 2
    # φ² at the corner: (2 − δ_m)(2 − δ_n)/(n_x n_y)·cos²(mπ/16)·cos²(nπ/10)
    excited = (
        np.where(m, 2, 1)
        * np.where(n, 2, 1)
        / 40
        * (np.cos(m * np.pi / 16) * np.cos(n * np.pi / 10)) ** 2
    )
    kappa = CAVITY.squares * (1 - 0.08j)
    expected = (excited[..., None] / (modes[..., None] - kappa)).sum((0, 1))
    found = plain.features(metal, feed)[0]
    np.testing.assert_allclose(
        found, np.arcsinh(4 * np.concatenate([expected.real, expected.imag])), atol=1e-9
    )


def test_only_the_fed_island_counts():
    metal = np.zeros((8, 8))
    metal[:3, :3] = 1
    alone = CAVITY.features(metal, np.array([[1, 1]]))
    metal[5:, 5:] = 1
    np.testing.assert_allclose(
        CAVITY.features(metal, np.array([[1, 1]])), alone, atol=1e-10
    )


def test_symmetry_and_translation_change_nothing():
    rng = np.random.default_rng(0)
    metal = np.zeros((9, 9))
    metal[1:6, 2:7] = rng.random((5, 5)) < 0.7
    metal[3, 4] = 1
    features = CAVITY.features(metal, np.array([[3, 4]]))
    moved = np.roll(metal, (2, 1), axis=(0, 1))
    np.testing.assert_allclose(
        CAVITY.features(moved, np.array([[5, 5]])), features, atol=1e-9
    )
    np.testing.assert_allclose(
        CAVITY.features(metal.T, np.array([[4, 3]])), features, atol=1e-9
    )


@pytest.mark.parametrize("seed", range(3))
def test_pullback_is_the_gradient(seed):
    rng = np.random.default_rng(seed)
    metal, feed = rng.uniform(0.1, 1, (6, 6)), rng.integers(0, 6, 2)
    slope = rng.normal(size=NUMBERS)
    found = CAVITY.pullback(metal, feed, slope)
    for i, j in rng.integers(0, 6, (6, 2)):
        up, down = metal.copy(), metal.copy()
        up[i, j] += 1e-5
        down[i, j] -= 1e-5
        difference = CAVITY.features(up, feed[None]) - CAVITY.features(down, feed[None])
        assert found[i, j] == pytest.approx(
            float(difference[0] @ slope) / 2e-5, rel=1e-3, abs=1e-6
        )


def test_binary_masks_are_the_limit_of_relaxed_ones():
    metal = np.zeros((6, 6))
    metal[1:4, 1:5] = 1
    feed = np.array([[2, 2]])
    nearly = np.where(metal > 0, 1.0, 1.1e-4)
    assert (
        np.abs(CAVITY.features(metal, feed) - CAVITY.features(nearly, feed)).max() < 0.05
    )
    assert CAVITY.features(metal, feed).shape == (1, 2 * POINTS)
