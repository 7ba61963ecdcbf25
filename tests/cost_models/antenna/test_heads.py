import numpy as np
import pytest

from cost_models.antenna.heads import Head, HeadShape, decode
from cost_models.antenna.tape import Node, NumpyOps, gradients

OPS = NumpyOps()
X = np.linspace(-1, 1, 121)[None]
# `modal` is in test_modal.py: its numbers belong to modes, not to a formula alone.
HEADS = [head for head in Head if head is not Head.MODAL]
RATIONAL = [head for head in HEADS if head.rational]
COMPLEX = [head for head in HEADS if not head.magnitude_only]


def response(head: Head, numbers: np.ndarray, x: np.ndarray = X, **sizes) -> np.ndarray:
    shape = HeadShape(head=head, **sizes)
    return decode(OPS, shape, Node(numbers[None, None].astype(np.float32)), x).value[0, 0]


def drawn(head: Head, spread: float, seed: int = 0, **sizes) -> np.ndarray:
    shape = HeadShape(head=head, **sizes)
    return np.random.default_rng(seed).normal(0, spread, shape.numbers)


@pytest.mark.parametrize("head", HEADS)
def test_start_is_a_flat_curve_of_high_reflection(head):
    start = response(head, np.zeros(HeadShape(head=head).numbers))
    size = np.exp(start) if head.magnitude_only else np.abs(start)
    # Twelve evenly spaced factors leave a ripple; no resonance deeper than 6 dB.
    assert size.min() > 0.4
    assert size.max() < 1.35


@pytest.mark.parametrize("spread", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("poles", [4, 12])
def test_rlc_is_passive_for_any_numbers(spread, poles):
    for seed in range(20):
        s11 = response(Head.RLC, drawn(Head.RLC, spread, seed, poles=poles), poles=poles)
        assert np.isfinite(s11).all()
        assert np.abs(s11).max() <= 1 + 1e-5


def test_free_poles_are_not_passive_by_construction():
    # The check above can fail: the same numbers in other forms exceed 1.
    for head in (Head.CZPS, Head.PR):
        worst = max(
            np.abs(response(head, drawn(head, 1.0, seed))).max() for seed in range(5)
        )
        assert worst > 1.0


@pytest.mark.parametrize("head", [Head.CZPS, Head.PR])
def test_poles_are_in_the_stable_half_plane(head):
    """The response continued into Im x < 0 has no pole: it is analytic where e^{jωt} decays."""
    numbers = drawn(head, 3.0, poles=6)
    shape = HeadShape(head=head, poles=6)
    imaginary = numbers[18:24]
    start = np.log(np.expm1(0.2))
    poles = (
        shape.anchors[:, 0]
        + numbers[12:18]
        + 1j * (np.logaddexp(imaginary + start, 0) + 0.004)
    )
    assert poles.imag.min() >= 0.004
    # The decoder has these poles: close to one, on the line through it, |S11| grows as 1/distance.
    x = np.array([[poles[2].real, poles[2].real + 3]])
    near, far = np.abs(response(head, numbers, x, poles=6))
    assert near > 0
    assert np.isfinite([near, far]).all()


def test_log_magnitude_cannot_tell_a_zero_from_its_mirror_image():
    numbers = drawn(Head.CZP, 0.3)
    mirrored = numbers.copy()
    # Zeros have the imaginary parts numbers[12:24] + 0.15.
    mirrored[12:24] = -(numbers[12:24] + 0.15) - 0.15
    np.testing.assert_allclose(
        response(Head.CZP, numbers), response(Head.CZP, mirrored), atol=2e-5
    )
    # The complex form tells them apart: zeros at anchors + a + j(0.15 + b).
    complex_numbers = drawn(Head.CZPS, 0.3)
    turned = complex_numbers.copy()
    turned[12:24] = -(complex_numbers[12:24] + 0.15) - 0.15
    a, b = response(Head.CZPS, complex_numbers), response(Head.CZPS, turned)
    np.testing.assert_allclose(np.abs(a), np.abs(b), rtol=1e-3)
    assert np.abs(a - b).mean() > 0.05


@pytest.mark.parametrize("head", RATIONAL)
def test_order_of_poles_does_not_matter_but_anchors_give_one(head):
    """Exchanging two circuits or pole-zero pairs with their places leaves the curve as it is."""
    shape = HeadShape(head=head, poles=6)
    numbers = drawn(head, 0.3, poles=6)
    groups = 3 if head is Head.RLC else 4
    exchanged = numbers.copy()
    gap = shape.anchors[4, 0] - shape.anchors[1, 0]
    for group in range(groups):
        i, j = 6 * group + 1, 6 * group + 4
        exchanged[i], exchanged[j] = numbers[j], numbers[i]
        if head is Head.RLC and group == 0:
            # Places are log w_k = anchor + 1.5·tanh(a/3).
            step = (np.log(1.69) - np.log(0.4)) / 5 * 3 / 1.5
            exchanged[i] = 3 * np.arctanh(np.tanh(exchanged[i] / 3) + step)
            exchanged[j] = 3 * np.arctanh(np.tanh(exchanged[j] / 3) - step)
        elif group == 2 or (head is not Head.PR and head is not Head.RLC and group == 0):
            exchanged[i] += gap * (head is not Head.RLC)
            exchanged[j] -= gap * (head is not Head.RLC)
    np.testing.assert_allclose(
        response(head, numbers, poles=6), response(head, exchanged, poles=6), atol=2e-4
    )
    # Without moving the places, the curve is another: anchors break the symmetry.
    swapped = numbers.copy()
    swapped[[1, 4]] = numbers[[4, 1]]
    assert (
        np.abs(response(head, numbers, poles=6) - response(head, swapped, poles=6)).max()
        > 1e-3
    )


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("poles", [4, 12, 16])
def test_no_overflow_and_finite_gradients(head, poles):
    shape = HeadShape(head=head, poles=poles)
    for spread in (0.3, 3.0):
        o = Node(
            np.random.default_rng(1)
            .normal(0, spread, (2, 3, shape.numbers))
            .astype(np.float32)
        )
        out = decode(OPS, shape, o, X)
        assert np.isfinite(out.value).all()
        seed = np.ones_like(out.value)
        (slope,) = gradients(
            Node(np.zeros((), np.float32), ((out, lambda _, s=seed: s),)), [o]
        )
        assert np.isfinite(slope).all()


def test_a_zero_on_the_axis_stays_finite_in_the_logarithm():
    numbers = np.zeros(HeadShape(head=Head.CZP, poles=5).numbers)
    numbers[5:10] = -0.15  # all zeros on the axis
    x = np.array([[0.0, 0.3]])  # the third anchor is at 0: a perfect match there
    logs = response(Head.CZP, numbers, x, poles=5)
    assert np.isfinite(logs).all()
    assert logs[0] < logs[1] - 3


@pytest.mark.parametrize("head", COMPLEX)
def test_half_precision_would_overflow_so_decoding_is_in_single(head):
    assert response(head, drawn(head, 0.1)).dtype == np.complex64


def test_grid_heads_interpolate_between_their_frequencies():
    shape = HeadShape(head=Head.DB, grid=3)
    at = response(
        Head.DB, np.array([0.0, -1.0, -4.0]), np.array([[-1, -0.5, 0, 0.5, 1]]), grid=3
    )
    np.testing.assert_allclose(at, [0, -0.5, -1, -2.5, -4], atol=1e-6)
    assert shape.numbers == 3
