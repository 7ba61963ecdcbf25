"""Model file between processes: numbers in .npz, names in .json, no pickle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from search.isolation import Message
from solvers.extras import Extras
from solvers.types import MilpModel

_ARRAYS = (
    "c",
    "col_lower",
    "col_upper",
    "integrality",
    "indptr",
    "indices",
    "data",
    "row_lower",
    "row_upper",
)


def save(model: MilpModel, path: Path) -> Message:
    """Write the arrays to `path` (.npz) and the names beside it; return the scalars."""
    np.savez(path, **{name: getattr(model, name) for name in _ARRAYS})
    extras = None if model.extras is None else model.extras.as_json()
    _names(path).write_text(json.dumps([model.col_names, model.row_names, extras]))
    return {
        "offset": model.offset,
        "maximize": model.maximize,
        "name": model.name,
    }


def load(path: Path, scalars: Message) -> MilpModel:
    """Return the model that `save` wrote; `scalars` is what it returned."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in _ARRAYS}
    col_names, row_names, extras = json.loads(_names(path).read_text())
    return MilpModel(
        **arrays,
        offset=float(scalars["offset"]),
        maximize=bool(scalars["maximize"]),
        name=str(scalars["name"]),
        col_names=tuple(col_names) if col_names is not None else None,
        row_names=tuple(row_names) if row_names is not None else None,
        extras=Extras.from_json(extras) if extras is not None else None,
    )


def remove(path: Path) -> None:
    """Delete both files, if they exist."""
    path.unlink(missing_ok=True)
    _names(path).unlink(missing_ok=True)


def _names(path: Path) -> Path:
    return path.with_suffix(".json")
