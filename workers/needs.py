"""Providers of builder arguments that `search` may not import, by name.

A row of KINDS lists names (`needs=("text_model",)`). The worker's child looks them up here and
passes what they make to the domain's builder: `build(text_model=...)`. So no import runs upwards
from a domain to `workers`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

PROVIDERS: Mapping[str, str] = MappingProxyType(
    {
        "learners": "workers.learn.table:learners",
        "text_model": "workers.llm.client:connected",
    }
)
"""Name → `module:function` that makes the thing, without arguments."""


def provide(
    names: Iterable[str], *, providers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Make the named things, as arguments of a domain's builder. Raises ValueError."""
    providers = PROVIDERS if providers is None else providers
    made = {}
    for name in names:
        if name not in providers:
            listed = ", ".join(sorted(providers)) or "(none)"
            raise ValueError(
                f"needs: expected names of workers.needs.PROVIDERS ({listed}), got {name!r}; "
                "add a row there"
            )
        made[name] = load(providers[name])()
    return made


def load(where: str) -> Any:
    """Return the object that `module:name` names."""
    module, _, name = where.partition(":")
    return getattr(importlib.import_module(module), name)
