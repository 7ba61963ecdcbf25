"""Scores of representations that need no labels, and the alarm when they collapse.

They are alarms: high rank may also be noise that the views failed to remove, and the scores then
fall as probes improve (deploy/docs/design/pretraining.md, "Scores without labels").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

RANKME_EPSILON = 1e-7
LIDAR_RIDGE = 1e-4
FEWEST_COLUMNS = 3  # of a power law
LEAST_SPREAD = 1e-3  # mean spread of a column, over the norm that the rows have


def rankme(embeddings: Tensor) -> float:
    """Effective rank: exp of the entropy of the singular values (Garrido et al., 2023, RankMe).

    Shapes: (N, D). Between 1 (one direction) and min(N, D).
    """
    return _effective_rank(torch.linalg.svdvals(embeddings.detach().double()))


def alpha_req(embeddings: Tensor) -> float:
    """Exponent of the eigenvalues of the covariance, λ_k ∝ k^(−α) (Agrawal et al., 2022, α-ReQ).

    Least squares in logarithms over the eigenvalues above 1e-12 of the greatest; best near 1,
    infinite when fewer than three eigenvalues remain. Shapes: (N, D).
    """
    centred = embeddings.detach().double() - embeddings.detach().double().mean(dim=0)
    values = torch.linalg.svdvals(centred).square().numpy()
    values = values[values > 1e-12 * max(values[0], 1e-300)]
    if len(values) < FEWEST_COLUMNS:
        return float("inf")
    order = np.log(np.arange(1, len(values) + 1))
    return float(-np.polyfit(order, np.log(values), 1)[0])


def lidar(views: Tensor, *, ridge: float = LIDAR_RIDGE) -> float:
    """Effective rank of Σ_w^(−½) Σ_b Σ_w^(−½), between and within objects (Thilak et al., 2024).

    Shapes: views (N, Q, D), Q augmented embeddings of each of N objects. Raises ValueError below
    two objects or two views.
    """
    objects, copies, _ = views.shape
    if objects < 2 or copies < 2:
        raise ValueError(
            "views: expected at least 2 objects with 2 views each, "
            f"got {objects} with {copies}"
        )
    views = views.detach().double()
    centre = views.mean(dim=1)  # (N, D)
    apart = centre - centre.mean(dim=0)
    inside = (views - centre[:, None]).flatten(0, 1)  # (N Q, D)
    between = apart.T @ apart / (objects - 1)
    within = inside.T @ inside / (objects * (copies - 1))
    within = within + ridge * torch.eye(len(within), dtype=within.dtype)
    value, vector = torch.linalg.eigh(within)
    whiten = vector @ torch.diag(value.rsqrt()) @ vector.T
    return _effective_rank(torch.linalg.eigvalsh(whiten @ between @ whiten).clamp_min(0))


@dataclass(frozen=True, kw_only=True)
class Collapse:
    """Scores of one set of embeddings, and the reasons for an alarm."""

    rankme: float
    alpha: float
    spread: float
    """Mean standard deviation of the columns over the root mean square of a row's norm times √D."""
    reasons: tuple[str, ...]

    @property
    def alarm(self) -> bool:
        """Return whether a reason was found."""
        return bool(self.reasons)


def collapse(embeddings: Tensor, *, target_dimensions: int) -> Collapse:
    """Check embeddings (N, D) for complete and dimensional collapse.

    Args:
        target_dimensions: what a task on the embeddings needs at least, for example the number of
            classes minus one.
    """
    embeddings = embeddings.detach()
    if not torch.isfinite(embeddings).all():
        nan = float("nan")
        reason = "embeddings: expected finite numbers, got NaN or infinity"
        return Collapse(rankme=nan, alpha=nan, spread=nan, reasons=(reason,))
    rank, alpha = rankme(embeddings), alpha_req(embeddings)
    norm = embeddings.square().sum(dim=1).mean().sqrt()
    columns = embeddings.shape[1]
    # Equal rows have spread 0, independent columns about 1.
    spread = float(embeddings.std(dim=0).mean() * columns**0.5 / norm.clamp_min(1e-30))
    reasons = []
    if spread < LEAST_SPREAD:
        reasons.append(f"spread: expected at least {LEAST_SPREAD}, got {spread:.2g}")
    if rank < target_dimensions:
        reasons.append(f"rankme: expected at least {target_dimensions}, got {rank:.3g}")
    return Collapse(rankme=rank, alpha=alpha, spread=spread, reasons=tuple(reasons))


def _effective_rank(values: Tensor) -> float:
    share = values / values.sum().clamp_min(1e-300) + RANKME_EPSILON
    return float(torch.exp(-(share * share.log()).sum()))
