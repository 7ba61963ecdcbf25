import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from cost_models.antenna.surrogate import _loss  # noqa: E402
from cost_models.antenna.tape import Node  # noqa: E402
from workers.train.antenna.fit import FLOOR, loss_of  # noqa: E402


def test_loss_is_the_surrogates_own():
    rng = np.random.default_rng(0)
    predicted, truth = (
        (rng.normal(size=(2, 3, 5)) + 1j * rng.normal(size=(2, 3, 5))).astype(
            np.complex64
        )
        * 0.4
        for _ in range(2)
    )
    here = loss_of(torch.tensor(predicted), torch.tensor(truth), torch.ones(2, 5))
    assert float(here) == pytest.approx(
        float(_loss(Node(predicted), truth).value), rel=1e-5
    )


def test_a_perfect_match_does_not_dominate():
    truth = torch.zeros(1, 1, 4, dtype=torch.complex64)
    predicted = torch.full((1, 1, 4), FLOOR, dtype=torch.complex64)
    assert float(loss_of(predicted, truth, torch.ones(1, 4))) == pytest.approx(
        FLOOR**2, rel=1e-4
    )


def test_magnitude_heads_do_not_see_the_phase():
    truth = torch.tensor([[[0.5, 0.5j, -0.5]]])
    logs = torch.full((1, 1, 3), math.log(0.5))
    assert float(loss_of(logs, truth, torch.ones(1, 3))) == pytest.approx(0, abs=1e-9)


def test_frequencies_count_for_the_part_of_the_band_next_to_them():
    truth = torch.tensor([[[1.0 + 0j, 1.0]]])
    predicted = torch.tensor([[[1.0 + 0j, 0.0]]])
    little = loss_of(predicted, truth, torch.tensor([[1.9, 0.1]]))
    assert float(little) < 0.1 * float(
        loss_of(predicted, truth, torch.tensor([[0.1, 1.9]]))
    )
