"""Views change the share of cells asked for, keep their inputs and repeat with the seed."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from gnn.pretrain import views  # noqa: E402


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_columns_are_dropped_for_all_rows_alike() -> None:
    x = torch.ones(5, 4000)
    dropped = views.drop_features(x, 0.3, rng())
    assert (dropped == dropped[:1]).all()
    assert float((dropped == 0).float().mean()) == pytest.approx(0.3, abs=0.03)


def test_edges_are_dropped_as_pairs() -> None:
    edges = torch.stack([torch.arange(4000), torch.arange(4000) + 7])
    kept = views.drop_edges(edges, 0.4, rng())
    assert kept.shape[1] == pytest.approx(2400, abs=120)
    assert (kept[1] - kept[0] == 7).all()
    assert torch.equal(views.drop_edges(edges, 0.4, rng()), kept)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_hidden_rows_are_zero_and_there_is_at_least_one(share: float) -> None:
    x = torch.ones(1000, 3)
    shown, hidden = views.hide_rows(x, share, rng())
    assert int(hidden.sum()) >= 1
    assert torch.equal(shown == 0, hidden[:, None].expand_as(x))
    assert (x == 1).all()


def test_resampled_cells_stay_in_their_column() -> None:
    x = torch.arange(50.0)[:, None] + 1000 * torch.arange(3.0)
    made = views.resample_cells(x, 0.6, rng())
    assert torch.equal(made // 1000, x // 1000)
    # A cell may draw its own row again.
    assert float((made != x).float().mean()) == pytest.approx(0.6, abs=0.12)


def test_a_share_outside_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"share: expected a number in \[0, 1\), got 1"):
        views.drop_features(torch.ones(2, 2), 1.0, rng())
