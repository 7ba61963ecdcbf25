"""The form of a retention rule: its answers, and the rule that they make. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from services.web import formatting
from trimtab.errors import SpecError
from trimtab.faults import faults_of
from trimtab.results import ENDED
from trimtab.upkeep import RetentionRule

DAYS: Mapping[str, str] = {
    "job_days": "Remove jobs that ended more than this many days ago",
    "event_days": "Remove events of jobs that ended more than this many days ago",
    "file_days": "Remove files older than this many days",
}
COUNTS: Mapping[str, str] = {
    "job_count": "Keep at most this many ended jobs",
    "event_count": "Keep at most this many events",
    "file_count": "Keep at most this many files",
    "file_bytes": "Keep at most this many bytes of files",
}
STATES: tuple[str, ...] = tuple(sorted(state.value for state in ENDED))


def rule_of(answers: Mapping[str, Any]) -> RetentionRule:
    """Return the rule of a posted form; an empty answer sets no limit. Raises ValidationError."""
    body: dict[str, Any] = {}
    for name in (*DAYS, *COUNTS):
        if text := str(answers.get(name, "")):
            body[name] = _number(text, whole=name in COUNTS)
    if states := [state for state in answers.get("job_states", ()) if state]:
        body["job_states"] = states
    return RetentionRule.model_validate_json(json.dumps(body))


def _number(text: str, *, whole: bool) -> Any:
    """Return the number; text that is none stays, so that the model refuses it by name."""
    try:
        value = int(text) if whole else float(text)
    except ValueError:
        return text
    return value if abs(value) < float("inf") else text


def answers_of_rule(rule: RetentionRule) -> dict[str, Any]:
    """Return the answers that a stored rule fills the form with."""
    body = rule.model_dump(mode="json")
    answers: dict[str, Any] = {
        name: "" if body[name] is None else f"{body[name]:.15g}"
        for name in (*DAYS, *COUNTS)
    }
    return {**answers, "job_states": body["job_states"] or []}


def faults_in(error: ValidationError | SpecError) -> list[str]:
    """Return what is wrong with the answers, each with its field."""
    if isinstance(error, SpecError):
        return [str(error)]
    faults = []
    for fault in faults_of(error):
        name, _, rest = str(fault).partition(": ")
        words = {**DAYS, **COUNTS}.get(name)
        faults.append(f"{words}: {rest}" if words else str(fault))
    return faults


def limits_in_words(rule: RetentionRule) -> list[str]:
    """Return the limits of a rule as sentences; none for an empty rule."""
    body = rule.model_dump(mode="json")
    words = {**DAYS, **COUNTS}
    limits = [
        f"{text}: {formatting.number(body[name])}"
        for name, text in words.items()
        if body[name] is not None
    ]
    if limits and body["job_states"]:
        limits.append("Only jobs that ended as " + ", ".join(body["job_states"]))
    return limits
