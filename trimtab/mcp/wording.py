"""Short texts for a model's context: jobs as cards, schemas as lines, tables and texts as pages.

Whatever a user or a file named is quoted, without control characters, and cut: it is data, and a
model must not read it as an instruction.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from trimtab.cards import Card
from trimtab.results import FittedModelView, JobState, JobView, RunResult

PAGE_CHARS = 6000
LINES = "\n\t"  # marks that a text of several lines keeps
_MARKS = ("Cc", "Cf", "Cs", "Co")  # categories of Unicode
_NAME_CHARS = 80
_FIGURES = 12
_DIFFERENCES = 15
_REST = {
    JobState.NEEDS_INPUT: "answer_plan with answers",
    JobState.AWAITING_APPROVAL: "answer_plan with approve",
}


def clean(text: str, keep: str = "") -> str:
    """Return foreign text with control and direction marks replaced, but for those in `keep`."""
    return "".join(
        "�" if unicodedata.category(letter) in _MARKS and letter not in keep else letter
        for letter in text
    )


def quoted(text: str, most: int = _NAME_CHARS) -> str:
    """Return foreign text as a JSON string without control and direction marks, cut to `most`."""
    kept = clean(text[: most + 1])
    shown = kept if len(kept) <= most else kept[:most] + "…"
    return json.dumps(shown, ensure_ascii=False)


def figure(value: float | None) -> str:
    """Return a number with seven digits; a dash for none, and for what JSON cannot carry."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.7g}"


def card(view: JobView, result: RunResult | None = None) -> str:
    """Return a job in at most six lines, the last of which names the next tool."""
    lines = [f"{view.id} {view.kind} {view.state}"]
    best = view.best
    if result is not None and result.objective is not None:
        lines.append(_values(result.objective, result.bound, result.gap, result.sense))
    elif best is not None:
        lines.append(_values(best.objective, best.bound, best.gap, ""))
    if view.termination is not None:
        ended = view.termination
        limit = f" by limit {ended.limit}" if ended.limit else ""
        detail = f": {quoted(ended.detail, 300)}" if ended.detail else ""
        lines.append(f"ended {ended.reason.value}{limit}{detail}")
    if view.verification_status is not None:
        lines.append(f"independent check: {view.verification_status.value}")
    lines.append(f"next: {_next(view)}")
    return "\n".join(lines)


def _values(
    objective: float | None, bound: float | None, gap: float | None, sense: str
) -> str:
    parts = [f"objective {figure(objective)}", f"bound {figure(bound)}"]
    if gap is not None:
        parts.append(f"gap {gap:.2%}")
    return ", ".join(parts) + (f" ({sense})" if sense else "")


def _next(view: JobView) -> str:
    if view.state is JobState.SUCCEEDED:
        return "get_result"
    if view.state in _REST:
        return f"get_result shows the outline; then {_REST[view.state]}"
    if view.state.is_terminal:
        return "none; correct the input and submit again"
    return "wait_job"


def row(view: JobView) -> str:
    """Return a job as a line of a list."""
    best = figure(view.best.objective if view.best is not None else None)
    created = f"{view.created_at:%Y-%m-%d %H:%M}" if view.created_at else "-"
    labels = " ".join(
        f"{key}={quoted(value, 40)}" for key, value in sorted(view.labels.items())[:4]
    )
    return f"{view.id} {view.kind} {view.state} {created} {best} {labels}".rstrip()


def result_text(result: RunResult) -> str:
    """Return figures of a result's summary and the names of its files."""
    shown = list(_figures(result.summary))[:_FIGURES]
    files = [
        f"{name} ({reference.size_bytes or 0} bytes)"
        for name, reference in sorted(result.artifacts.items())
    ]
    lines = [f"{name}: {value}" for name, value in shown]
    lines.append(f"files: {', '.join(files) or 'none'}; read_file shows one")
    return "\n".join(lines)


def _figures(summary: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for name, value in summary.items():
        path = f"{prefix}{name}"
        if isinstance(value, bool | int):
            yield path, str(value).lower()
        elif isinstance(value, float):
            yield path, figure(value)
        elif isinstance(value, str) and value:
            yield path, quoted(value, 120)
        elif isinstance(value, Mapping) and not prefix:
            yield from _figures(value, f"{path}.")


def model_row(model: FittedModelView) -> str:
    """Return a fitted model as a line of a list."""
    return (
        f"{model.id} for {model.target} {model.state} {model.created_at:%Y-%m-%d %H:%M} "
        f"from {model.job}"
    )


def model_card(model: FittedModelView, card: Card) -> str:
    """Return a fitted model with the decision and the figures of its card."""
    reasons = [f"- {quoted(reason, 200)}" for reason in model.reasons[:_FIGURES]]
    figures = _figures(card.model_dump(mode="json"))
    shown = [f"{name}: {value}" for name, value in list(figures)[:_FIGURES]]
    use = f"next: submit_job of kind {model.target}; jobs use adopted models by default"
    return "\n".join([model_row(model), *reasons, *shown, use])


def comparison(compared: Mapping[str, Any]) -> str:
    """Return jobs side by side, from `trimtab.comparison.compared`: figures, then differences."""
    lines = [
        f"{number}: {job['id']} {job['kind']} {quoted(job['name']) if job['name'] else ''}"
        for number, job in enumerate(compared["jobs"], 1)
    ]
    lines = [line.rstrip() for line in lines]
    for name, values in compared["figures"].items():
        lines.append(f"{name}: {' | '.join(values)}")
    lines += _unlike(compared["request"], "inputs") or ["the inputs are the same"]
    lines += _unlike(compared["result"], "results")
    return "\n".join(lines)


def _unlike(rows: Mapping[str, Sequence[str]], what: str) -> list[str]:
    """Return rows of values that differ, and how many are left out."""
    lines = [
        f"{quoted(path, 60)}: {' | '.join(quoted(value, 40) for value in values)}"
        for path, values in list(rows.items())[:_DIFFERENCES]
    ]
    if len(rows) > _DIFFERENCES:
        lines.append(f"and {len(rows) - _DIFFERENCES} more {what} differ")
    return lines


def page(text: str, offset: int, what: str) -> str:
    """Return a page of a text, and the offset of the next one."""
    part = text[offset : offset + PAGE_CHARS]
    end = offset + len(part)
    more = "" if end >= len(text) else f"; next offset {end}"
    head = f"{what}: characters {offset} to {end} of {len(text)}{more}"
    return f"{head}\n{clean(part, keep=LINES)}"


def schema_lines(schema: Mapping[str, Any], field: str = "") -> str:
    """Return the fields of a JSON schema as lines; `field` goes into one of them, a.b.c."""
    definitions = schema.get("$defs", {})
    node: Mapping[str, Any] = schema
    for name in [part for part in field.split(".") if part]:
        inner = _inner(node.get("properties", {}).get(name), definitions)
        if inner is None:
            properties = node.get("properties", {})
            known = ", ".join(name for name in properties if name != "schema_version")
            raise ValueError(f"field: expected one of {known}, got {name!r}")
        node = inner
    required = set(node.get("required", ()))
    lines = [
        _field(name, part, definitions, required=name in required)
        for name, part in node.get("properties", {}).items()
        if name != "schema_version"
    ]
    if not lines:
        return json.dumps(_short(node), ensure_ascii=False)[:1000]
    return "\n".join(lines)


def _inner(
    part: Mapping[str, Any] | None, definitions: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """Return the object schema behind a reference, an array or a choice."""
    while part is not None and "properties" not in part:
        if "$ref" in part:
            part = definitions.get(str(part["$ref"]).rsplit("/", 1)[-1])
        elif "items" in part:
            part = part["items"]
        elif "anyOf" in part:
            choices = [one for one in part["anyOf"] if one.get("type") != "null"]
            part = choices[0] if choices else None
        else:
            return part
    return part


def _field(
    name: str,
    part: Mapping[str, Any],
    definitions: Mapping[str, Any],
    *,
    required: bool,
) -> str:
    kind = _kind(part, definitions)
    default = part.get("default")
    note = "required" if required else f"default {json.dumps(default)}"
    if isinstance(default, dict | list):
        note = "optional"
    text = str(part.get("description", "")).replace("\n", " ")
    text = re.split(r"\. (?=[A-Z])", text)[0]
    return f"{name}: {kind}, {note[:60]}. {text[:110]}".rstrip(" .")


def _kind(part: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    if "enum" in part:
        return "|".join(str(word) for word in part["enum"][:12])
    if "const" in part:
        return json.dumps(part["const"])
    if "$ref" in part:
        target = str(part["$ref"]).rsplit("/", 1)[-1]
        if target == "ArtifactRef":
            return "file"
        inner = definitions.get(target, {})
        return _kind(inner, definitions) if "enum" in inner else "object"
    if "anyOf" in part:
        choices = [one for one in part["anyOf"] if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(_kind(one, definitions) for one in choices))
    if part.get("type") == "array":
        return f"list of {_kind(part.get('items', {}), definitions)}"
    return str(part.get("type", "any")) + _range(part)


def _range(part: Mapping[str, Any]) -> str:
    low = part.get("minimum", part.get("exclusiveMinimum"))
    high = part.get("maximum", part.get("exclusiveMaximum"))
    if low is None and high is None:
        return ""
    return f" {'' if low is None else f'{low:g}'}..{'' if high is None else f'{high:g}'}"


def _short(node: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("type", "enum", "minimum", "maximum", "description", "items")
    return {key: node[key] for key in keys if key in node}
