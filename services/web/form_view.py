"""Form data for the templates: fields, values, errors."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from services.web.answers import Answers, Fault, is_given, read
from services.web.forms import Control, Field, fields_of, place
from trimtab.faults import fault_of
from trimtab.specs.common import JobRequest


@dataclass(frozen=True, kw_only=True)
class PlacedFault:
    """A fault with a link to its field, for the summary at the top of the form."""

    where: str
    href: str
    text: str


class FormView:
    """Values for `submit_kind.html`; `_field.html` draws any tree of fields with them."""

    def __init__(
        self, root: Field, answers: Answers, faults: Sequence[Fault] = ()
    ) -> None:
        self.root = root
        self._answers = answers
        self._at: dict[tuple[str, ...], list[Fault]] = defaultdict(list)
        fields = {item.path: item for item in _all(root)}
        self.faults: list[PlacedFault] = []
        for fault in faults:
            self._at[fault.path].append(fault)
            item = fields.get(fault.path)
            where = (
                " › ".join(
                    fields[fault.path[: n + 1]].label for n in range(len(fault.path))
                )
                if item
                else "Request"
            )
            href = (
                f"#{item.id}"
                if item and item.control not in (Control.GROUP, Control.CHOICES)
                else ""
            )
            self.faults.append(PlacedFault(where=where, href=href, text=fault.text))

    @property
    def spec(self) -> Field:
        """The kind's own fields."""
        return next(child for child in self.root.children if child.path == ("spec",))

    @property
    def groups(self) -> list[Field]:
        """The groups beside the spec, e.g. the budget; optional ones come last."""
        groups = [
            item
            for item in self.root.children
            if item.control is Control.GROUP and item.path != ("spec",)
        ]
        return sorted(groups, key=lambda item: item.nullable)

    @property
    def singles(self) -> list[Field]:
        """The single fields beside the spec, e.g. the seed."""
        skip = (Control.GROUP, Control.CONSTANT)
        wide = (Control.PAIRS, Control.LINES, Control.JSON, Control.LONG_TEXT)
        singles = [item for item in self.root.children if item.control not in skip]
        return sorted(singles, key=lambda item: item.control in wide)

    def is_open(self, group: Field) -> bool:
        """Return True if an optional group has an answer or a fault: it is shown unfolded."""
        faulty = any(self.faults_at(item.path) for item in _all(group))
        return faulty or is_given(group, self._answers)

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
    children = []
    for group in form.children:
        if group.path == ("budget",):
            group = replace(
                group,
                children=tuple(
                    item for item in group.children if item.path[-1] in supported
                ),
            )
        children.append(group)
    return replace(form, children=tuple(children))


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


def _all(item: Field) -> list[Field]:
    return [item, *(inner for child in item.children for inner in _all(child))]
