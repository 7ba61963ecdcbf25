"""Losses of self-supervised learning: contrastive, whitening, distillation and masked.

Balestriero et al. (2023), "A Cookbook of Self-Supervised Learning", sections 2 and 3,
https://arxiv.org/abs/2304.12210. Losses of two views take embeddings (N, D), row i of both
belonging to the same object, and return a loss of shape (). Where the publication and its released
code differ, the code is followed and the docstring says so (deploy/docs/design/pretraining.md,
"Losses").
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, mse_loss, normalize, relu

VICREG_EPSILON = 1e-4  # below the square root of a variance
BARLOW_EPSILON = 1e-5  # of batch normalisation
COSINE_EPSILON = 1e-12  # least norm of a vector that is normalised


def info_nce(positive: Tensor, negative: Tensor, *, decoupled: bool = False) -> Tensor:
    """InfoNCE over scores that are already divided by the temperature.

        L = mean over p of −log( e^p / (e^p + Σ_n e^n) )

    Each positive of an anchor competes with all negatives of the same anchor (van den Oord et al.,
    2018). A score of −inf removes a negative, so that anchors may have different numbers of them.

    Args:
        decoupled: leave the positive out of the denominator (Yeh et al., 2022, "Decoupled
            Contrastive Learning"): small batches then lose less of the gradient.

    Shapes: positive (..., P), negative (..., Q); returns ().
    """
    against = torch.logsumexp(negative, dim=-1, keepdim=True)  # (..., 1)
    if decoupled:
        return (against - positive).mean()
    return (torch.logaddexp(positive, against) - positive).mean()


def nt_xent(
    first: Tensor, second: Tensor, *, temperature: float = 0.5, decoupled: bool = False
) -> Tensor:
    """Contrastive loss of SimCLR: each of the 2 N views against the 2 N − 1 others, by cosine.

    Chen et al. (2020), equation 1. Raises ValueError when the temperature is not positive or N < 2.
    """
    _check_pair(first, second)
    if temperature <= 0:
        raise ValueError(f"temperature: expected a positive number, got {temperature}")
    views = normalize(torch.cat([first, second]), dim=1, eps=COSINE_EPSILON)  # (2N, D)
    count = len(first)
    scores = views @ views.T / temperature  # (2N, 2N)
    anchor = torch.arange(2 * count, device=scores.device)
    partner = (anchor + count) % (2 * count)
    left_out = torch.zeros_like(scores, dtype=torch.bool)
    left_out[anchor, anchor] = left_out[anchor, partner] = True
    return info_nce(
        scores[anchor, partner][:, None],
        scores.masked_fill(left_out, -torch.inf),
        decoupled=decoupled,
    )


def vicreg(
    first: Tensor,
    second: Tensor,
    *,
    invariance: float = 25.0,
    variance: float = 25.0,
    covariance: float = 1.0,
) -> Tensor:
    """Variance, invariance and covariance, weighted (Bardes, Ponce and LeCun, 2022).

        invariance · mean (a − b)²
        + variance · ½ Σ over views of mean_j relu(1 − √(var_j + 1e-4))
        + covariance · Σ over views of (1/D) Σ_{i≠j} cov_ij²

    The paper sums (a − b)² over the D columns and has no ½ in the second term; these are the terms
    of the released code. Variance and covariance divide by N − 1.
    """
    _check_pair(first, second)
    spread = [
        relu(1 - torch.sqrt(z.var(dim=0) + VICREG_EPSILON)).mean()
        for z in (first, second)
    ]
    off = [_off_diagonal(_covariance(z)) / z.shape[1] for z in (first, second)]
    return (
        invariance * mse_loss(first, second)
        + variance * (spread[0] + spread[1]) / 2
        + covariance * (off[0] + off[1])
    )


def barlow_twins(first: Tensor, second: Tensor, *, redundancy: float = 0.0051) -> Tensor:
    """Σ_i (1 − C_ii)² + redundancy · Σ_{i≠j} C_ij², C the cross-correlation of the views.

    Zbontar et al. (2021). Columns are normalised as by batch normalisation: with the variance that
    divides by N, and 1e-5 under the root.
    """
    _check_pair(first, second)
    correlation = _standardised(first).T @ _standardised(second) / len(first)  # (D, D)
    on = (1 - torch.diagonal(correlation)).square().sum()
    return on + redundancy * _off_diagonal(correlation)


def byol(
    prediction_of_first: Tensor,
    prediction_of_second: Tensor,
    target_of_first: Tensor,
    target_of_second: Tensor,
) -> Tensor:
    """Squared distance of normalised prediction and target, both ways: 4 − 2 cos − 2 cos.

    Grill et al. (2020), equation 2. The target network's output is not differentiated. BGRL
    (Thakoor et al., 2022) is the same loss, averaged over nodes, and without a projector.
    """
    return (
        4
        - 2 * _agreement(prediction_of_first, target_of_second)
        - 2 * _agreement(prediction_of_second, target_of_first)
    )


def simsiam(
    prediction_of_first: Tensor,
    prediction_of_second: Tensor,
    first: Tensor,
    second: Tensor,
) -> Tensor:
    """−½ cos(p₁, sg z₂) − ½ cos(p₂, sg z₁), sg: no gradient (Chen and He, 2021, equation 4)."""
    return (
        -_agreement(prediction_of_first, second) / 2
        - _agreement(prediction_of_second, first) / 2
    )


def scaled_cosine_error(
    reconstruction: Tensor, features: Tensor, *, power: float = 2.0
) -> Tensor:
    """Mean of (1 − cos)^power over masked rows (GraphMAE: Hou et al., 2022, equation 2).

    Shapes: reconstruction and features (N, F), N masked nodes. Raises ValueError when power < 1.
    """
    if power < 1:
        raise ValueError(f"power: expected a number of at least 1, got {power}")
    cosine = cosine_similarity(reconstruction, features, dim=1, eps=COSINE_EPSILON)
    return (1 - cosine).clamp_min(0).pow(power).mean()


def _check_pair(first: Tensor, second: Tensor) -> None:
    if first.shape != second.shape or first.ndim != 2 or len(first) < 2:
        raise ValueError(
            "views: expected two tensors of one shape (N, D) with N at least 2, "
            f"got {tuple(first.shape)} and {tuple(second.shape)}"
        )


def _covariance(z: Tensor) -> Tensor:
    centred = z - z.mean(dim=0)
    return centred.T @ centred / (len(z) - 1)


def _off_diagonal(square: Tensor) -> Tensor:
    """Return the sum of squares off the diagonal."""
    diagonal = torch.diagonal(square)
    return square.square().sum() - diagonal.square().sum()


def _standardised(z: Tensor) -> Tensor:
    return (z - z.mean(dim=0)) / torch.sqrt(z.var(dim=0, correction=0) + BARLOW_EPSILON)


def _agreement(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the mean cosine; the target has no gradient."""
    return cosine_similarity(
        prediction, target.detach(), dim=1, eps=COSINE_EPSILON
    ).mean()
