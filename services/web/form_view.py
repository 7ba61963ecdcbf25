"""Form data for the templates: fields, values, errors."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from services.web import formatting
from services.web.answers import (
    Answers,
    Fault,
    is_blank_row,
    is_given,
    read,
    row_numbers,
)
from services.web.forms import Control, Field, fields_of, place
from services.web.paste import columns_of, numbered_columns
from trimtab.faults import fault_of
from trimtab.specs.common import JobRequest

BASIC_SETTINGS = ("name", "budget")  # of the fields beside the spec
MAX_FAULTS = 50  # shown at once; a pasted list may have thousands
_CONSTANT = Control.CONSTANT


@dataclass(frozen=True, kw_only=True)
class PlacedFault:
    """A fault with a link to its field, for the summary at the top of the form."""

    where: str
    href: str
    text: str


class FormView:
    """Values for `submit_kind.html`; `_field.html` draws any tree of fields with them.

    focus: name of the list whose rows a button has just changed.
    """

    def __init__(
        self,
        root: Field,
        answers: Answers,
        faults: Sequence[Fault] = (),
        *,
        focus: str = "",
    ) -> None:
        self.root = root
        self.focus = focus
        self._answers = answers
        self._at: dict[tuple[str, ...], list[Fault]] = defaultdict(list)
        fields = {item.path: item for item in self._shown(root)}
        self.faults: list[PlacedFault] = []
        self.fault_count = len(faults)
        for fault in faults[:MAX_FAULTS]:
            shown = _in_a_shown_field(fault, fields)
            self._at[shown.path].append(shown)
            self.faults.append(_placed(shown, fields))

    def _shown(self, item: Field) -> list[Field]:
        """Return a field and all fields within it, those of shown rows included."""
        children = self.rows(item) if item.control is Control.ROWS else item.children
        return [item, *(inner for child in children for inner in self._shown(child))]

    def rows(self, item: Field) -> list[Field]:
        """Return the rows of a list to show: the answered ones, else a blank one to fill in."""
        numbers = row_numbers(item, self._answers)
        least = 0 if item.blank_counts or self.pasted(item) else 1
        return [item.at(number) for number in range(max(len(numbers), least))]

    def pasted(self, item: Field) -> str:
        """Return the text pasted for a list that is not shown as rows."""
        return self._answers.last(f"{item.name}@paste")

    def columns(self, item: Field) -> list[Field]:
        """Return the columns of a list, to describe them once for all rows."""
        return [leaf for leaf in item.at(0).leaves() if leaf.control is not _CONSTANT]

    def csv_columns(self, item: Field) -> list[str]:
        """Return the columns that pasted CSV may have; none for a list of lists."""
        return [name for name in columns_of(item) if name]

    def numbered_columns(self, item: Field) -> dict[str, str]:
        """Return the lists of numbers that CSV may spread over columns: `bin` → its field."""
        return numbered_columns(item)

    def files(self, item: Field) -> list[tuple[str, str]]:
        """Return the stored files of a field that takes several: (JSON, words)."""
        return [
            (
                json.dumps(dict(ref)),
                f"{ref.get('name') or ref.get('digest')} "
                f"({formatting.size(ref.get('size_bytes'))})",
            )
            for ref in self._answers.lists.get(item.name, ())
        ]

    @property
    def spec(self) -> Field:
        """The kind's own fields."""
        return next(child for child in self.root.children if child.path == ("spec",))

    @property
    def settings(self) -> Field:
        """The fields beside the spec as a group: groups, then short fields, then long ones."""
        wide = (
            Control.PAIRS,
            Control.LINES,
            Control.JSON,
            Control.LONG_TEXT,
            Control.ROWS,
        )
        items = [item for item in self.root.children if item.path != ("spec",)]
        items.sort(key=lambda item: (item.nullable, item.control in wide))
        return replace(self.root, children=tuple(items))

    def basic(self, group: Field) -> list[Field]:
        """Return the fields of a group that most users set."""
        return [item for item in group.children if not item.advanced]

    def advanced(self, group: Field) -> list[Field]:
        """Return the other fields of a group."""
        shown = (item for item in group.children if item.control is not _CONSTANT)
        return [item for item in shown if item.advanced]

    def is_unfolded(self, items: Sequence[Field]) -> bool:
        """Return True if one of these fields has a fault or an answer that is not the default."""
        return any(
            self.is_faulty(item)
            or self.focus == item.name
            or self.focus.startswith(f"{item.name}.")
            or is_given(item, self._answers)
            for item in items
        )

    def is_open(self, group: Field) -> bool:
        """Return True if an optional group has an answer or a fault: it is shown unfolded."""
        return self.is_faulty(group) or is_given(group, self._answers)

    def is_faulty(self, item: Field) -> bool:
        """Return True if a field or one within it has a fault."""
        return any(self.faults_at(inner.path) for inner in self._shown(item))

    def has_answer(self, item: Field) -> bool:
        """Return True if a field of a row, or one within it, is answered."""
        return not is_blank_row(item, self._answers)

    def is_included(self, group: Field) -> bool:
        """Return True if an optional group is wanted also where its answers are the defaults."""
        return self._answers.last(group.switch) == "true"

    def faults_at(self, path: tuple[str, ...]) -> list[Fault]:
        """Return the faults of a field."""
        return self._at.get(tuple(path), [])

    def value(self, item: Field) -> str:
        """Return the answer so far."""
        return self._answers.last(item.name)

    def values(self, item: Field) -> Sequence[str]:
        """Return the answers so far of a field with several."""
        return self._answers.values.get(item.name, ())

    def file(self, item: Field) -> Mapping[str, Any] | None:
        """Return the stored file of a field."""
        ref = self._answers.files.get(item.name)
        return None if ref is None else {"name": "", "size_bytes": None, **ref}

    def file_json(self, item: Field) -> str:
        """Return the stored file as JSON for the hidden input."""
        ref = self._answers.files.get(item.name)
        return "" if ref is None else json.dumps(dict(ref))

    def described_by(self, item: Field) -> str:
        """Return the ids of help and faults for `aria-describedby`."""
        ids = [f"{item.id}-help"] if item.help or item.range_words else []
        ids = [item.column] if item.column else ids
        ids += [
            f"{item.id}-fault{number}"
            for number in range(1, len(self.faults_at(item.path)) + 1)
        ]
        return " ".join(ids)


def request_form(model: type[JobRequest]) -> Field:
    """Return the form of one kind's request, with the limits this kind supports."""
    form = fields_of(model.model_json_schema())
    spec = model.model_fields["spec"].annotation
    supported = set(getattr(spec, "LIMITS", ())) | {"seconds"}
    basic = getattr(spec, "BASIC", ())
    children = []
    for group in form.children:
        if group.path == ("spec",) and basic:
            group = replace(group, children=_ordered(group.children, basic))
        if group.path == ("budget",):
            group = replace(
                group,
                children=tuple(
                    item for item in group.children if item.path[-1] in supported
                ),
            )
        children.append(group)
    return replace(form, children=_ordered(children, ("kind", "spec", *BASIC_SETTINGS)))


def _ordered(items: Sequence[Field], basic: Sequence[str]) -> tuple[Field, ...]:
    """Return the fields with the basic ones first, and the others marked."""
    by_name = {item.path[-1]: item for item in items}
    first = [by_name.pop(name) for name in basic]
    return (*first, *(replace(item, advanced=True) for item in by_name.values()))


def check(
    root: Field, model: type[JobRequest], kind: str, answers: Answers
) -> tuple[dict[str, Any], list[Fault]]:
    """Return (request body, everything that is wrong with the answers)."""
    body, faults = read(root, answers)
    body["kind"] = kind
    seen = {fault.path for fault in faults}
    try:
        model.model_validate_json(json.dumps(body))
    except (ValidationError, UnicodeEncodeError) as error:
        for fault in _model_faults(root, error):
            # A value that could not be read is not in the body: do not report it as missing.
            if fault.path not in seen:
                faults.append(fault)
    return body, faults


def _model_faults(
    root: Field, error: ValidationError | UnicodeEncodeError
) -> list[Fault]:
    if isinstance(error, UnicodeEncodeError):
        return [
            Fault(
                path=(), got="text with a lone surrogate", expected="valid Unicode text"
            )
        ]
    faults = []
    for entry in error.errors(include_url=False):
        fault = fault_of(entry)
        faults.append(
            Fault(path=place(root, entry["loc"]), got=fault.got, expected=fault.expected)
        )
    return faults


def _in_a_shown_field(fault: Fault, fields: Mapping[tuple[str, ...], Field]) -> Fault:
    """Return the fault at the innermost shown field, with what it leaves out in the words.

    Rows of a long pasted list are not shown: `row 412, Dim: expected ...` stands at the list.
    """
    depth = len(fault.path)
    while fault.path[:depth] not in fields:
        depth -= 1
    item, words = fields[fault.path[:depth]], []
    if depth < len(fault.path) and item.control is Control.ROWS:
        row = item.at(int(fault.path[depth]))
        words.append(row.label.lower())
        for key in fault.path[depth + 1 :]:
            row = next(child for child in row.children if child.path[-1] == key)
            words.append(row.label)
    text = f"{', '.join(words)}: {fault.text}" if words else fault.expected
    got = "" if words else fault.got
    return Fault(path=item.path, got=got, expected=text)


def _placed(fault: Fault, fields: Mapping[tuple[str, ...], Field]) -> PlacedFault:
    if not fault.path:
        return PlacedFault(where="Request", href="", text=fault.text)
    steps = range(1, len(fault.path) + 1)
    where = " › ".join(fields[fault.path[:n]].label for n in steps)
    item = fields[fault.path]
    no_target = item.control in (Control.GROUP, Control.CHOICES) and not item.column
    href = "" if no_target else f"#{item.id}"
    return PlacedFault(where=where, href=href, text=fault.text)
