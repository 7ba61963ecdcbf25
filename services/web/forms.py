"""Form fields from a JSON schema.

`fields_of(schema)` turns the request schema of any kind into a tree of `Field`s, which one
template draws; `answers.read` turns the posted form into the JSON body of the API. A new kind
therefore needs no code here and none in the templates. Lists of objects are edited in rows, one
control per property. Values without a natural control are entered as JSON text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from services.web import formatting

LONG_TEXT_CHARS = 500  # a longer string gets a text area
MAX_DEPTH = 8  # of nested fieldsets; deeper or recursive schemas are entered as JSON
MAX_DIGITS = 6  # of the number of a row
ANY_ROW = "*"  # stands for the number of a row in the path of a list's prototype

Schema = Mapping[str, Any]
Path = tuple[str, ...]


class Control(StrEnum):
    """Kinds of form controls."""

    TEXT = "text"
    LONG_TEXT = "long_text"
    INTEGER = "integer"
    NUMBER = "number"
    FLAG = "flag"
    CHOICE = "choice"
    CHOICES = "choices"  # array of an enumeration
    LINES = "lines"  # array of strings or numbers, one per line
    PAIRS = "pairs"  # object of strings, one `key=value` per line
    FILE = "file"  # ArtifactRef
    FILES = "files"  # array of ArtifactRef
    ROWS = "rows"  # array of objects or of arrays: one row of controls per entry
    JSON = "json"
    GROUP = "group"  # object with known properties: a fieldset
    CONSTANT = "constant"  # not shown


@dataclass(frozen=True, kw_only=True)
class Field:
    """One form control, or a group of them."""

    path: Path
    control: Control
    label: str
    help: str = ""
    required: bool = False
    nullable: bool = False
    advanced: bool = False  # folded away, unless it is answered or has a fault
    default: Any = None
    choices: tuple[Any, ...] = ()
    choice_words: tuple[str, ...] = ()  # shown instead of the choices
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None  # exclusive minimum
    below: float | None = None  # exclusive maximum
    max_length: int | None = None
    pattern: str | None = None
    item: str = "string"  # JSON type of an array's items
    children: tuple[Field, ...] = ()
    row: Field | None = None  # of ROWS: its prototype
    column: str = ""  # of a control in a row: id of the description of its column
    variants: tuple[tuple[str, frozenset[str]], ...] = ()
    """Of a tagged union: each tag with its properties; the tag is the first child."""

    @property
    def name(self) -> str:
        """Name of the form control: the dotted path."""
        return ".".join(self.path)

    @property
    def id(self) -> str:
        """Id of the element, without dots, which need escaping in selectors."""
        return "f-" + "-".join(self.path)

    @property
    def switch(self) -> str:
        """Name of the box that includes an optional group with its defaults."""
        return f"{self.name}@on"

    @property
    def has_defaults(self) -> bool:
        """True for a group that may be included without an answer."""
        return any(leaf.default is not None for leaf in self.leaves())

    @property
    def range_words(self) -> str:
        """The allowed range in words, e.g. `more than 0, at most 600`."""
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

    @property
    def options(self) -> list[tuple[Any, str]]:
        """Choices with the words that stand for them."""
        words = self.choice_words or tuple(str(choice) for choice in self.choices)
        return list(zip(self.choices, words, strict=True))

    @property
    def default_words(self) -> str:
        """The default in words, for a control that is blank where the default applies."""
        if self.default is None or self.default in ("", []):
            return ""
        for choice, words in self.options:
            if choice == self.default:
                return words
        is_float = isinstance(self.default, float)
        return f"{self.default:.15g}" if is_float else str(self.default)

    @property
    def blank_counts(self) -> bool:
        """True for a list whose entries need no property: also a blank row is an entry."""
        assert self.row is not None
        return self.row.control is Control.GROUP and not any(
            child.required for child in self.row.children
        )

    @property
    def cells(self) -> tuple[Field, ...]:
        """The controls of a row: its properties, or the row itself."""
        return self.children if self.control is Control.GROUP else (self,)

    @property
    def narrow_cells(self) -> list[Field]:
        """The controls of a row that stand beside each other."""
        return [cell for cell in self.cells if cell.control not in _WIDE or cell is self]

    @property
    def wide_cells(self) -> list[Field]:
        """The controls of a row that need its whole width."""
        return [cell for cell in self.cells if cell.control in _WIDE and cell is not self]

    def at(self, number: int) -> Field:
        """Return the fields of one row of a list, numbered from 0."""
        assert self.row is not None
        row = _moved(self.row, (*self.path, str(number)), len(self.path) + 1)
        word = "Row" if row.control is Control.GROUP else self.label
        return replace(row, label=f"{word} {number + 1}")

    def leaves(self) -> Iterator[Field]:
        """Iterate over the controls of this subtree, without the groups."""
        if self.control is Control.GROUP:
            for child in self.children:
                yield from child.leaves()
        else:
            yield self

    def groups(self) -> Iterator[Field]:
        """Iterate over the groups of this subtree, itself included."""
        if self.control is Control.GROUP:
            yield self
            for child in self.children:
                yield from child.groups()


_WIDE = frozenset(
    {Control.LONG_TEXT, Control.FILE, Control.FILES, Control.JSON, Control.GROUP}
)


def _moved(item: Field, to: Path, depth: int) -> Field:
    """Return a prototype's field in the row at `to`; `depth`: length of the prototype's path."""
    return replace(
        item,
        path=(*to, *item.path[depth:]),
        column=item.id.replace(ANY_ROW, "column"),
        children=tuple(_moved(child, to, depth) for child in item.children),
    )


def fields_of(schema: Schema) -> Field:
    """Return the form of an object schema as one group."""
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
        # Nothing is required inside an optional group: the model reports what an incomplete
        # group lacks.
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
    if "discriminator" in schema and len(path) < MAX_DEPTH:
        return _union(base, schema, defs)
    if kind == "array":
        return _list(base, schema, defs)
    simple = {
        "boolean": Control.FLAG,
        "integer": Control.INTEGER,
        "number": Control.NUMBER,
    }
    if kind == "boolean" and (ANY_ROW in path or (nullable and base.default is None)):
        # A box has two states; the third is the model's own decision, or the default in a row.
        return replace(
            base,
            control=Control.CHOICE,
            choices=(True, False),
            choice_words=("yes", "no"),
        )
    if kind in simple:
        return replace(base, control=simple[kind])
    if kind == "string":
        long = (base.max_length or 0) > LONG_TEXT_CHARS and base.pattern is None
        return replace(base, control=Control.LONG_TEXT if long else Control.TEXT)
    return base


def _list(base: Field, schema: Schema, defs: Schema) -> Field:
    """Return the control of an array."""
    items = schema.get("items", {})
    item, _, ref = _resolve(items, defs)
    ends = [_resolve(one, defs)[0].get("type") for one in schema.get("prefixItems", ())]
    kind = ends[0] if ends and len(set(ends)) == 1 else item.get("type")
    if ref == "ArtifactRef":
        return replace(base, control=Control.FILES)
    if "enum" in item:
        return replace(base, control=Control.CHOICES, choices=tuple(item["enum"]))
    if kind in ("string", "integer", "number"):
        return replace(base, control=Control.LINES, item=str(kind))
    if ANY_ROW in base.path:  # a list within a row
        return base
    path = (*base.path, ANY_ROW)
    row = _field(items, defs, path=path, label=base.label, required=False)
    if row.control in (Control.GROUP, Control.LINES, Control.CHOICES):
        return replace(base, control=Control.ROWS, row=replace(row, nullable=False))
    return base


def _union(base: Field, schema: Schema, defs: Schema) -> Field:
    """Return the group of a tagged union: its tag, then the properties of all variants."""
    key = schema["discriminator"]["propertyName"]
    tags = schema["discriminator"]["mapping"]
    children: dict[str, Field] = {}
    variants = []
    for tag, ref in tags.items():
        properties = _resolve({"$ref": ref}, defs)[0].get("properties", {})
        variants.append((str(tag), frozenset(properties) - {key}))
        for name, inner in properties.items():
            child = _field(
                inner,
                defs,
                path=(*base.path, name),
                label=formatting.label(name),
                required=False,
            )
            words = f"{child.help} For {tag}.".strip()
            children.setdefault(name, replace(child, help=words))
    choice = Field(
        path=(*base.path, key),
        control=Control.CHOICE,
        label=formatting.label(key),
        choices=tuple(tags),
    )
    return replace(
        base,
        control=Control.GROUP,
        children=(choice, *(one for name, one in children.items() if name != key)),
        variants=tuple(variants),
    )


def _resolve(schema: Schema, defs: Schema) -> tuple[Schema, bool, str | None]:
    """Resolve `$ref`, a single `allOf` and `X | null`.

    Returns (schema, nullable, name of the last reference).
    """
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


def place(root: Field, loc: Sequence[Any]) -> Path:
    """Return the field of an error location: its longest prefix that is a field.

    Union tags, and indices within a control, are skipped.
    """
    item = root
    for part in map(str, loc):
        if item.control is Control.ROWS and part.isdecimal() and len(part) <= MAX_DIGITS:
            item = item.at(int(part))
            continue
        item = next((one for one in item.children if one.path[-1] == part), item)
    return item.path
