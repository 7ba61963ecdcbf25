from __future__ import annotations

import numpy as np
import pytest

from solvers.field.rational import fit


def response(x: np.ndarray) -> np.ndarray:
    return (x - 0.3 - 0.1j) * (x - 0.8) / ((x - 0.5 - 0.02j) * (x - 0.9 - 0.2j))


def test_recovers_a_rational_function_with_its_poles_and_zeros() -> None:
    x = np.linspace(0.2, 1, 15)
    model = fit(x, response(x), tolerance=1e-12)
    fine = np.linspace(0.2, 1, 400)
    assert np.abs(model(fine) - response(fine)).max() < 1e-9
    poles, zeros = model.poles_and_zeros()
    assert sorted(poles, key=lambda p: p.real) == pytest.approx([0.5 + 0.02j, 0.9 + 0.2j])
    assert sorted(zeros, key=lambda z: z.real) == pytest.approx([0.3 + 0.1j, 0.8])


def test_is_exact_at_its_nodes_and_near_the_tolerance_elsewhere() -> None:
    x = np.linspace(0.2, 1, 60)
    y = np.exp(6j * x) / (1 + 30 * (x - 0.6) ** 2)
    model = fit(x, y, tolerance=1e-4)
    assert np.array_equal(model(model.nodes), model.values)
    assert np.abs(model(x) - y).max() < 1e-4
    assert len(model.nodes) < 20


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_samples(count: int) -> None:
    x = np.linspace(0.5, 1, count)
    model = fit(x, x + 1j, tolerance=1e-9)
    assert np.isfinite(model(x)).all()


def test_constant() -> None:
    x = np.linspace(0.2, 1, 9)
    model = fit(x, np.full(9, 0.4 + 0.1j), tolerance=1e-9)
    assert model(np.array([0.33])) == pytest.approx(0.4 + 0.1j)
