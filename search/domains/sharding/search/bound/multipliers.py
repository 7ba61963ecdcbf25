"""Multipliers that prove a bound, for compute, exchange and memory of each device group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from search.domains.sharding.constants import GIB
from search.domains.sharding.encode.items import Items
from search.domains.sharding.encode.plan import Plan
from search.domains.sharding.search.bound.groups import Groups


@dataclass(frozen=True, kw_only=True)
class Multipliers:
    """Multipliers for G groups, J joints of the head and F exchange forms.

    Any numbers in the ranges below prove a bound; good ones prove a tight one.
    """

    # (G,) >= 0, sum 1: weights in the mean that bounds the slowest device.
    weight: np.ndarray
    # (G, J) in [0, 1]: share of each joint in the affine lower bound of the head.
    slope: np.ndarray
    # (F,) >= 0, sum 1: weights in the mean that bounds the exchange.
    form: np.ndarray
    # (G,) >= 0: shares in the mean that bounds the slowest sender, inside and between nodes.
    near: np.ndarray
    far: np.ndarray
    # (G,) >= 0: the same for receivers; at each level, both sum to at most the forms' own rate.
    gets_near: np.ndarray
    gets_far: np.ndarray
    memory: np.ndarray  # (G,) >= 0, milliseconds per GiB

    def valid(self, groups: Groups) -> Multipliers:
        """Return the multipliers projected onto the valid ranges.

        The duals of a solver are in these ranges only up to rounding.
        """
        form = _shares(self.form)
        rate = form @ groups.forms
        near, gets_near = np.split(
            _at_most(np.concatenate([self.near, self.gets_near]), float(rate[0])), 2
        )
        far, gets_far = np.split(
            _at_most(np.concatenate([self.far, self.gets_far]), float(rate[1])), 2
        )
        return Multipliers(
            weight=_shares(self.weight),
            slope=np.clip(self.slope, 0.0, 1.0),
            form=form,
            near=near,
            far=far,
            gets_near=gets_near,
            gets_far=gets_far,
            memory=np.maximum(self.memory, 0.0),
        )

    def alphas(self, groups: Groups) -> np.ndarray:
        """Return (G,) the constant of each group's affine bound."""
        return np.array(
            [
                h.bias + float((h.out * s) @ h.shift)
                for h, s in zip(groups.heads, self.slope, strict=True)
            ]
        )

    def prices(self, items: Items, groups: Groups) -> tuple[np.ndarray, np.ndarray]:
        """Return the price of each option on each group in two parts, (G, O) each.

        The first is its share of the compute, the second of exchange and memory.
        """
        options = items.options
        compute = np.zeros((len(groups), len(options)))
        for g, (head, embedding) in enumerate(
            zip(groups.heads, groups.embedding, strict=True)
        ):
            if self.weight[g] > 0:
                slope = head.skip + (head.out * self.slope[g]) @ head.inner
                compute[g] = embedding @ (slope * self.weight[g] / groups.count[g])
        send = (self.near * groups.near + self.far * groups.far) / groups.count
        send -= (
            self.gets_near * groups.gets_near + self.gets_far * groups.gets_far
        ) / groups.parts
        others = send[:, None] * options.dim + self.memory[:, None] * (
            options.memory / GIB
        )
        return compute, others

    def constant(self, groups: Groups) -> float:
        """Return the terms that no placement changes, apart from the alphas."""
        rate = self.form @ groups.forms
        unsent = (rate[0] - self.near.sum() - self.gets_near.sum()) * groups.near_least
        unsent += (rate[1] - self.far.sum() - self.gets_far.sum()) * groups.far_least
        received = (
            self.gets_near @ groups.gets_near + self.gets_far @ groups.gets_far
        ) * groups.columns
        limited = self.memory > 0  # rooms may be infinite where memory does not count
        return float(
            groups.constant_ms
            + unsent
            + received
            - self.memory[limited] @ groups.room[limited] / GIB
        )


def even(items: Items, groups: Groups, plan: Plan) -> Multipliers:
    """Return first multipliers: equal devices, and slopes at the mean load of the plan."""
    slope = []
    group = groups.of_device[plan.device]
    for g, (head, embedding) in enumerate(
        zip(groups.heads, groups.embedding, strict=True)
    ):
        mean = embedding[plan.option[group == g]].sum(0) / groups.count[g]
        slope.append(head.inner @ mean + head.shift > 0)
    forms = groups.forms[:, 0] * groups.near_least + groups.forms[:, 1] * groups.far_least
    none = np.zeros(len(groups))
    return Multipliers(
        weight=groups.count,
        slope=np.array(slope, dtype=float),
        form=(np.arange(len(forms)) == forms.argmax()).astype(float),
        near=none,
        far=none,
        gets_near=none,
        gets_far=none,
        memory=none,
    ).valid(groups)


def _shares(values: np.ndarray) -> np.ndarray:
    """Scale non-negative parts to sum 1; equal shares when all are 0."""
    values = np.maximum(values, 0.0)
    values = np.where(values < 1e-9 * values.max(initial=0.0), 0.0, values)
    total = values.sum()
    return values / total if total > 0 else np.full(len(values), 1 / len(values))


def _at_most(values: np.ndarray, limit: float) -> np.ndarray:
    """Scale non-negative parts down to a sum of at most `limit`."""
    values = np.maximum(values, 0.0)
    total = float(values.sum())
    return values if total <= limit else values * (limit / total)
