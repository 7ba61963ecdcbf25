"""Rows of the lists in a form: numbering, adding, removing, taking in a pasted list. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from services.web.answers import (
    Answers,
    Fault,
    cell_values,
    is_blank_row,
    row_answers,
    row_numbers,
    shorten,
)
from services.web.forms import Control, Field
from services.web.paste import Pasted, parse

MAX_SHOWN = 60  # rows with controls; a longer list stays text
ACTION = "@rows"  # name of the buttons that change rows

_SCALARS: Mapping[Control, tuple[type, ...]] = {
    Control.TEXT: (str,),
    Control.LONG_TEXT: (str,),
    Control.INTEGER: (int,),
    Control.NUMBER: (int, float),
    Control.FILE: (dict,),
}
_ITEMS: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
}


@dataclass(frozen=True, kw_only=True)
class Action:
    """A change of the rows of one list, by a button of the form."""

    verb: str
    """add, remove, clear or paste."""
    name: str
    """Name of the list's field."""
    number: int = -1
    """Row to remove, as posted."""


def action_of(text: str) -> Action | None:
    """Parse the value of the button that was pressed; None for another one."""
    verb, _, rest = text.partition(":")
    name, _, number = rest.partition(":")
    if verb not in ("add", "remove", "clear", "paste") or not name:
        return None
    digits = number if number.isdecimal() and len(number) <= 6 else "-1"
    return Action(verb=verb, name=name, number=int(digits))


def arrange(
    root: Field, answers: Answers, action: Action | None = None
) -> tuple[Answers, list[Fault]]:
    """Number the rows of every list anew, with the action applied.

    Blank rows go, except while their owner works on the rows. A pasted list becomes rows if all
    fit and have the shape of the controls; else it stays text, which `answers.read` reads.
    """
    faults: list[Fault] = []
    for item in root.leaves():
        if item.control is not Control.ROWS:
            continue
        mine = action if action is not None and action.name == item.name else None
        numbers = _kept(item, answers, action, mine)
        answers = _renumbered(item, answers, numbers)
        if mine is not None and mine.verb == "add":
            if len(numbers) < MAX_SHOWN:
                answers = _with(answers, {f"{item.at(len(numbers)).name}@row": ["1"]})
            else:
                expected = f"at most {MAX_SHOWN} rows here; paste a longer list"
                faults.append(Fault(path=item.path, got="", expected=expected))
        if action is None or (mine is not None and mine.verb == "paste"):
            answers, fault = _folded(item, answers, len(numbers))
            if fault is not None and mine is not None:
                faults.append(fault)
    return answers, faults


def _kept(
    item: Field, answers: Answers, action: Action | None, mine: Action | None
) -> list[int]:
    numbers = row_numbers(item, answers)
    if mine is not None and mine.verb == "clear":
        return []
    if mine is not None and mine.verb == "remove":
        numbers = [number for number in numbers if number != mine.number]
    at_work = action is not None and not (mine is not None and mine.verb == "paste")
    if item.blank_counts or at_work:
        return numbers
    return [number for number in numbers if not is_blank_row(item.at(number), answers)]


def _renumbered(item: Field, answers: Answers, numbers: Sequence[int]) -> Answers:
    """Return the answers with the rows `numbers` as 0, 1, 2 … and without all others."""
    prefix = f"{item.name}."
    target = {str(old): str(new) for new, old in enumerate(numbers)}

    def renamed(answered: Mapping[str, Any]) -> dict[str, Any]:
        kept = {}
        for name, value in answered.items():
            if name.startswith(prefix):
                rest = name.removeprefix(prefix)
                old = rest.split(".", 1)[0].split("@", 1)[0]
                if old not in target:
                    continue
                name = prefix + target[old] + rest[len(old) :]
            kept[name] = value
        return kept

    return Answers(
        values=renamed(answers.values),
        files=renamed(answers.files),
        lists=renamed(answers.lists),
    )


def _folded(item: Field, answers: Answers, count: int) -> tuple[Answers, Fault | None]:
    """Return the answers with a pasted list as rows, if it fits."""
    name = f"{item.name}@paste"
    text = answers.last(name)
    if not text.strip():
        return answers, None
    try:
        pasted = parse(item, text)
    except ValueError as error:
        return answers, Fault(path=item.path, got=shorten(text), expected=str(error))
    if count + len(pasted) > MAX_SHOWN or not _fits(item, pasted):
        return answers, None
    answers = _with(answers, {name: []})
    for number, cells in enumerate(pasted.rows, start=count):
        answers = _with(answers, cell_values(item.at(number), cells))
    for number, entry in enumerate(pasted.entries, start=count):
        more = row_answers(item.at(number), entry)
        answers = replace(
            _with(answers, more.values),
            files={**answers.files, **more.files},
            lists={**answers.lists, **more.lists},
        )
    return answers, None


def _fits(item: Field, pasted: Pasted) -> bool:
    assert item.row is not None
    return all(_has_shape(item.row, entry) for entry in pasted.entries)


def _has_shape(item: Field, value: Any) -> bool:
    """Return whether the control of a field can hold a JSON value unchanged."""
    if value is None:
        return item.nullable
    match item.control:
        case Control.GROUP:
            known = {child.path[-1]: child for child in item.children}
            return isinstance(value, Mapping) and all(
                name in known and _has_shape(known[name], inner)
                for name, inner in value.items()
            )
        case Control.LINES:
            return isinstance(value, list) and all(
                _is(entry, _ITEMS[item.item]) and "\n" not in str(entry)
                for entry in value
            )
        case Control.CHOICE:
            return value in item.choices
        case Control.FILES:
            return isinstance(value, list) and all(_is(one, (dict,)) for one in value)
        case Control.JSON:
            return True
        case _:
            return _is(value, _SCALARS.get(item.control, ()))


def _is(value: Any, types: tuple[type, ...]) -> bool:
    return isinstance(value, types) and not isinstance(value, bool)


def _with(answers: Answers, values: Mapping[str, Sequence[str]]) -> Answers:
    return replace(answers, values={**answers.values, **values})
