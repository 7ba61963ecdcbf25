"""Packed weights: what they restore, and their products against plain torch."""

from __future__ import annotations

import pytest
import torch

from cuda.kernels.native.library import Library
from cuda.kernels.packed import EXACT, GROUP, Form, PackedMatrix

SHAPES = [(1, 1), (16, 32), (33, 70), (48, 576), (100, 64)]


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def four_bits(outputs: int, inputs: int) -> torch.Tensor:
    """Draw weights as a Q4_1 file holds them."""
    codes = torch.randint(0, 16, (outputs, inputs // GROUP, GROUP)).float()
    codes[..., 0], codes[..., 1] = 0, 15
    scales = (normal(2, outputs, inputs // GROUP, 1) * 0.01).half().float()
    return (scales[0].abs() * codes + scales[1]).reshape(outputs, inputs)


@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rows", [1, 3, 8, 15])
def test_products_equal_plain_torch(
    tier: str, form: Form, shape: tuple[int, int], rows: int
) -> None:
    outputs, inputs = shape
    x, bias = normal(rows, inputs, seed=1), normal(outputs, seed=2)
    matrix = PackedMatrix.pack(normal(outputs, inputs), bias, form=form)
    wanted = x @ matrix.dense().T + bias
    # Integer forms round activations to 8 bits of the largest in a group.
    tolerance = 1e-5 if form in (Form.F32, Form.BF16) else 0.02
    scale = float(wanted.norm()) + 1
    assert float((matrix(x) - wanted).norm()) <= tolerance * scale
    chosen = torch.tensor([outputs - 1, 0, outputs // 2, 0])
    assert torch.equal(matrix.some(x, chosen), matrix(x)[:, chosen])


@pytest.mark.parametrize("form", [Form.Q4, Form.Q8])
def test_tiers_agree_on_integers(native: Library, form: Form) -> None:
    matrix, x = PackedMatrix.pack(normal(64, 96), form=form), normal(5, 96)
    products = [matrix(x) for number in range(3) if native.choose_tier(number)]
    for product in products[1:]:
        torch.testing.assert_close(product, products[0], atol=1e-5, rtol=1e-5)


def test_weights_of_four_bits_are_restored(native: Library) -> None:
    weight = four_bits(64, 96)
    matrix = PackedMatrix.pack(weight)
    assert matrix.form is Form.Q4
    torch.testing.assert_close(matrix.dense(), weight, atol=1e-6, rtol=1e-3)
    rounded = PackedMatrix.pack(weight.bfloat16())
    assert rounded.form is Form.Q4
    assert rounded.error <= EXACT


def test_weights_of_eight_bits_are_restored(native: Library) -> None:
    codes = torch.randint(-126, 127, (32, 3, GROUP)).float()
    codes[..., 0] = 127
    weight = (codes * (normal(32, 3, 1).abs() * 0.01).half().float()).flatten(1)
    matrix = PackedMatrix.pack(weight)
    assert matrix.form is Form.Q8
    torch.testing.assert_close(matrix.dense(), weight, atol=1e-7, rtol=1e-4)


def test_the_error_is_that_of_the_worst_weight(native: Library) -> None:
    weight = normal(16, 32)
    for form in Form:
        matrix = PackedMatrix.pack(weight, form=form)
        error = (matrix.dense() - weight).abs().amax(1) / weight.abs().amax(1)
        if form in (Form.Q4, Form.Q8):
            assert matrix.error == pytest.approx(float(error.max()), rel=1e-4)
        assert float(error.max()) <= {Form.Q4: 0.07, Form.Q8: 0.0041}.get(form, 0.004)


@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_poisoned_inputs_poison_their_row_alone(
    tier: str, form: Form, bad: float
) -> None:
    matrix, x = PackedMatrix.pack(normal(20, 64), form=form), normal(3, 64)
    x[1, 40] = bad
    assert matrix(x).isfinite().all(1).tolist() == [True, False, True]


def test_zeros_and_tiny_weights(tier: str) -> None:
    weight = torch.zeros(16, 64)
    weight[3] = 1e-12
    for form in Form:
        product = PackedMatrix.pack(weight, form=form)(torch.ones(1, 64))
        torch.testing.assert_close(product, torch.zeros(1, 16), atol=1e-9, rtol=0)


def test_bad_arguments_are_errors(native: Library) -> None:
    matrix = PackedMatrix.pack(normal(16, 32))
    with pytest.raises(ValueError, match=r"x: expected \[rows, 32\]"):
        matrix(normal(1, 31))
    for chosen in (16, -1):
        with pytest.raises(ValueError, match="chosen: expected outputs below 16"):
            matrix.some(normal(1, 32), torch.tensor([chosen]))
    with pytest.raises(ValueError, match="finite matrix"):
        PackedMatrix.pack(torch.tensor([[1.0, torch.nan]]))
