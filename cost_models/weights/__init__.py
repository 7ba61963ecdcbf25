"""Trained weights, and the one door to them: a file that MANIFEST.toml does not know, or that changed, is refused."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

import numpy as np
from safetensors.numpy import load

FOLDER = Path(__file__).parent


class WeightsRefused(ValueError):
    """A weights file is not the one its manifest row describes."""


def load_weights(name: str, *, folder: Path = FOLDER) -> dict[str, np.ndarray]:
    """The arrays of `<name>.safetensors`. Raises WeightsRefused as `read_learned` does."""
    return load(read_learned(f"{name}.safetensors", folder=folder))


def read_learned(file: str, *, folder: Path = FOLDER) -> bytes:
    """Content of a learned file, which its row in the manifest describes; the row has the name of the file's stem.

    Raises WeightsRefused when the manifest has no row for it, the file is missing, or its hash is another.
    """
    name = Path(file).stem
    row = manifest(folder).get(name)
    if row is None:
        known = ", ".join(sorted(manifest(folder))) or "none"
        raise WeightsRefused(
            f"weights {name!r} have no row in MANIFEST.toml (it has: {known}); train them or add the row"
        )
    path = folder / file
    if not path.is_file():
        raise WeightsRefused(
            f"weights {name!r}: {path.name} is missing; restore it, or train it again: {row['command']}"
        )
    content = path.read_bytes()
    if (found := hashlib.sha256(content).hexdigest()) != row["sha256"]:
        raise WeightsRefused(
            f"weights {name!r}: {path.name} has sha256 {found[:16]}…, its row in MANIFEST.toml {str(row['sha256'])[:16]}…; "
            "restore the file or train it again"
        )
    return content


def manifest(folder: Path = FOLDER) -> dict[str, dict[str, object]]:
    """Rows of MANIFEST.toml by name."""
    path = folder / "MANIFEST.toml"
    return tomllib.loads(path.read_text()) if path.is_file() else {}


def digest(name: str, *, folder: Path = FOLDER) -> str:
    """sha256 of a weights file as its manifest row has it."""
    return str(manifest(folder)[name]["sha256"])
