"""Slots of the kinds: fields of their requests, from the JSON schemas and the files of words."""

from __future__ import annotations

import functools
import importlib.resources
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from search.domains.plan.reading.units import Dimension
from trimtab.specs.common import Spec, request_model

COMMON = "common"
_SUFFIXES = {
    "_gib": Dimension.MEMORY,
    "_gb_s": Dimension.BANDWIDTH,
    "seconds": Dimension.TIME,
    "_mm": Dimension.LENGTH,
    "_hz": Dimension.FREQUENCY,
    "_db": Dimension.LEVEL,
    "_ohm": Dimension.RESISTANCE,
    "_s_m": Dimension.CONDUCTIVITY,
}
_DIMENSIONS = {d.value: d for d in Dimension}


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A field of a request that words can set."""

    kind: str  # `common` for the envelope
    path: str  # dotted; starts with `_` for what only serves to compute other slots
    title: str
    dimension: Dimension | None  # None: takes no quantity
    is_integer: bool = False
    is_list: bool = False
    bare: bool = False  # a quantity of this dimension needs no further word
    negative: bool = False  # a level below 0 that people state without its sign
    binary: bool = False  # 64k is 65,536
    specific: bool = False  # its names hold those of another slot: "cards to a node"
    by_name: bool = False  # only a number beside the slot's name sets it
    usual: tuple[float, float] | None = None  # values that need no name of the slot
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True, kw_only=True)
class FieldOfSchema:
    """A field of a request, as its JSON schema has it."""

    path: str
    types: frozenset[str]
    choices: tuple[str, ...]
    least: float | None
    most: float | None
    is_list: bool


@dataclass(frozen=True, kw_only=True)
class Words:
    """A file of words, as data."""

    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)

    def table(self, name: str) -> dict[str, Any]:
        """Return a table of the file; empty without one."""
        return dict(self.data.get(name, {}))

    @property
    def not_from_words(self) -> tuple[str, ...]:
        """Paths of fields that words never set."""
        return tuple(self.table("not_from_words").get("paths", ()))

    @property
    def from_names(self) -> tuple[str, ...]:
        """Paths of fields that take names, options or paths from the text."""
        return tuple(self.table("from_names").get("paths", ()))


@functools.cache
def words_of(kind: str) -> Words | None:
    """Return the words of a kind; None for a kind that has no file."""
    file = importlib.resources.files("search.domains.plan") / "words" / f"{kind}.toml"
    if not file.is_file():
        return None
    return Words(kind=kind, data=tomllib.loads(file.read_text(encoding="utf-8")))


@functools.cache
def schema_fields(spec: type[Spec]) -> tuple[FieldOfSchema, ...]:
    """Return the leaves of a request's JSON schema; lists of objects have the index 0."""
    root = request_model(spec).model_json_schema()
    return tuple(_walk(root, root, ""))


def _walk(
    root: Mapping[str, Any], part: Mapping[str, Any], path: str
) -> Iterator[FieldOfSchema]:
    branches = [_resolved(root, branch) for branch in part.get("anyOf", [part])]
    branches = [branch for branch in branches if branch.get("type") != "null"]
    if path.endswith(("labels", "webhook", "after")) or any(
        "digest" in branch.get("properties", {}) for branch in branches
    ):
        yield FieldOfSchema(
            path=path, types=frozenset(), choices=(), least=None, most=None, is_list=False
        )
        return
    for branch in branches:
        if "properties" in branch:
            for name, inner in branch["properties"].items():
                yield from _walk(root, inner, f"{path}.{name}" if path else name)
            return
    listed = next((branch for branch in branches if branch.get("type") == "array"), None)
    if listed is not None:
        item = _resolved(root, listed.get("items") or {})
        if "properties" in item and "digest" not in item["properties"]:
            yield from _walk(root, item, f"{path}.0")
        else:
            yield _leaf(path, [item], is_list=True)
        return
    yield _leaf(path, branches, is_list=False)


def _resolved(root: Mapping[str, Any], part: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in part or len(part.get("allOf", ())) == 1:
        name = part["$ref"] if "$ref" in part else part["allOf"][0]["$ref"]
        part = root["$defs"][name.rpartition("/")[2]]
    return part


def _leaf(
    path: str, branches: list[Mapping[str, Any]], *, is_list: bool
) -> FieldOfSchema:
    choices: list[str] = []
    for branch in branches:
        choices += [str(word) for word in branch.get("enum", ())]
    limits = [
        branch for branch in branches if branch.get("type") in ("number", "integer")
    ]
    low = [b.get("minimum", b.get("exclusiveMinimum")) for b in limits]
    high = [b.get("maximum", b.get("exclusiveMaximum")) for b in limits]
    return FieldOfSchema(
        path=path,
        types=frozenset(str(branch.get("type")) for branch in branches),
        choices=tuple(choices),
        least=low[0] if low else None,
        most=high[0] if high else None,
        is_list=is_list,
    )


def slots_of(spec: type[Spec]) -> tuple[Slot, ...]:
    """Return the slots of a kind: every field of its schema that its words or the common name."""
    kind = spec.KIND
    own = words_of(kind)
    assert own is not None
    common = words_of(COMMON)
    assert common is not None
    fields = {each.path: each for each in schema_fields(spec)}
    slots = []
    for source, words in ((COMMON, common), (kind, own)):
        for path, row in words.table("slots").items():
            if path == "budget.target_gap" and "target_gap" not in spec.LIMITS:
                continue
            slots.append(_slot(kind, path, row, fields.get(path)))
        del source
    return tuple(slots)


def dimension_of(path: str) -> Dimension | None:
    """Return the dimension that the last word of a path names; None where it names none."""
    found = [meaning for suffix, meaning in _SUFFIXES.items() if path.endswith(suffix)]
    return found[-1] if found else None


def _slot(
    kind: str, path: str, row: Mapping[str, Any], known: FieldOfSchema | None
) -> Slot:
    dimension = _DIMENSIONS.get(row.get("dimension", ""))
    # A field that holds others, such as `spec.image`, is stated as a whole by a word of its own.
    whole = "{}" in row.get("values", {})
    types = known.types if known else frozenset({"object" if whole else "number"})
    if dimension is None:
        dimension = dimension_of(path)
    if path == "_bandwidth":
        dimension = Dimension.FREQUENCY
    numeric = bool(types & {"number", "integer"})
    if dimension is None and numeric and not (known and known.choices):
        dimension = Dimension.COUNT
    return Slot(
        kind=kind,
        path=path,
        title=row.get("title", path),
        dimension=dimension if numeric else None,
        is_integer="integer" in types and "number" not in types,
        is_list=bool(known and known.is_list),
        bare=bool(row.get("bare", False)),
        negative=bool(row.get("negative", False)),
        binary=bool(row.get("binary", False)),
        specific=bool(row.get("specific", False)),
        by_name=bool(row.get("by_name", False)),
        usual=tuple(row["usual"]) if "usual" in row else None,
        choices=known.choices if known else (),
        least=known.least if known else None,
        most=known.most if known else None,
    )


def unnamed_fields(spec: type[Spec]) -> list[str]:
    """Return fields of a kind's schema with neither a slot nor a line in `not_from_words`."""
    own, common = words_of(spec.KIND), words_of(COMMON)
    assert own is not None
    assert common is not None
    named = {*own.table("slots"), *common.table("slots")}
    silent = [
        path
        for words in (own, common)
        for path in (*words.not_from_words, *words.from_names)
    ]
    return [
        each.path
        for each in schema_fields(spec)
        if each.path not in named
        and not any(
            each.path == name or each.path.startswith(f"{name}.") for name in silent
        )
    ]
