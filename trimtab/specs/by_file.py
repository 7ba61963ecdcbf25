"""Specs of files on this machine: the file's name decides the kind."""

from __future__ import annotations

import functools
import importlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from trimtab import specs
from trimtab.errors import SpecError
from trimtab.faults import faults_in
from trimtab.specs.common import FileInput, Spec


@functools.cache
def file_kinds() -> Mapping[str, tuple[type[Spec], FileInput]]:
    """Return the kinds that take a file, each with its spec and the file's field and suffixes."""
    kinds = {}
    for kind, where in specs.SPECS.items():
        module, _, name = where.partition(":")
        spec: type[Spec] = getattr(importlib.import_module(module), name)
        if spec.FILES is not None:
            kinds[kind] = spec, spec.FILES
    return kinds


def suffixes() -> dict[str, tuple[str, ...]]:
    """Return the endings of file names that choose each kind."""
    return {
        kind: files.suffixes
        for kind, (_, files) in file_kinds().items()
        if files.suffixes
    }


def described() -> str:
    """Return the suffixes of each kind as one line for people."""
    return "; ".join(f"{kind}: {' '.join(ends)}" for kind, ends in suffixes().items())


def kind_of_file(path: str | os.PathLike[str]) -> str:
    """Return the kind that a file's name chooses; `ilp` where no suffix matches."""
    name = Path(path).name.lower()
    for kind, (_, files) in file_kinds().items():
        if name.endswith(files.suffixes):
            return kind
    return next(kind for kind, (_, files) in file_kinds().items() if files.fallback)


def spec_of_file(
    path: str | os.PathLike[str],
    *,
    kind: str | None = None,
    warm_start: str | os.PathLike[str] | None = None,
    fields: Mapping[str, Any] | None = None,
) -> Spec:
    """Return a spec of a file; the client uploads the file on submit.

    `fields` are further fields of the spec, as JSON has them. Raises ValueError for a kind that
    takes no file, SpecError when the spec refuses the fields.
    """
    from trimtab.files import LocalFile  # the server's side of the specs does not need it

    kind = kind or kind_of_file(path)
    kinds = file_kinds()
    if kind not in kinds:
        raise ValueError(
            f"kind {kind!r} takes no file; kinds that do: {', '.join(sorted(kinds))}"
        )
    model, files = kinds[kind]
    paths = {files.field: path} | (
        {} if warm_start is None else {"warm_start": warm_start}
    )
    if unknown := sorted(set(paths) - set(model.model_fields)):
        raise ValueError(f"kind {kind!r} takes no {unknown[0]}")
    local = {name: LocalFile.of(where) for name, where in paths.items()}
    references = {name: file.model_dump(mode="json") for name, file in local.items()}
    body = json.dumps({**(fields or {}), **references})
    try:
        return model.model_validate_json(body).model_copy(update=local)
    except ValidationError as error:
        raise SpecError(model.__name__, faults_in(model, error)) from None


def set_field(fields: dict[str, Any], text: str) -> None:
    """Put `a.b=VALUE` into nested `fields`; VALUE is JSON, or else text. Raises ValueError."""
    path, equals, value = text.partition("=")
    keys = path.split(".")
    if not equals or not all(keys):
        raise ValueError(
            f"expected FIELD=VALUE, got {text!r}; e.g. target.triple=aarch64-unknown-linux-gnu"
        )
    inner = fields
    for key in keys[:-1]:
        inner = inner.setdefault(key, {})
        if not isinstance(inner, dict):
            raise ValueError(f"{text!r}: {key!r} already has the value {inner!r}")
    try:
        inner[keys[-1]] = json.loads(value)
    except json.JSONDecodeError:
        inner[keys[-1]] = value
