"""Baseline: a reader of goals by keywords, without an account of what it leaves out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from search.domains.plan.types import FileFacts, FileRole, Order, Reading, Value, Wish
from trimtab.plans import Question, Span
from trimtab.specs.common import Spec

_FIELDS: Mapping[FileRole, tuple[str, str]] = MappingProxyType(
    {
        FileRole.MODEL: ("ilp", "model"),
        FileRole.TABLES: ("sharding", "tables_file"),
        FileRole.SOURCE: ("compile", "source"),
    }
)
_UNITS = (("h(?:ours?|rs?)?", 3600), ("min(?:ute)?s?", 60), ("s(?:ec(?:ond)?s?)?", 1))
_ENGINES = (("highs", "highs"), ("scip", "scip"), ("cp-?sat", "cp-sat"))
_NUMBER = r"(\d{1,9}(?:\.\d{1,9})?)"


def read_goal(
    goal: str,
    files: Sequence[FileFacts],
    *,
    answers: Mapping[str, str] | None = None,
    specs: Mapping[str, type[Spec]],
) -> Reading:
    """Return one wish for each file, and one for an antenna, with the values that keywords find."""
    wishes: list[Wish] = []
    values = _common(goal)
    start = next((f.name for f in files if f.roles[0] is FileRole.START), None)
    for facts in files:
        if facts.roles[0] not in _FIELDS:
            continue
        kind, field = _FIELDS[facts.roles[0]]
        place = goal.find(facts.name)
        spans = (Span(start=place, end=place + len(facts.name)),) if place >= 0 else ()
        own: Mapping[str, Any] = {"ilp": _ilp, "sharding": _sharding}
        own_values = own[kind](goal) if kind in own else []
        inputs = {field: facts.name}
        if kind == "ilp" and start is not None:
            inputs["warm_start"] = start
        wishes.append(
            Wish(
                kind=kind,
                intent="",
                files=inputs,
                values=(*own_values, *values),
                spans=spans,
                group=len(wishes),
            )
        )
    if match := re.search(
        rf"{_NUMBER} ?(?:-|to|and) ?{_NUMBER} ?(GHz|MHz)", goal, re.IGNORECASE
    ):
        scale = 1e9 if match[3].lower() == "ghz" else 1e6
        spans = (Span(start=match.start(), end=match.end()),)
        edges = zip(("f_lo_hz", "f_hi_hz"), (match[1], match[2]), strict=True)
        bands = tuple(
            Value(path=f"spec.bands.0.{name}", value=float(text) * scale, spans=spans)
            for name, text in edges
        )
        wishes.append(
            Wish(
                kind="antenna",
                intent="",
                files={},
                values=(*bands, *values),
                spans=spans,
                group=len(wishes),
            )
        )
    order: tuple[Order, ...] = ()
    if re.search(r"\bthen\b|\bafter", goal):
        order = tuple(
            Order(parent=i, child=i + 1, needs_success=False, why="then")
            for i in range(len(wishes) - 1)
        )
    questions: tuple[Question, ...] = ()
    if not wishes:
        options = ("solve an integer program", "place tables", "shrink a program")
        questions = (Question(text="What is to be done?", about="goal", options=options),)
    return Reading(goal=goal, wishes=tuple(wishes), order=order, questions=questions)


def _common(goal: str) -> list[Value]:
    values = []
    for unit, size in _UNITS:
        if match := re.search(rf"{_NUMBER} ?{unit}\b", goal):
            values.append(_value("budget.seconds", float(match[1]) * size, match))
            break
    if match := re.search(r"\bseed (\d{1,9})\b", goal):
        values.append(_value("seed", int(match[1]), match))
    return values


def _ilp(goal: str) -> list[Value]:
    values = []
    for pattern, engine in _ENGINES:
        if match := re.search(rf"\b{pattern}\b", goal, re.IGNORECASE):
            values.append(_value("spec.engine", engine, match))
            break
    if match := re.search(rf"{_NUMBER} ?% (?:relative )?gap", goal):
        values.append(_value("budget.target_gap", float(match[1]) / 100, match))
    return values


def _sharding(goal: str) -> list[Value]:
    values = []
    words = r"(gpus?|devices?|cards?|[avh]100s?)"
    if match := re.search(rf"\b(\d{{1,4}}) ?{words}\b", goal, re.IGNORECASE):
        values.append(_value("spec.devices.0.count", int(match[1]), match))
    if match := re.search(r"\b([avh]100)s?\b", goal, re.IGNORECASE):
        values.append(_value("spec.devices.0.hardware", match[1].lower(), match))
    if match := re.search(rf"{_NUMBER} ?Gi?B", goal):
        values.append(_value("spec.devices.0.memory_gib", float(match[1]), match))
    return values


def _value(path: str, value: Any, match: re.Match[str]) -> Value:
    return Value(
        path=path, value=value, spans=(Span(start=match.start(), end=match.end()),)
    )
