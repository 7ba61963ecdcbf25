"""Fitted models: write a model file, verify one against its registered hash, choose among them.

A job names `model: auto | shipped | <id>`. The server sends the files of the candidates with the
job, and their hashes beside them; the worker reads a file only if its bytes have that hash.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from trimtab.model_file import (
    METADATA,
    MODEL_FORMAT,
    MOST_BYTES,
    ModelRefused,
    check_header,
)
from trimtab.specs.common import MODEL_AUTO, MODEL_SHIPPED

Scope = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class RegisteredModel:
    """A model that the registry lists for this job, newest first among its like."""

    id: str
    sha256: str
    path: Path


@dataclass(frozen=True, kw_only=True)
class FittedModel:
    """A model whose bytes have the registered hash."""

    id: str
    sha256: str
    target: str
    scope: Scope
    arrays: Mapping[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """The model that a run uses, and why."""

    model: FittedModel | None  # None: the shipped one
    reason: str

    def summary(self) -> dict[str, Any]:
        """Return the entry `model_used` of a result's summary."""
        if self.model is None:
            return {"id": MODEL_SHIPPED, "reason": self.reason}
        return {
            "id": self.model.id,
            "sha256": self.model.sha256,
            "reason": self.reason,
        }


@dataclass(frozen=True, kw_only=True)
class ModelOffer:
    """Model that a job asks for, and the registered ones that it may use."""

    wanted: str = MODEL_AUTO
    models: tuple[RegisteredModel, ...] = ()

    def choose(self, target: str, misfit: Callable[[FittedModel], str]) -> ModelChoice:
        """Return the newest model that fits the job's input.

        misfit: returns why a model does not fit, or an empty text. It must not raise.
        Raises ModelRefused for a model that the job names and that cannot be read; under `auto`
        the shipped one is used instead, and the reason says so.
        """
        if self.wanted == MODEL_SHIPPED:
            return ModelChoice(model=None, reason="the job asks for the shipped model")
        named = self.wanted != MODEL_AUTO
        if named and self.wanted not in {model.id for model in self.models}:
            raise ModelRefused(
                f"model: expected one that the registry lists, got {self.wanted}; only a server "
                "has a registry"
            )
        why = []
        for registered in self.models:
            try:
                model = read_model(registered, target=target)
            except ModelRefused as error:
                if named:
                    raise
                why.append(f"{registered.id} is refused ({error})")
                continue
            if reason := misfit(model):
                why.append(f"{registered.id}: {reason}")
                continue
            how = "named by the job" if named else "the newest that fits"
            return ModelChoice(model=model, reason=f"{how}; its scope covers this input")
        if not self.models:
            return ModelChoice(
                model=None, reason="no fitted model is adopted for this kind"
            )
        return ModelChoice(
            model=None, reason="no fitted model covers this input: " + "; ".join(why)
        )


def write_model(
    path: Path, arrays: Mapping[str, np.ndarray], *, target: str, scope: Scope
) -> None:
    """Write a model file; equal arguments give equal bytes. Raises ModelRefused when too large."""
    stated = {"format": MODEL_FORMAT, "target": target, "scope": dict(scope)}
    text = json.dumps(stated, sort_keys=True, separators=(",", ":"), allow_nan=False)
    content = save(
        {name: np.ascontiguousarray(array) for name, array in sorted(arrays.items())},
        {METADATA: text},
    )
    check_header(content)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    os.replace(part, path)


def read_model(registered: RegisteredModel, *, target: str) -> FittedModel:
    """Read a model whose bytes have the registered hash. Raises ModelRefused."""
    content = read_bounded(registered.path)
    actual = hashlib.sha256(content).hexdigest()
    if actual != registered.sha256:
        raise ModelRefused(
            f"{registered.id}: expected sha256 {registered.sha256[:16]}… as registered, got "
            f"{actual[:16]}…; the file was changed, fit the model again"
        )
    return parse_model(content, id_=registered.id, target=target)


def parse_model(content: bytes, *, id_: str, target: str) -> FittedModel:
    """Parse the bytes of a model file. Raises ModelRefused."""
    header = check_header(content)
    if header.target != target:
        raise ModelRefused(
            f"{id_}: expected a model for kind {target}, got one for {header.target!r}"
        )
    arrays = load(content)
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ModelRefused(f"{id_}: tensor {name!r}: expected finite numbers")
    return FittedModel(
        id=id_,
        sha256=hashlib.sha256(content).hexdigest(),
        target=target,
        scope=header.scope,
        arrays=arrays,
    )


def read_bounded(path: Path) -> bytes:
    """Return the bytes of a model file. Raises ModelRefused when missing or too large."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ModelRefused(f"model file: cannot be read ({error.strerror})") from None
    if len(content) > MOST_BYTES:
        raise ModelRefused(f"model file: expected at most {MOST_BYTES:,} bytes, got more")
    return content
