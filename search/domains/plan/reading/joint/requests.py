"""Requests that the jobs of a reading are: their main files, and what the gateway would refuse."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from search.domains.plan.types import Value, Wish
from trimtab.errors import SpecError
from trimtab.specs.common import Spec, request_model

MAIN_FILES: Mapping[str, str] = MappingProxyType(
    {"ilp": "model", "sharding": "tables_file", "compile": "source", "learn": "archive"}
)
"""Field of a kind that takes the file which a job is about."""
_NO_DIGEST = "sha256:" + "0" * 64


def intent_of(
    kind: str,
    values: Sequence[Value],
    files: Mapping[str, str],
    outputs: Mapping[str, Any],
) -> str:
    """Return what a job is for, as the files of words name it."""
    stated = {value.path: value.value for value in values}
    if stated.get("spec.objective") == "run_time":
        return "speed_up"
    if "spec.what_if" in stated:
        return "what_if"
    if "warm_start" in files or "warm_start" in outputs:
        return "warm_start"
    return {
        "ilp": "solve",
        "sharding": "place",
        "compile": "shrink",
        "antenna": "design",
    }.get(kind, "run")


def request_of(wish: Wish) -> dict[str, Any]:
    """Return the request of a wish; files by name. Raises ValueError for a path that cannot be."""
    request: dict[str, Any] = {"spec": {}, "budget": {}}
    rows: list[tuple[str, Any]] = [(value.path, value.value) for value in wish.values]
    rows += [
        (f"spec.{place}", {"digest": _NO_DIGEST, "name": name})
        for place, name in wish.files.items()
    ]
    rows += [
        (f"spec.{place}", {"job": f"#{maker}", "output": output})
        for place, (maker, output) in wish.outputs.items()
    ]
    for path, value in sorted(rows, key=lambda row: _in_order(row[0])):
        _put(request, path.split("."), value)
    return request


def refused(wish: Wish, specs: Mapping[str, type[Spec]]) -> str | None:
    """Return why the gateway would refuse a job; None for one that it takes, or that lacks a value.

    What is missing is asked for later, by the templates.
    """
    try:
        document = {"kind": wish.kind, **request_of(wish)}
        request_model(specs[wish.kind]).model_validate_json(json.dumps(document))
    except ValidationError as error:
        faults = [
            fault
            for fault in error.errors(include_url=False, include_input=False)
            if fault["type"] not in ("missing", "too_short")
            and not (_may_be_missing(wish) and len(fault["loc"]) <= 1)
        ]
        if not faults:
            return None
        place = ".".join(str(part) for part in faults[0]["loc"])
        return f"{place}: {faults[0]['msg']}"
    except (SpecError, ValueError) as error:
        return None if _may_be_missing(wish) else str(error)
    return None


def _may_be_missing(wish: Wish) -> bool:
    field = MAIN_FILES.get(wish.kind)
    return field is not None and field not in wish.files and field not in wish.outputs


def _in_order(path: str) -> list[tuple[int, str]]:
    return [(int(word), "") if word.isdigit() else (0, word) for word in path.split(".")]


def _put(whole: Any, keys: list[str], value: Any) -> None:
    key: Any = int(keys[0]) if keys[0].isdigit() else keys[0]
    if isinstance(whole, list):
        if not isinstance(key, int) or key > len(whole):
            raise ValueError(f"{keys[0]}: expected an index up to {len(whole)}")
        if key == len(whole):
            whole.append(None)
    elif not isinstance(whole, dict):
        raise ValueError(f"{keys[0]}: expected an object or a list around it")
    if len(keys) == 1:
        whole[key] = value
        return
    inner = whole[key] if isinstance(whole, list) else whole.get(key)
    if inner is None:
        inner = whole[key] = [] if keys[1].isdigit() else {}
    _put(inner, keys[1:], value)
