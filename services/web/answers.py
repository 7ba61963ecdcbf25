"""Posted forms to JSON bodies and back.

Answers are strings by field name; a name is the dotted path of the value, for example
`spec.lns.enabled`. An empty answer is left out of the body, so that the default applies.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from services.web.forms import MAX_DIGITS, Control, Field, Path
from services.web.paste import Cells, json_value, parse


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
    """A posted form: values by field name, and stored files as ArtifactRef JSON by name.

    A row of a list has a number in its names, `spec.devices.0.count`, and a mark of its own,
    `spec.devices.0@row`; text pasted for the list is `spec.devices@paste`.
    """

    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    lists: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """The files of fields that take several."""

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
        if child.control is Control.ROWS:
            value = _read_rows(child, answers, faults)
        else:
            value = _read_one(child, answers, faults)
        if value is not _ABSENT:
            body[key] = value
    _infer_tag(group, body)
    return body


def _read_one(item: Field, answers: Answers, faults: list[Fault]) -> Any:
    try:
        return read_value(item, answers)
    except ValueError as error:
        got = shorten(answers.last(item.name)) or "nothing"
        faults.append(Fault(path=item.path, got=got, expected=str(error)))
        return _ABSENT


def _read_rows(item: Field, answers: Answers, faults: list[Fault]) -> Any:
    """Return the entries of a list: those of its rows, then the pasted ones."""
    entries: list[Any] = []
    for number in row_numbers(item, answers):
        row = item.at(len(entries))
        posted = item.at(number)
        if item.blank_counts or not is_blank_row(posted, answers):
            moved = answers if number == len(entries) else _moved(answers, posted, row)
            entries.append(_read_row(row, moved, faults))
    text = answers.last(f"{item.name}@paste")
    if text.strip():
        try:
            pasted = parse(item, text)
        except ValueError as error:
            got = shorten(text)
            faults.append(Fault(path=item.path, got=got, expected=str(error)))
            return _ABSENT
        entries += pasted.entries
        for cells in pasted.rows:
            row = item.at(len(entries))
            one = Answers(values=cell_values(row, cells))
            entries.append(_read_row(row, one, faults))
    return entries or _ABSENT


def _read_row(row: Field, answers: Answers, faults: list[Fault]) -> Any:
    if row.control is Control.GROUP:
        return _read_group(row, answers, faults)
    value = _read_one(row, answers, faults)
    return [] if value is _ABSENT else value


def _infer_tag(group: Field, body: dict[str, Any]) -> None:
    """Fill in the tag of a union where the other properties leave one choice."""
    if not group.variants or not body or (key := group.children[0].path[-1]) in body:
        return
    fitting = [tag for tag, names in group.variants if names >= body.keys()]
    if len(fitting) == 1:
        body[key] = fitting[0]


def row_numbers(item: Field, answers: Answers) -> list[int]:
    """Return the numbers of the rows of a list that have an answer, in order."""
    prefix = f"{item.name}."
    found = set()
    for answered in (answers.values, answers.files, answers.lists):
        for name in answered:
            if name.startswith(prefix):
                part = name[len(prefix) :].split(".", 1)[0].split("@", 1)[0]
                # `isdecimal` also takes digits of other scripts, which name no row of ours.
                if part.isascii() and part.isdecimal() and len(part) <= MAX_DIGITS:
                    found.add(int(part))
    return sorted(found)


def is_blank_row(row: Field, answers: Answers) -> bool:
    """Return True for a row of a list without any answer."""
    return not any(
        leaf.name in answers.files
        or answers.lists.get(leaf.name)
        or _trimmed(answers.values.get(leaf.name, ()))
        for leaf in row.leaves()
    )


def cell_values(row: Field, cells: Cells) -> dict[str, list[str]]:
    """Return the answers of a row of pasted cells."""
    named = {
        f"{row.name}.{name}" if name else row.name: [text] for name, text in cells.items()
    }
    return {f"{row.name}@row": ["1"], **named}


def _moved(answers: Answers, posted: Field, row: Field) -> Answers:
    """Return the answers of one row under the names of another."""

    def renamed(answered: Mapping[str, Any]) -> dict[str, Any]:
        return {
            row.name + name.removeprefix(posted.name): value
            for name, value in answered.items()
            if name.startswith((f"{posted.name}.", f"{posted.name}@"))
            or name == posted.name
        }

    return Answers(
        values=renamed(answers.values),
        files=renamed(answers.files),
        lists=renamed(answers.lists),
    )


_ABSENT = object()


def is_given(group: Field, answers: Answers) -> bool:
    """Return True if an optional group is part of the request.

    A form posts the defaults that it shows: they alone do not mean that the group is wanted.
    """
    return answers.last(group.switch) == "true" or any(
        leaf.name in answers.files
        or bool(answers.lists.get(leaf.name))
        or is_changed(leaf, answers)
        for leaf in group.leaves()
    )


def is_changed(leaf: Field, answers: Answers) -> bool:
    """Return True for an answer that is not the default."""
    if leaf.control is Control.ROWS:
        text = answers.last(f"{leaf.name}@paste")
        rows = map(leaf.at, row_numbers(leaf, answers))
        return bool(text.strip()) or any(
            leaf.blank_counts or not is_blank_row(row, answers) for row in rows
        )
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
    if item.control is Control.FILES:
        return [dict(ref) for ref in answers.lists.get(item.name, ())] or _ABSENT
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
            if item.item == "string":
                return [line.strip() for line in text.splitlines() if line.strip()]
            convert = _integer if item.item == "integer" else _number
            return [convert(part) for part in re.split(r"[\s,;]+", text) if part]
        case Control.PAIRS:
            return _pairs(text)
        case Control.JSON:
            return json_value(text)
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


def answers_of(root: Field, body: Mapping[str, Any]) -> Answers:
    """Return the answers that would post this body: they fill the form of a cloned job."""
    values: dict[str, list[str]] = {}
    files: dict[str, Mapping[str, Any]] = {}
    lists: dict[str, Sequence[Mapping[str, Any]]] = {}
    base = len(root.path)
    for group in root.groups():
        if group.nullable and isinstance(_at(body, group.path[base:]), Mapping):
            values[group.switch] = ["true"]
    for leaf in root.leaves():
        value = _at(body, leaf.path[base:])
        if value is _ABSENT or value is None or (leaf.column and value == leaf.default):
            continue  # a cell is blank where the default applies
        if leaf.control is Control.FILE:
            files[leaf.name] = value
        elif leaf.control is Control.FILES:
            lists[leaf.name] = value
        elif leaf.control is Control.ROWS:
            values[f"{leaf.name}@paste"] = [_list_text(value)]
        else:
            values[leaf.name] = texts_of(leaf, value)
    return Answers(values=values, files=files, lists=lists)


def _list_text(entries: Sequence[Any]) -> str:
    """Return a list as JSON with one entry per line; empty for an empty one."""
    lines = ",\n".join(json.dumps(one, ensure_ascii=False) for one in entries)
    return f"[\n{lines}\n]" if lines else ""


def row_answers(row: Field, entry: Any) -> Answers:
    """Return the answers that would post an entry of a list as this row."""
    if row.control is Control.GROUP:
        answers = answers_of(row, entry)
    else:
        answers = Answers(values={row.name: texts_of(row, entry)})
    return replace(answers, values={f"{row.name}@row": ["1"], **answers.values})


def _at(body: Any, path: Path) -> Any:
    value = body
    for key in path:
        value = value.get(key, _ABSENT) if isinstance(value, Mapping) else _ABSENT
    return value


_WITHOUT_DEFAULT = (Control.FILE, Control.FILES, Control.CONSTANT, Control.ROWS)


def defaults(root: Field) -> Answers:
    """Return the answers that an untouched form starts with."""
    values = {
        leaf.name: texts_of(leaf, leaf.default)
        for leaf in root.leaves()
        if leaf.default is not None and leaf.control not in _WITHOUT_DEFAULT
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
            text = f"{value:.15g}"
            return [text if float(text) == value else repr(value)]
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
