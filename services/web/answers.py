"""Posted forms to JSON bodies and back.

Answers are strings by field name; a name is the dotted path of the value, for example
`spec.lns.enabled`. An empty answer is left out of the body, so that the default applies.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.web.forms import Control, Field, Path


@dataclass(frozen=True, kw_only=True)
class Fault:
    """An invalid answer: `expected <expected>, got <got>`.

    Without `got`, `expected` is the whole sentence.
    """

    path: Path
    got: str
    expected: str

    @property
    def text(self) -> str:
        """The message beside the field."""
        return f"expected {self.expected}, got {self.got}" if self.got else self.expected


@dataclass(frozen=True, kw_only=True)
class Answers:
    """A posted form: values by field name, and stored files as ArtifactRef JSON by name."""

    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def last(self, name: str) -> str:
        """Return the last value of a name: a check box follows a hidden `false`."""
        values = self.values.get(name, ())
        return values[-1] if values else ""


def read(root: Field, answers: Answers) -> tuple[dict[str, Any], list[Fault]]:
    """Return (JSON body, faults of answers that cannot be converted to their type).

    Ranges, patterns and rules between fields are checked by the kind's model, as for the API.
    """
    faults: list[Fault] = []
    body = _read_group(root, answers, faults)
    return body, faults


def _read_group(group: Field, answers: Answers, faults: list[Fault]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for child in group.children:
        key = child.path[-1]
        if child.control is Control.GROUP:
            if not child.nullable or is_given(child, answers):
                body[key] = _read_group(child, answers, faults)
            continue
        if child.control is Control.CONSTANT:
            if child.required:
                body[key] = child.default
            continue
        try:
            value = read_value(child, answers)
        except ValueError as error:
            faults.append(
                Fault(
                    path=child.path,
                    got=shorten(answers.last(child.name)) or "nothing",
                    expected=str(error),
                )
            )
            continue
        if value is not _ABSENT:
            body[key] = value
    return body


_ABSENT = object()


def is_given(group: Field, answers: Answers) -> bool:
    """Return True if an optional group is part of the request.

    A form posts the defaults that it shows: they alone do not mean that the group is wanted.
    """
    return answers.last(group.switch) == "true" or any(
        leaf.name in answers.files or _is_changed(leaf, answers)
        for leaf in group.leaves()
    )


def _is_changed(leaf: Field, answers: Answers) -> bool:
    answered = _trimmed(answers.values.get(leaf.name, ()))
    if leaf.control is Control.FLAG:
        answered = answered[-1:]
    usual = [] if leaf.default is None else _trimmed(texts_of(leaf, leaf.default))
    return bool(answered) and answered != usual


def _trimmed(texts: Sequence[str]) -> list[str]:
    lines = (text.replace("\r\n", "\n").strip() for text in texts)
    return [text for text in lines if text]


def read_value(item: Field, answers: Answers) -> Any:
    """Convert an answer. Raises ValueError with what was expected."""
    if item.control is Control.FILE:
        return answers.files.get(item.name, _ABSENT)
    if item.control is Control.CHOICES:
        if item.name not in answers.values:
            return _ABSENT
        return [_choice(item, text) for text in answers.values[item.name] if text]
    text = answers.last(item.name)
    if not text.strip():
        return _ABSENT
    match item.control:
        case Control.FLAG:
            return _flag(text)
        case Control.INTEGER:
            return _integer(text)
        case Control.NUMBER:
            return _number(text)
        case Control.CHOICE:
            return _choice(item, text)
        case Control.LINES:
            convert = {"integer": _integer, "number": _number}.get(item.item, str)
            return [convert(line.strip()) for line in text.splitlines() if line.strip()]
        case Control.PAIRS:
            return _pairs(text)
        case Control.JSON:
            return _json(text)
        case Control.LONG_TEXT:
            return text.replace("\r\n", "\n")  # browsers post CRLF
        case _:
            return text


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("yes or no")
    return text == "true"


def _integer(text: str) -> int:
    try:
        if len(text) > 40:
            raise ValueError
        return int(text.strip())
    except ValueError:
        raise ValueError("a whole number") from None


def _number(text: str) -> float:
    try:
        value = float(text.strip())
    except ValueError:
        raise ValueError("a number") from None
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError("a finite number")
    return value


def _choice(item: Field, text: str) -> Any:
    for choice in item.choices:
        if str(choice) == text:
            return choice
    raise ValueError("one of " + ", ".join(str(choice) for choice in item.choices))


def _pairs(text: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        key, equals, value = line.partition("=")
        if not equals:
            raise ValueError("lines like key=value")
        if key.strip() in pairs:
            raise ValueError(
                f"each key once, and {shorten(key.strip())!r} is there twice"
            )
        pairs[key.strip()] = value.strip()
    return pairs


def _json(text: str) -> Any:
    def refuse(constant: str) -> Any:
        raise ValueError(f"JSON without {constant}")

    try:
        return json.loads(text, parse_constant=refuse)
    except RecursionError:
        raise ValueError("JSON that is nested less deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(
            f"JSON ({error.msg} at line {error.lineno}, column {error.colno})"
        ) from None


def answers_of(root: Field, body: Mapping[str, Any]) -> Answers:
    """Return the answers that would post this body: they fill the form of a cloned job."""
    values: dict[str, list[str]] = {}
    files: dict[str, Mapping[str, Any]] = {}
    for group in root.groups():
        if group.nullable and isinstance(_at(body, group.path), Mapping):
            values[group.switch] = ["true"]
    for leaf in root.leaves():
        value = _at(body, leaf.path)
        if value is _ABSENT or value is None:
            continue
        if leaf.control is Control.FILE:
            files[leaf.name] = value
        else:
            values[leaf.name] = texts_of(leaf, value)
    return Answers(values=values, files=files)


def _at(body: Mapping[str, Any], path: Path) -> Any:
    value: Any = body
    for key in path:
        value = value.get(key, _ABSENT) if isinstance(value, Mapping) else _ABSENT
    return value


def defaults(root: Field) -> Answers:
    """Return the answers that an untouched form starts with."""
    values = {
        leaf.name: texts_of(leaf, leaf.default)
        for leaf in root.leaves()
        if leaf.default is not None
        and leaf.control not in (Control.FILE, Control.CONSTANT)
    }
    return Answers(values=values)


def texts_of(leaf: Field, value: Any) -> list[str]:
    """Return the answers that stand for a value."""
    match leaf.control:
        case Control.CHOICES:
            return [str(item) for item in value]
        case Control.LINES:
            return ["\n".join(str(item) for item in value)]
        case Control.PAIRS:
            return ["\n".join(f"{key}={text}" for key, text in value.items())]
        case Control.JSON:
            return [json.dumps(value, indent=2, ensure_ascii=False)]
        case Control.FLAG:
            return ["true" if value else "false"]
        case Control.NUMBER:
            return [f"{value:.15g}"]
        case _:
            return [str(value)]


def shorten(value: Any, limit: int = 120) -> str:
    """Format a value for an error message, shortened to `limit` characters."""
    text = (
        value
        if isinstance(value, str)
        else json.dumps(value, default=str, ensure_ascii=False)
    )
    return text if len(text) <= limit else text[: limit - 1] + "…"
