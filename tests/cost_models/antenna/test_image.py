import numpy as np
import pytest

from cost_models.antenna.image import canonical, image, oriented
from cost_models.antenna.tape import NumpyOps

OPS = NumpyOps()


def picture(mask: np.ndarray) -> np.ndarray:
    return image(OPS, OPS.constant(mask[None].astype(float))).value[0]


def test_channels_are_metal_edges_and_outline():
    mask = np.zeros((5, 5), bool)
    mask[1:4, 1:4] = True
    found = picture(mask)
    assert (found[..., 0] == mask).all()
    # An edge of the method of moments: this cell and the next one along the axis are metal.
    assert found[..., 1].sum() == np.count_nonzero(mask[:-1] & mask[1:])
    assert found[..., 2].sum() == np.count_nonzero(mask[:, :-1] & mask[:, 1:])
    assert found[2, 2, 3] == 0
    assert found[..., 3].sum() == 8


def test_metal_at_the_grids_edge_is_at_the_outline():
    assert picture(np.ones((4, 4), bool))[..., 3].sum() == 12


def test_relaxed_metal_gives_relaxed_edges():
    mask = np.array([[0.5, 1.0], [0.0, 0.5]])
    assert picture(mask)[0, 0, 2] == pytest.approx(0.5)


@pytest.mark.parametrize("orientation", range(8))
def test_orientations_carry_the_feed_along(orientation):
    rng = np.random.default_rng(orientation)
    masks, cells = rng.random((3, 6, 6)) < 0.5, rng.integers(0, 6, (3, 4, 2))
    turned, moved = oriented(masks, cells, orientation)
    for k in range(3):
        for (i, j), (a, b) in zip(cells[k], moved[k], strict=True):
            assert masks[k, i, j] == turned[k, a, b]
        assert canonical(masks[k]) == canonical(turned[k])


def test_the_eight_orientations_are_different():
    mask = np.zeros((1, 4, 4), bool)
    mask[0, 0, :3] = mask[0, 1, 0] = True
    forms = {oriented(mask, np.zeros((1, 1, 2), int), k)[0].tobytes() for k in range(8)}
    assert len(forms) == 8


def test_canonical_form_ignores_translation_only_and_symmetry_only():
    mask = np.zeros((6, 6), bool)
    mask[1:3, 1] = mask[2, 2] = True
    moved = np.roll(mask, (2, 1), axis=(0, 1))
    assert canonical(mask) == canonical(moved)
    other = mask.copy()
    other[3, 1] = True
    assert canonical(mask) != canonical(other)
    assert canonical(np.zeros((3, 3), bool)) == b""
