import numpy as np
import pytest

from cost_models.antenna.tape import Node, NumpyOps, gradients

OPS = NumpyOps()
RNG = np.random.default_rng(0)


def slope(make, at: np.ndarray) -> np.ndarray:
    """Numerical gradient of a real scalar, in steps that single precision resolves."""
    result = np.zeros_like(at)
    for index in np.ndindex(at.shape):
        for sign in (1, -1):
            moved = at.copy()
            moved[index] += sign * 1e-2
            result[index] += sign * float(make(Node(moved)).value) / 2e-2
    return result


CASES = {
    "arithmetic": lambda x: ((2.0 - x) * x / (x * x + 1.0) - x).sum(),
    "broadcast": lambda x: (x * x.sum(0).reshape(1, 3)).sum(),
    "matmul": lambda x: (OPS.silu(x @ OPS.swap(x, 0, 1)) * OPS.constant(np.eye(2))).sum(),
    "softmax": lambda x: (OPS.softmax(x) * OPS.constant(np.arange(3.0))).sum(),
    "norm": lambda x: (OPS.layer_norm(x) * OPS.constant(np.array([1.0, -2, 5]))).sum(),
    "functions": lambda x: OPS.log(OPS.softplus(x) + OPS.exp(OPS.tanh(x))).sum(),
    "pieces": lambda x: (OPS.concatenate([x[:, 1:], x[:, :1] * 3.0], 1) * x).sum(),
    "mean": lambda x: (x.mean((0, 1)) * x.mean()).sum(),
    "repeated": lambda x: (x[np.array([0, 0, 1])] * OPS.constant(np.ones((3, 3)))).sum(),
}


@pytest.mark.parametrize("case", CASES)
def test_gradients_are_those_of_finite_differences(case):
    at = RNG.normal(size=(2, 3)).astype(np.float32)
    x = Node(at)
    (found,) = gradients(CASES[case](x), [x])
    np.testing.assert_allclose(found, slope(CASES[case], at), atol=2e-2, rtol=2e-2)


def test_gradient_through_complex_numbers():
    weight = np.array([[1 + 2j, 0.5j, -1], [3, 1 - 1j, 2j]], np.complex64)

    def real_part(x: Node) -> Node:
        z = OPS.complex(x, x * x) * weight / OPS.complex(x + 3.0, x)
        # Re z as a node: its gradient is 1.
        return Node(
            np.asarray(z.value.real.sum()), ((z, lambda g: g * np.ones_like(z.value)),)
        )

    at = RNG.normal(size=(2, 3)).astype(np.float32)
    x = Node(at)
    (found,) = gradients(real_part(x), [x])
    assert not np.iscomplexobj(found)
    np.testing.assert_allclose(found, slope(real_part, at), atol=2e-2, rtol=2e-2)


@pytest.mark.parametrize("shape", [(1, 4, 4, 2), (3, 5, 6, 1)])
def test_convolution_is_the_sum_over_neighbours(shape):
    x, w = RNG.normal(size=shape), RNG.normal(size=(3, 3, shape[3], 4))
    found = OPS.conv3(OPS.constant(x), OPS.constant(w)).value
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    expected = sum(
        padded[:, i : i + shape[1], j : j + shape[2]] @ w[i, j]
        for i in range(3)
        for j in range(3)
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_gradient_of_convolution():
    w0 = RNG.normal(size=(3, 3, 2, 2)).astype(np.float32)
    x0 = RNG.normal(size=(1, 4, 3, 2)).astype(np.float32)
    target = OPS.constant(RNG.normal(size=(1, 4, 3, 2)))

    def make(x: Node, w: Node) -> Node:
        return (OPS.conv3(x, w) * target).sum()

    x, w = Node(x0), Node(w0)
    by_x, by_w = gradients(make(x, w), [x, w])
    np.testing.assert_allclose(by_x, slope(lambda n: make(n, w), x0), atol=2e-2)
    np.testing.assert_allclose(by_w, slope(lambda n: make(x, n), w0), atol=2e-2)


def test_unused_nodes_have_zero_gradient():
    x, unused = Node(np.ones(2, np.float32)), Node(np.ones(3, np.float32))
    assert not gradients((x * 2.0).sum(), [unused])[0].any()
