"""Examples of the role model on disk, so that an interrupted training resumes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from search.domains.plan.reading.roles.model import RoleModel
from workers.train.plan.roles import Example


def kept(
    folder: Path, name: str, source: str, make: Callable[[], Iterable[Example]]
) -> list[Example]:
    """Return the examples of a set: read from its file, or made and written.

    source: hash of what they are made from; a file of another source is made again.
    """
    path = folder / f"{name}-{source[:16]}.npz"
    if path.is_file():
        return _read(path)
    examples = list(make())
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez_compressed(file, **_arrays(examples))  # type: ignore[arg-type]  # names are ours
    os.replace(part, path)
    return examples


def kept_model(path: Path, make: Callable[[], RoleModel]) -> RoleModel:
    """Return the model in a file, or make and write it."""
    if path.is_file():
        return model_in(path)
    model = make()
    write_model(path, model)
    return model


def write_model(path: Path, model: RoleModel) -> None:
    """Write a model to its file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez_compressed(
            file, weights=model.weights, temperature=np.array([model.temperature])
        )
    os.replace(part, path)


def model_in(path: Path) -> RoleModel:
    """Return the model in a file of `kept_model`."""
    with np.load(path, allow_pickle=False) as file:
        return RoleModel(
            weights=file["weights"], temperature=float(file["temperature"][0])
        )


def without(folder: Path, author: str) -> Path:
    """Return the file of the model that has not seen an author's goals."""
    return folder / f"without-{author}.npz"


def digest_of(paths: Sequence[Path], *more: str) -> str:
    """Return the hash of some files and texts."""
    total = hashlib.sha256()
    for path in sorted(paths):
        total.update(path.read_bytes())
    for text in more:
        total.update(text.encode())
    return total.hexdigest()


def _arrays(examples: Sequence[Example]) -> dict[str, np.ndarray]:
    rows = [row for each in examples for row in each.rows]
    return {
        "signs": np.concatenate(rows) if rows else np.zeros(0, dtype=np.int32),
        "row_lengths": np.array([len(row) for row in rows], dtype=np.int32),
        "candidates": np.array([len(each.rows) for each in examples], dtype=np.int32),
        "right": np.concatenate([each.right for each in examples])
        if examples
        else np.zeros(0, dtype=bool),
        "weights": np.array([each.weight for each in examples]),
        "authors": np.array([each.author for each in examples], dtype=np.str_),
        "goals": np.array([each.goal for each in examples], dtype=np.str_),
    }


def _read(path: Path) -> list[Example]:
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    rows = np.split(arrays["signs"], np.cumsum(arrays["row_lengths"])[:-1])
    ends = np.cumsum(arrays["candidates"])
    return [
        Example(
            author=str(arrays["authors"][i]),
            goal=str(arrays["goals"][i]),
            rows=tuple(rows[end - count : end]),
            right=arrays["right"][end - count : end],
            weight=float(arrays["weights"][i]),
        )
        for i, (end, count) in enumerate(zip(ends, arrays["candidates"], strict=True))
    ]
