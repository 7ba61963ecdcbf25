"""Trained weights and their only loader.

A file that MANIFEST.toml does not list, or that differs from its row, is refused.
"""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

import numpy as np
from safetensors.numpy import load

FOLDER = Path(__file__).parent


class WeightsRefused(ValueError):
    """A weights file is not the one that its manifest row describes."""


def load_weights(name: str, *, folder: Path = FOLDER) -> dict[str, np.ndarray]:
    """Return the arrays of `<name>.safetensors`. Raises WeightsRefused as `read_learned` does."""
    return load(read_learned(f"{name}.safetensors", folder=folder))


def read_learned(file: str, *, folder: Path = FOLDER) -> bytes:
    """Return the content of a published file after comparing its hash with the manifest.

    The manifest row is named after the file's stem. Raises WeightsRefused when there is no row, the
    file is missing, or its hash differs.
    """
    name = Path(file).stem
    row = manifest(folder).get(name)
    if row is None:
        names = ", ".join(sorted(manifest(folder))) or "none"
        raise WeightsRefused(
            f"weights {name!r}: expected a row in MANIFEST.toml, got no row for that name "
            f"(rows: {names}); train the weights or add the row"
        )
    path = folder / file
    if not path.is_file():
        raise WeightsRefused(
            f"weights {name!r}: {path.name} is missing; restore it or train it again: "
            f"{row['command']}"
        )
    content = path.read_bytes()
    actual, expected = hashlib.sha256(content).hexdigest(), str(row["sha256"])
    if actual != expected:
        raise WeightsRefused(
            f"weights {name!r}: {path.name}: expected sha256 {expected[:16]}… (MANIFEST.toml), "
            f"got {actual[:16]}…; restore the file or train it again"
        )
    return content


def manifest(folder: Path = FOLDER) -> dict[str, dict[str, object]]:
    """Return the rows of MANIFEST.toml by name."""
    path = folder / "MANIFEST.toml"
    return tomllib.loads(path.read_text()) if path.is_file() else {}


def digest(name: str, *, folder: Path = FOLDER) -> str:
    """Return the sha256 of a weights file from its manifest row."""
    return str(manifest(folder)[name]["sha256"])
