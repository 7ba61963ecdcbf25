"""Sums, means and softmax over groups of rows."""

from __future__ import annotations

import torch
from torch import Tensor


def scatter_sum(rows: Tensor, group: Tensor, groups: int) -> Tensor:
    """Sum rows by group, (M, D), (M,) → (groups, D); an empty group is zero."""
    return rows.new_zeros(groups, *rows.shape[1:]).index_add_(0, group, rows)


def scatter_mean(rows: Tensor, group: Tensor, groups: int) -> Tensor:
    """Average rows by group, (M, D), (M,) → (groups, D); an empty group is zero."""
    count = rows.new_zeros(groups).index_add_(0, group, rows.new_ones(len(rows)))
    return scatter_sum(rows, group, groups) / count.clamp_min(1)[:, None]


def scatter_softmax(scores: Tensor, group: Tensor, groups: int) -> Tensor:
    """Softmax within groups, (M, H), (M,) → (M, H).

    Each column sums to one over each group that is not empty.
    """
    with torch.no_grad():  # a softmax does not depend on the number subtracted
        index = group[:, None].expand_as(scores)
        top = scores.new_full((groups, scores.shape[1]), -torch.inf).scatter_reduce_(
            0, index, scores, "amax"
        )
    weight = torch.exp(scores - top[group])  # (M, H)
    return weight / scatter_sum(weight, group, groups)[group]
