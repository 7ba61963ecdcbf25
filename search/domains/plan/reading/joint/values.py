"""Values from the words that state them: by the slot of their path."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from search.domains.plan.reading.joint import names
from search.domains.plan.reading.joint.numbers import (
    edge_at,
    in_groups,
    number_at,
    numbers_at,
)
from search.domains.plan.reading.joint.place import Place
from search.domains.plan.reading.lexicon import Lexicon
from search.domains.plan.reading.slots import COMMON, Slot, dimension_of, schema_fields
from search.domains.plan.reading.units import Dimension
from trimtab.specs.common import MODEL_ID_PATTERN, MODEL_SHIPPED, Spec

_INDEX = re.compile(r"\.\d+(?=\.|$)")
_URL = re.compile(r"https?://[^\s<>\"')]+")
_TRIPLE = re.compile(r"[\w.]+(?:-[\w.]+){1,3}")
_LISTS_OF_NAMES = (
    "spec.build.defines",
    "spec.build.flags",
    "spec.build.files",
    "spec.build.include",
    "spec.build.exclude",
    "spec.link.libraries",
    "spec.image.keep",
    "spec.constraints.no_split",
    "spec.lns.neighbourhoods",
)
_WHOLE_LISTS = ("spec.what_if", "spec.feed")
_COLUMNS = {  # of tables inline
    "rows": Dimension.COUNT,
    "dim": Dimension.COUNT,
    "pooling": Dimension.COUNT,
    "features": Dimension.COUNT,
}


def value_at(
    places: Sequence[Place],
    kind: str,
    path: str,
    lexicon: Lexicon,
    specs: Mapping[str, type[Spec]],
) -> Any | None:
    """Return the value of a path that some words state; None where they state none.

    `NotImplemented` for a path whose value is one of a closed list, and for one that takes a file.
    """
    if not places:
        return None
    parent, _, rank = path.rpartition(".")
    if rank.isdigit() and parent in _LISTS_OF_NAMES:
        whole = value_at(places, kind, parent, lexicon, specs)
        return whole[-1] if isinstance(whole, list) else None
    base = base_of(path)
    last = path.rpartition(".")[2]
    if (name := _name(places, kind, path, last)) is not NotImplemented:
        return name
    slot = slot_of(lexicon, specs, kind, base)
    if base == "spec.feed" or last == "devices":
        slot = Slot(
            kind=kind,
            path=base,
            title=last,
            dimension=Dimension.COUNT,
            is_integer=True,
            is_list=True,
        )
    if slot is None or (slot.dimension is None and not slot.is_list):
        return NotImplemented
    if base in _WHOLE_LISTS or last == "devices":
        whole = [
            int(v) for p in places for v in numbers_at(p, slot, every=True) if v == int(v)
        ]
        return _unrolled(places, whole) if last == "devices" else whole or None
    if slot.dimension is None:
        return NotImplemented
    if slot.dimension is Dimension.FREQUENCY:
        return edge_at(places, slot, high=last == "f_hi_hz")
    values = [number_at(place, slot) for place in places]
    known = [value for value in values if value is not None]
    if not known:
        return None
    if base == "spec.devices.0.count" and len(known) > 1 and in_groups(places):
        product = math.prod(known)
        # "seven nodes of six: forty-two devices" says the product too.
        return known[-1] if math.prod(known[:-1]) == known[-1] else product
    return known[-1]


def surrogate(text: str) -> str:
    """Return which learned surrogate a search of antennas uses: `auto`, `none` or its name."""
    low = text.lower()
    if re.search(r"\b(?:no|not|none|without|off|don't|dont|skip|spare)\b", low):
        return "none"
    return "auto" if re.search(r"\b(?:auto|shipped|surrogate|default)\b", low) else text


def _unrolled(places: Sequence[Place], devices: Sequence[int]) -> list[int] | None:
    """Return the numbers of devices; "0 to 3" and "0-3" are all four."""
    text = names.plain_text(places)
    if len(devices) == 2 and re.search(r"\d\s*(?:-|–|to|through|\.\.)\s*\d", text):
        return list(range(devices[0], devices[1] + 1))
    return list(devices) or None


_TEXTS = (
    "name",
    "labels",
    "model",
    "webhook.url",
    "spec.model_text",
    "spec.source_text",
    "spec.runs",
    "spec.build",
    "spec.link",
    "spec.image",
    "spec.constraints",
    "spec.tables",
)


def is_text(kind: str, path: str) -> bool:
    """Return whether a path takes a name or a text, which people quote."""
    del kind
    return any(path == text or path.startswith(f"{text}.") for text in _TEXTS)


def base_of(path: str) -> str:
    """Return a path with every index at 0, as slots have it."""
    return _INDEX.sub(".0", path)


def slot_of(
    lexicon: Lexicon, specs: Mapping[str, type[Spec]], kind: str, base: str
) -> Slot | None:
    """Return the slot of a path with its indices at 0; of a column of an inline table too."""
    slots = lexicon.slots.get(kind, {})
    if base in slots:
        return slots[base]
    last = base.rpartition(".")[2]
    if base.startswith("spec.tables.0.") and last in _COLUMNS:
        return Slot(
            kind=kind,
            path=base,
            title=last,
            dimension=_COLUMNS[last],
            is_integer=last != "pooling",
            least=1,
        )
    if last == "timeout_seconds":
        return Slot(kind=kind, path=base, title=last, dimension=Dimension.TIME, least=0.0)
    if last in ("expected_exit", "max_attempts"):
        return Slot(
            kind=COMMON,
            path=base,
            title=last,
            dimension=Dimension.COUNT,
            is_integer=True,
            least=float(last == "max_attempts"),
        )
    return _plain_slot(specs, kind, base)


def _plain_slot(specs: Mapping[str, type[Spec]], kind: str, base: str) -> Slot | None:
    """Return the slot of a field without words of its own: a number in the schema's unit."""
    if kind not in specs:
        return None
    for field in schema_fields(specs[kind]):
        if field.path == base and field.types & {"number", "integer"}:
            return Slot(
                kind=kind,
                path=base,
                title=base,
                dimension=_dimension(base),
                is_integer="number" not in field.types,
                is_list=field.is_list,
                least=field.least,
                most=field.most,
            )
    return None


def _dimension(path: str) -> Dimension:
    if path.endswith(("target_gap", "held_out")):
        return Dimension.RATIO
    return dimension_of(path) or Dimension.COUNT


def _name(places: Sequence[Place], kind: str, path: str, last: str) -> Any:
    """Return a value that is a name, a path or a text; NotImplemented for another sort."""
    match base_of(path):
        case (
            "name"
            | "spec.model_text"
            | "spec.source_text"
            | "spec.image.entry"
            | "spec.runs.0.stdin"
            | "spec.runs.0.expected_stdout"
            | "spec.image.script"
            | "spec.build.compile_commands"
        ):
            return names.plain_text(places) or None
        case "spec.tables.0.name":
            return names.plain_text(places).removesuffix(":") or None
        case "labels":
            return names.labels(places) or None
        case "webhook.url":
            match = names.first_word(places, _URL)
            return None if match is None else match.rstrip(".,;:!?")
        case "spec.target.cpu":
            return names.processor(places)
        case "spec.model" if kind == "antenna":
            return surrogate(names.plain_text(places))
        case "spec.tables.0.access.type":
            return "zipf" if "zipf" in names.plain_text(places).lower() else None
        case "model":
            own = names.first_word(places, re.compile(MODEL_ID_PATTERN))
            return own or MODEL_SHIPPED
        case "spec.constraints.no_split":
            return names.tables(places) or None
        case "spec.constraints.together":
            groups = [group for p in places if (group := names.tables([p]))]
            alone = [g for g in groups if len(g) == 1]
            if alone and len(groups) > 1:
                groups = [[name for g in groups for name in g]]
            return groups or None
        case "spec.constraints.together.0":
            return names.tables(places) or None
        case "spec.constraints.pin.0.table" | "spec.constraints.current_plan.0.table":
            return next(iter(names.tables(places)), None)
        case "spec.build.defines":
            return names.macros(places) or None
        case "spec.build.flags":
            return names.options(places) or None
        case "spec.build.files":
            return names.paths(places) or None
        case "spec.build.include":
            return names.paths(places) or None
        case "spec.build.exclude":
            return names.paths(places, folder=True) or None
        case "spec.link.libraries":
            return names.libraries(places) or None
        case "spec.image.keep":
            return names.symbols(places) or None
        case "spec.runs.0.arguments":
            return names.arguments(places) or None
        case "spec.target.features":
            return names.features(places) or None
        case "spec.target.triple":
            return names.first_word(places, _TRIPLE)
        case "spec.lns.neighbourhoods":
            return names.choices(places, NEIGHBOURHOODS) or None
        case _:
            return NotImplemented


NEIGHBOURHOODS = (
    "random",
    "variable-graph",
    "constraint-block",
    "rins",
    "crossover",
    "lb-relax",
    "lb-relax-s",
    "lb-relax-r",
    "cl-lns",
    "one-swap",
)
