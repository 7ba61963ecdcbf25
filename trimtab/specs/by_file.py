"""Which spec a file on this machine means, told by its name."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trimtab.specs.common import Spec
from trimtab.specs.compile import SOURCE_SUFFIXES, CompileSpec
from trimtab.specs.ilp import IlpSpec
from trimtab.specs.sharding import ShardingSpec

# kind → (its spec, the field that takes the file)
_TAKERS: Mapping[str, tuple[type[Spec], str]] = {
    IlpSpec.KIND: (IlpSpec, "model"),
    ShardingSpec.KIND: (ShardingSpec, "tables_file"),
    CompileSpec.KIND: (CompileSpec, "source"),
}


def kind_of_file(path: str | os.PathLike[str]) -> str:
    """`compile` for sources, LLVM IR and archives, `sharding` for lists of tables, `ilp` for all else (.mps, .lp)."""
    name = Path(path).name.lower()
    if name.endswith(SOURCE_SUFFIXES):
        return CompileSpec.KIND
    return ShardingSpec.KIND if name.endswith(".csv") else IlpSpec.KIND


def spec_of_file(
    path: str | os.PathLike[str],
    *,
    kind: str | None = None,
    warm_start: str | os.PathLike[str] | None = None,
    fields: Mapping[str, Any] | None = None,
) -> Spec:
    """A spec of a file, which the client uploads on submit. `fields` are further fields of the spec, as JSON has them.

    Raises ValueError for a kind that takes no file, or when the spec's own rules refuse the fields.
    """
    from trimtab.files import LocalFile  # the server's side of the specs has no use for it

    kind = kind or kind_of_file(path)
    if kind not in _TAKERS:
        raise ValueError(
            f"kind {kind!r} takes no file; kinds that do: {', '.join(sorted(_TAKERS))}"
        )
    model, field = _TAKERS[kind]
    given = {field: path} | ({} if warm_start is None else {"warm_start": warm_start})
    if unknown := sorted(set(given) - set(model.model_fields)):
        raise ValueError(f"kind {kind!r} takes no {unknown[0]}")
    files = {name: LocalFile.of(where) for name, where in given.items()}
    body = {
        **(fields or {}),
        **{name: file.model_dump(mode="json") for name, file in files.items()},
    }
    return model.model_validate_json(json.dumps(body)).model_copy(update=files)


def set_field(fields: dict[str, Any], text: str) -> None:
    """Put `a.b=VALUE` into nested `fields`; the value is JSON, or else the text itself. Raises ValueError."""
    path, equals, value = text.partition("=")
    keys = path.split(".")
    if not equals or not all(keys):
        raise ValueError(
            f"{text!r} came; wanted FIELD=VALUE, e.g. target.triple=aarch64-unknown-linux-gnu"
        )
    inner = fields
    for key in keys[:-1]:
        inner = inner.setdefault(key, {})
        if not isinstance(inner, dict):
            raise ValueError(f"{text!r} came, but {key!r} was given as {inner!r} before")
    try:
        inner[keys[-1]] = json.loads(value)
    except json.JSONDecodeError:
        inner[keys[-1]] = value
