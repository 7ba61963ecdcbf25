"""A form from a JSON schema, and the answers back into JSON.

`fields_of(schema)` turns the request schema of any kind into a tree of `Field`s; one template draws any such tree and
`read(fields, answers)` turns what a browser posts into the JSON body that the API would take. A new kind therefore
needs no line here and none in the templates. What has no natural control (unions of objects, arrays of objects) is
asked for as JSON text.

Answers are strings by field name; a name is the dotted path of the value, e.g. `spec.lns.enabled`. An empty answer is
left out of the body, so that the schema's default applies.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from services.web import formatting

LONG_TEXT_CHARS = 500  # a longer string gets a text area
MAX_DEPTH = 8  # of nested fieldsets; deeper (or recursive) schemas are asked for as JSON

Schema = Mapping[str, Any]
Path = tuple[str, ...]


class Control(StrEnum):
    """The control that asks for a value."""

    TEXT = "text"
    LONG_TEXT = "long_text"
    INTEGER = "integer"
    NUMBER = "number"
    FLAG = "flag"
    CHOICE = "choice"
    CHOICES = "choices"  # array of an enumeration
    LINES = "lines"  # array of strings or numbers, one a line
    PAIRS = "pairs"  # object of strings, `key=value` a line
    FILE = "file"  # ArtifactRef
    JSON = "json"
    GROUP = "group"  # object with known properties: a fieldset
    CONSTANT = "constant"  # not asked for


@dataclass(frozen=True, kw_only=True)
class Field:
    """One control, or a group of them."""

    path: Path
    control: Control
    label: str
    help: str = ""
    required: bool = False
    nullable: bool = False
    default: Any = None
    choices: tuple[Any, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None  # exclusive minimum
    below: float | None = None  # exclusive maximum
    max_length: int | None = None
    pattern: str | None = None
    item: str = "string"  # JSON type of an array's items
    children: tuple[Field, ...] = ()

    @property
    def name(self) -> str:
        """Name of the form control."""
        return ".".join(self.path)

    @property
    def id(self) -> str:
        """Id of the element; dots would need escaping in selectors."""
        return "f-" + "-".join(self.path)

    @property
    def wanted(self) -> str:
        """The range in words, e.g. `more than 0, at most 600`."""
        parts = [
            f"{word} {limit:,}" if isinstance(limit, int) else f"{word} {limit:,.15g}"
            for word, limit in (
                ("more than", self.above),
                ("at least", self.minimum),
                ("less than", self.below),
                ("at most", self.maximum),
            )
            if limit is not None
        ]
        return ", ".join(parts)

    def leaves(self) -> Iterator[Field]:
        """This control and all below it, without groups."""
        if self.control is Control.GROUP:
            for child in self.children:
                yield from child.leaves()
        else:
            yield self


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something wrong with one answer: `expected <wanted>, got <came>`; without `came`, `wanted` is the whole sentence."""

    path: Path
    came: str
    wanted: str

    @property
    def text(self) -> str:
        """The fault in words."""
        return f"expected {self.wanted}, got {self.came}" if self.came else self.wanted


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a browser posted: the values of each name, in order; files already stored, as ArtifactRef JSON by name."""

    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def last(self, name: str) -> str:
        """The last value; a check box follows a hidden `false`, so the last one counts."""
        values = self.values.get(name, ())
        return values[-1] if values else ""


# -- schema → fields ----------------------------------------------------------------------------------------------


def fields_of(schema: Schema) -> Field:
    """The form of an object schema, as one group."""
    return _field(
        schema,
        schema.get("$defs", {}),
        path=(),
        label=str(schema.get("title", "")),
        required=True,
    )


def _field(
    schema: Schema, defs: Schema, *, path: Path, label: str, required: bool
) -> Field:
    schema, nullable, ref = _resolve(schema, defs)
    base = Field(
        path=path,
        control=Control.JSON,
        label=label,
        help=str(schema.get("description", "")),
        required=required and not nullable,
        nullable=nullable,
        default=schema.get("default"),
        minimum=schema.get("minimum"),
        maximum=schema.get("maximum"),
        above=schema.get("exclusiveMinimum"),
        below=schema.get("exclusiveMaximum"),
        max_length=schema.get("maxLength"),
        pattern=schema.get("pattern"),
    )
    kind = schema.get("type")
    if "const" in schema:
        return replace(base, control=Control.CONSTANT, default=schema["const"])
    if ref == "ArtifactRef":
        return replace(base, control=Control.FILE)
    if "enum" in schema:
        return replace(base, control=Control.CHOICE, choices=tuple(schema["enum"]))
    if kind == "object" and schema.get("properties") and len(path) < MAX_DEPTH:
        # Inside a group that may be left out nothing is required: the model tells what a half-filled group misses.
        needed = () if nullable else schema.get("required", ())
        children = tuple(
            _field(
                child,
                defs,
                path=(*path, key),
                label=formatting.label(key),
                required=key in needed,
            )
            for key, child in schema["properties"].items()
        )
        return replace(base, control=Control.GROUP, children=children)
    if kind == "object" and _string_values(schema):
        return replace(base, control=Control.PAIRS)
    if kind == "array":
        item, _, _ = _resolve(schema.get("items", {}), defs)
        if "enum" in item:
            return replace(base, control=Control.CHOICES, choices=tuple(item["enum"]))
        if item.get("type") in ("string", "integer", "number"):
            return replace(base, control=Control.LINES, item=str(item["type"]))
    simple = {"boolean": Control.FLAG, "integer": Control.INTEGER, "number": Control.NUMBER}
    if kind in simple:
        return replace(base, control=simple[kind])
    if kind == "string":
        long = (base.max_length or 0) > LONG_TEXT_CHARS and base.pattern is None
        return replace(base, control=Control.LONG_TEXT if long else Control.TEXT)
    return base


def _resolve(schema: Schema, defs: Schema) -> tuple[Schema, bool, str | None]:
    """Follow `$ref`, a single `allOf` and `X | null`; returns (schema, nullable, name of the last reference)."""
    nullable, ref = False, None
    for _ in range(32):
        outer = {
            key: value
            for key, value in schema.items()
            if key not in ("$ref", "anyOf", "allOf")
        }
        options = [
            option for option in schema.get("anyOf", ()) if option.get("type") != "null"
        ]
        if "$ref" in schema:
            ref = str(schema["$ref"]).rsplit("/", 1)[-1]
            schema = {**defs.get(ref, {}), **outer}
        elif "anyOf" in schema and len(options) == 1:
            nullable = nullable or len(options) < len(schema["anyOf"])
            schema = {**options[0], **outer}
        elif len(schema.get("allOf", ())) == 1:
            schema = {**schema["allOf"][0], **outer}
        else:
            nullable = nullable or len(options) < len(schema.get("anyOf", ()))
            break
    return schema, nullable, ref


def _string_values(schema: Schema) -> bool:
    values = [
        schema.get("additionalProperties"),
        *schema.get("patternProperties", {}).values(),
    ]
    return any(
        isinstance(value, Mapping) and value.get("type") == "string" for value in values
    )


# -- answers → JSON -----------------------------------------------------------------------------------------------


def read(root: Field, answers: Answers) -> tuple[dict[str, Any], list[Fault]]:
    """The JSON body these answers mean, and the answers that are no value of their type at all.

    Ranges, patterns and rules between fields are not checked here: the kind's own model does that, as for the API.
    """
    faults: list[Fault] = []
    body = _read_group(root, answers, faults)
    return body, faults


def _read_group(group: Field, answers: Answers, faults: list[Fault]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for child in group.children:
        key = child.path[-1]
        if child.control is Control.GROUP:
            inner = _read_group(child, answers, faults)
            if inner or not child.nullable:
                body[key] = inner
            continue
        if child.control is Control.CONSTANT:
            if child.required:
                body[key] = child.default
            continue
        try:
            value = _read_value(child, answers)
        except ValueError as error:
            faults.append(
                Fault(
                    path=child.path,
                    came=shorten(answers.last(child.name)) or "nothing",
                    wanted=str(error),
                )
            )
            continue
        if value is not _ABSENT:
            body[key] = value
    return body


_ABSENT = object()


def _read_value(item: Field, answers: Answers) -> Any:
    """Raises ValueError that says what was wanted."""
    if item.control is Control.FILE:
        return answers.files.get(item.name, _ABSENT)
    if item.control is Control.CHOICES:
        if item.name not in answers.values:
            return _ABSENT
        picked = [text for text in answers.values[item.name] if text]
        return [_choice(item, text) for text in picked]
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
            return text.replace("\r\n", "\n")  # forms post CRLF
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
            raise ValueError(f"each key once; {shorten(key.strip())!r} came twice")
        pairs[key.strip()] = value.strip()
    return pairs


def _json(text: str) -> Any:
    def refuse(constant: str) -> Any:
        raise ValueError(f"JSON without {constant}")

    try:
        return json.loads(text, parse_constant=refuse)
    except RecursionError:
        raise ValueError("JSON that is not nested so deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(
            f"JSON ({error.msg} at line {error.lineno}, column {error.colno})"
        ) from None


# -- JSON → answers, for re-display and cloning -------------------------------------------------------------------


def answers_of(root: Field, body: Mapping[str, Any]) -> Answers:
    """What a browser would post to get this body: fills the form of a cloned job."""
    values: dict[str, list[str]] = {}
    files: dict[str, Mapping[str, Any]] = {}
    for leaf in root.leaves():
        value: Any = body
        for key in leaf.path:
            value = value.get(key, _ABSENT) if isinstance(value, Mapping) else _ABSENT
        if value is _ABSENT or value is None:
            continue
        if leaf.control is Control.FILE:
            files[leaf.name] = value
        else:
            values[leaf.name] = _texts(leaf, value)
    return Answers(values=values, files=files)


def defaults(root: Field) -> Answers:
    """The answers an untouched form starts with."""
    values = {
        leaf.name: _texts(leaf, leaf.default)
        for leaf in root.leaves()
        if leaf.default is not None and leaf.control not in (Control.FILE, Control.CONSTANT)
    }
    return Answers(values=values)


def _texts(leaf: Field, value: Any) -> list[str]:
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


# -- faults of the model → faults of fields -----------------------------------------------------------------------


def place(root: Field, loc: Sequence[Any]) -> Path:
    """The field an error location belongs to: the longest known prefix (indices and union tags are skipped)."""
    known = {leaf.path for leaf in root.leaves()} | {group.path for group in _groups(root)}
    best: Path = ()
    current: Path = ()
    for part in loc:
        if (*current, str(part)) in known:
            current = (*current, str(part))
            best = current
    return best


def _groups(root: Field) -> Iterator[Field]:
    if root.control is Control.GROUP:
        yield root
        for child in root.children:
            yield from _groups(child)


def shorten(value: Any, limit: int = 120) -> str:
    """A value for an error message: never the whole of a large one."""
    text = (
        value
        if isinstance(value, str)
        else json.dumps(value, default=str, ensure_ascii=False)
    )
    return text if len(text) <= limit else text[: limit - 1] + "…"
