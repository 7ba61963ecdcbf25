"""Filters of candidates, in their order. Each returns why it removes a candidate, or None.

DOC (arXiv 2212.10077, section 3.1) filters repetitive and entailed outline items; here items are
typed, so duplicates and contradictions are decided by slots instead of an entailment model.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from search.domains.plan.outline.candidates import Candidate
from search.domains.plan.outline.paths import leaves
from search.domains.plan.types import FileFacts, Wish
from trimtab.errors import SpecError
from trimtab.faults import faults_of
from trimtab.plans import LEAF_FILE
from trimtab.specs.common import Spec, request_model


@dataclass(frozen=True, kw_only=True)
class Place:
    """Context of a filter, beside the candidate."""

    wish: Wish
    wishes: Sequence[Wish]
    index: int  # of the wish
    files: Mapping[str, FileFacts]
    specs: Mapping[str, type[Spec]]
    chosen: Sequence[Candidate]  # of earlier wishes
    made: Mapping[int, str]  # kinds of the wishes that are leaves already
    siblings: Sequence[Candidate] = ()  # what the templates make of this wish


Filter = Callable[[Candidate, Place], str | None]


def valid(candidate: Candidate, place: Place) -> str | None:
    """Refuse what the gateway's validation would refuse."""
    if candidate.missing:
        return None  # it is asked for first
    try:
        validated(candidate.kind, candidate.request, place.specs)
    except ValueError as error:
        return str(error)
    return None


def provenance(candidate: Candidate, place: Place) -> str | None:
    """Refuse a value that neither the goal, nor an answer, nor a default states."""
    stated = {
        path: part
        for value in place.wish.values
        for path, part in leaves(value.value, value.path)
    }
    for path, value in leaves(candidate.request):
        if path in stated:
            if stated[path] != value:
                return f"{path}: the goal says {stated[path]!r}, not {value!r}"
        elif not (
            value in ({}, [])
            or path in candidate.defaults
            or path in candidate.spans
            or _is_file(path, value, place)
            or _is_schema_default(path, value, place)
        ):
            return f"{path}: nothing in the goal states {value!r}"
    return None


def _is_file(path: str, value: Any, place: Place) -> bool:
    """Return whether a value names the file that the goal gives to this field."""
    way, _, last = path.rpartition(".")
    field = way.removeprefix("spec.")
    name = place.wish.files.get(field)
    if name is not None and name in place.files:
        return value == {"digest": place.files[name].digest, "name": name}.get(last)
    if field in place.wish.outputs:
        producer, output = place.wish.outputs[field]
        return value == {LEAF_FILE: str(producer), "output": output}.get(last)
    return False


def _is_schema_default(path: str, value: Any, place: Place) -> bool:
    defaults = schema_defaults(place.specs[place.wish.kind])
    return path in defaults and defaults[path] == value


def distinct(candidate: Candidate, place: Place) -> str | None:
    """Refuse a second leaf of the same kind, inputs and values."""
    own = _slots(candidate)
    for other in place.chosen:
        if _slots(other) == own:
            return "the plan has the same job already; give another seed to run it again"
    if candidate.source == "model":
        for other in place.siblings:
            if other.template.id == candidate.template.id and _slots(other) == own:
                return f"the same job as {other.id}"
    return None


def consistent(candidate: Candidate, place: Place) -> str | None:
    """Refuse two values of one slot, and a value that the goal rules out."""
    stated: dict[str, Any] = {}
    for value in place.wish.values:
        if value.path in stated and stated[value.path] != value.value:
            return f"{value.path}: the goal says both {stated[value.path]!r} and {value.value!r}"
        stated[value.path] = value.value
    present = {f"{path}={value}" for path, value in leaves(candidate.request)}
    for ruled_out in place.wish.removed:
        if ruled_out in present:
            return f"the goal rules out {ruled_out}"
    return None


def ordered(candidate: Candidate, place: Place) -> str | None:
    """Refuse an input that no earlier leaf makes."""
    for field, (producer, output) in place.wish.outputs.items():
        kind = place.made.get(producer)
        if kind is None:
            return f"{field}: the job that makes {output} comes later, or is left out"
        if output not in place.specs[kind].OUTPUTS:
            return f"{field}: a job of kind {kind} makes no {output}"
    return None


def covering(candidate: Candidate, place: Place) -> str | None:
    """Refuse a candidate that leaves out a value which the goal states."""
    if candidate.unused:
        return f"it leaves out {', '.join(candidate.unused)}"
    return None


FILTERS: Mapping[str, Filter] = MappingProxyType(
    {
        "validation": valid,
        "provenance": provenance,
        "duplicates": distinct,
        "contradictions": consistent,
        "order": ordered,
        "coverage": covering,
    }
)
"""Filters by name, in the order in which they look."""


def removed_by(candidate: Candidate, place: Place) -> str | None:
    """Return the first filter that removes a candidate and why; None when none does."""
    for name, look in FILTERS.items():
        if (why := look(candidate, place)) is not None:
            return f"{name}: {why}"
    return None


def validated(
    kind: str, request: Mapping[str, Any], specs: Mapping[str, type[Spec]]
) -> Any:
    """Return the request as the gateway's own model of its kind. Raises ValueError.

    Files of other leaves are awaited files of jobs of a batch there.
    """
    if kind not in specs:
        raise ValueError(
            f"kind: expected one of {', '.join(sorted(specs))}, got {kind!r}"
        )
    document = {"kind": kind, **_awaited(request)}
    try:
        return request_model(specs[kind]).model_validate_json(json.dumps(document))
    except ValidationError as error:
        fields = {"": list(specs[kind].model_fields)}
        raise ValueError("; ".join(map(str, faults_of(error, known=fields)))) from None
    except SpecError as error:
        raise ValueError(str(error)) from None


@functools.cache
def schema_defaults(spec: type[Spec]) -> Mapping[str, Any]:
    """Return the defaults of a kind's fields, by path: `spec.engine` → `highs`."""
    schema = spec.model_json_schema()
    defaults: dict[str, Any] = {}

    def walk(part: Mapping[str, Any], path: str) -> None:
        for name, field in part.get("properties", {}).items():
            inner = f"{path}.{name}"
            if "default" in field:
                defaults[inner] = field["default"]
            for option in (field, *field.get("allOf", ()), *field.get("anyOf", ())):
                if "$ref" in option:
                    walk(schema["$defs"][option["$ref"].rpartition("/")[2]], inner)

    walk(schema, "spec")
    return MappingProxyType(defaults)


def _awaited(value: Any) -> Any:
    if isinstance(value, Mapping):
        if LEAF_FILE in value:
            return {"job": "#0", "output": value.get("output")}
        return {name: _awaited(part) for name, part in value.items()}
    return [_awaited(part) for part in value] if isinstance(value, list) else value


def _slots(candidate: Candidate) -> tuple[str, str]:
    return candidate.kind, json.dumps(candidate.request, sort_keys=True)
