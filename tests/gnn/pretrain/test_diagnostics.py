"""Label-free scores on embeddings whose rank and spectrum are chosen."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from gnn.pretrain.diagnostics import alpha_req, collapse, lidar, rankme  # noqa: E402


def of_rank(rank: int, rows: int = 400, columns: int = 16) -> torch.Tensor:
    """Embeddings with `rank` equal singular values."""
    rng = np.random.default_rng(rank)
    left, _ = np.linalg.qr(rng.normal(size=(rows, columns)))
    right, _ = np.linalg.qr(rng.normal(size=(columns, columns)))
    return torch.from_numpy(left[:, :rank] @ right[:rank])


@pytest.mark.parametrize("rank", [1, 4, 16])
def test_rankme_is_the_number_of_equal_directions(rank: int) -> None:
    assert rankme(of_rank(rank)) == pytest.approx(rank, rel=1e-3)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_alpha_req_is_the_exponent_of_the_spectrum(alpha: float) -> None:
    rng = np.random.default_rng(0)
    left, _ = np.linalg.qr(rng.normal(size=(500, 21)) - 0)
    left -= left.mean(axis=0)
    left, _ = np.linalg.qr(left)
    made = left[:, :20] * np.arange(1, 21) ** (-alpha / 2)
    assert alpha_req(torch.from_numpy(made)) == pytest.approx(alpha, abs=0.01)
    assert alpha_req(of_rank(1)) == float("inf")


def test_lidar_counts_directions_that_separate_objects() -> None:
    rng = torch.Generator().manual_seed(0)
    objects = torch.zeros(2000, 1, 8, dtype=torch.double)
    objects[..., :3] = 5 * torch.randn(2000, 1, 3, generator=rng, dtype=torch.double)
    noise = torch.randn(2000, 10, 8, generator=rng, dtype=torch.double)
    # Three columns differ between objects; the noise inside objects fills all eight.
    assert lidar(objects + noise) == pytest.approx(3, abs=0.5)
    assert rankme((objects + noise)[:, 0]) > 4
    with pytest.raises(ValueError, match="at least 2 objects with 2 views"):
        lidar(noise[:, :1])


def test_the_alarm_is_raised_by_equal_rows_and_by_few_dimensions_only() -> None:
    rng = torch.Generator().manual_seed(1)
    healthy = torch.randn(300, 16, generator=rng)
    assert not collapse(healthy, target_dimensions=4).alarm
    equal = torch.ones(300, 16) + 1e-5 * healthy
    assert len(collapse(equal, target_dimensions=4).reasons) == 2
    flat = collapse(of_rank(2), target_dimensions=4)
    assert flat.reasons == ("rankme: expected at least 4, got 2",)
    healthy[0, 0] = float("nan")
    assert "finite" in collapse(healthy, target_dimensions=4).reasons[0]
