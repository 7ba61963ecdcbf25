"""Write trained weights and their row in the manifest."""

from __future__ import annotations

import datetime
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from cost_models.weights import manifest

LICENCE = "Apache-2.0"


def publish(
    name: str,
    arrays: Mapping[str, np.ndarray],
    *,
    folder: Path,
    command: str,
    data: str,
    metric: str,
) -> None:
    """Write `<name>.safetensors` and its row in the manifest.

    command: the command that made it.
    data: hash of its training data.
    metric: sentence about its performance on held-out data.
    """
    content = save({k: np.ascontiguousarray(v) for k, v in sorted(arrays.items())})
    publish_file(
        f"{name}.safetensors",
        content,
        folder=folder,
        command=command,
        data=data,
        metric=metric,
    )


def publish_file(
    file: str, content: bytes, *, folder: Path, command: str, data: str, metric: str
) -> None:
    """Write a published file and its row, which is named after the file's stem."""
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / file, content)
    rows = manifest(folder)
    rows[Path(file).stem] = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "command": command,
        "data_sha256": data,
        "metric": metric,
        "licence": LICENCE,
        "date": datetime.date.today().isoformat(),
        "bytes": len(content),
    }
    _write_manifest(rows, folder)


def withdraw(name: str, *, folder: Path) -> None:
    """Remove a published file and its row, if they exist."""
    rows = manifest(folder)
    if rows.pop(name, None) is not None:
        _write_manifest(rows, folder)
    for path in folder.glob(f"{name}.*"):
        path.unlink()


def _write_manifest(rows: Mapping[str, Mapping[str, object]], folder: Path) -> None:
    lines = [
        "# Written by cost_models/weights/publish.py. The loader refuses a file that is not here "
        "or whose hash differs."
    ]
    for key in sorted(rows):
        lines += ["", f'["{key}"]'] + [
            f"{field} = {_toml(value)}" for field, value in rows[key].items()
        ]
    _replace(folder / "MANIFEST.toml", ("\n".join(lines) + "\n").encode())


def _toml(value: object) -> str:
    if isinstance(value, int):
        return str(value)
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    os.replace(part, path)
