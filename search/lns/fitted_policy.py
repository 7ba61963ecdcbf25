"""Scope of a policy that was fitted to a family: the models that jobs may use it on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gnn.policies.out_of_distribution import PREFIX
from search.lns.features import RowFeature, VariableFeature
from search.lns.structure import Structure, structure
from solvers.types import MilpModel

TARGET = "ilp"
_SLACK = 0.1  # that a share may lie outside the range of the fitted instances
_TIMES = 10.0  # larger or smaller than the fitted instances


def _shares(counts: Structure, model: MilpModel) -> dict[str, float]:
    rows = max(1, model.m)
    return {
        "continuous": counts.continuous / max(1, model.n),
        "general_integers": counts.general_integers / max(1, model.n),
        "covering": counts.covering / rows,
        "packing": counts.packing / rows,
        "partitioning": counts.partitioning / rows,
        "equality": counts.equality / rows,
        "mixed": counts.mixed / rows,
    }


def scope_of(models: Sequence[MilpModel]) -> dict[str, Any]:
    """Return the ranges of size and structure of the models that a policy was fitted to."""
    shares = [_shares(structure(model), model) for model in models]
    columns = [model.n for model in models]
    return {
        "columns": [min(columns), max(columns)],
        "shares": {
            name: [min(s[name] for s in shares), max(s[name] for s in shares)]
            for name in shares[0]
        },
    }


def damage(arrays: Mapping[str, np.ndarray]) -> str:
    """Return what a policy's arrays lack; an empty text if the learned arm can read them."""
    rows = len(RowFeature)
    size = len(arrays.get("variable_mean", ()))
    shapes = {
        "variable_mean": (size,),
        "variable_std": (size,),
        "row_mean": (rows,),
        "row_std": (rows,),
        "edge_mean": (2,),
        "edge_std": (2,),
        "skip.weight": (1, size + rows),
        "skip.bias": (1,),
    }
    if not 0 < size <= len(VariableFeature):
        return f"expected up to {len(VariableFeature)} features of variables, got {size}"
    for name, shape in shapes.items():
        if name not in arrays or arrays[name].shape != shape:
            return f"expected {name} of shape {shape}"
    for part in ("centres", "spreads", "radii"):
        if PREFIX + part not in arrays:
            return f"expected {PREFIX}{part}"
    return ""


def misfit(scope: Mapping[str, Any], model: MilpModel) -> str:
    """Return why a model is outside a scope; an empty text if it is inside.

    This needs no LP. The arm compares the features of the root LP as well and disables itself on a
    model unlike those it was fitted to (gnn.policies.out_of_distribution).
    """
    low, high = scope["columns"]
    if not low / _TIMES <= model.n <= high * _TIMES:
        return (
            f"fitted to {low} to {high} columns, this model has {model.n}"
            if low < high
            else f"fitted to {low} columns, this model has {model.n}"
        )
    own = _shares(structure(model), model)
    for name, (least, most) in scope["shares"].items():
        if not least - _SLACK <= own.get(name, 0.0) <= most + _SLACK:
            return (
                f"fitted to a share of {least:.0%} to {most:.0%} {name.replace('_', ' ')}, this "
                f"model has {own.get(name, 0.0):.0%}"
            )
    return ""
