"""A candidate is a set of edits to the installed LLVM's own -Oz, so that it carries over between modules and builds.

-Oz is a pipeline of passes and then code generation: an edit changes the one, or sets an option of LLVM for both.

An edit names its place by the pass and its occurrence, not by a position in a text: the text is printed anew by each LLVM.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from solvers.llvm.defaults import LEVELS
from solvers.llvm.pipeline import (
    BadPipeline,
    Leaf,
    Pass,
    find,
    leaves,
    parse,
    splice,
    text_of,
    with_flags,
)
from solvers.llvm.types import Recipe
from trimtab.specs.compile import Tier

EVERY = -1  # occurrence: all of that name


class Op(StrEnum):
    """What an edit does to the passes it names."""

    DROP = "drop"
    SET = "set"  # parameters, e.g. "hoist-common-insts;no-keep-loops"
    BEFORE = "before"  # insert `text` in front, at the same level
    AFTER = "after"
    APPEND = "append"  # at the end of the module pipeline
    PREPEND = "prepend"
    OPTION = "option"  # set an option of LLVM: `text` is the word, e.g. "-apply-ext-tsp-for-size"


@dataclass(frozen=True, kw_only=True, order=True)
class Edit:
    """One change of a pipeline."""

    op: Op
    anchor: str = ""  # name of a leaf pass; empty for APPEND, PREPEND and OPTION
    occurrence: int = EVERY
    text: str = (
        ""  # parameters of SET; a word for OPTION; a pipeline for the other ops but DROP
    )

    def __post_init__(self) -> None:
        if (self.op in (Op.APPEND, Op.PREPEND, Op.OPTION)) == bool(self.anchor):
            raise ValueError(
                f"edit {self.op.value}: anchor {self.anchor!r} came; wanted one exactly where a pass is named"
            )
        if (self.op is Op.DROP) == bool(self.text):
            raise ValueError(
                f"edit {self.op.value}: text {self.text!r} came; wanted one for every op but drop"
            )

    def apply(self, items: tuple[Pass, ...]) -> tuple[Pass, ...]:
        """The changed pipeline. Raises BadPipeline when the place is not there."""
        if self.op is Op.OPTION:
            return items
        if self.op is Op.APPEND:
            return (*items, *parse(self.text))
        if self.op is Op.PREPEND:
            return (*parse(self.text), *items)
        for leaf in reversed(
            self._places(items)
        ):  # from behind, so that earlier paths stay right
            items = splice(items, leaf.path, self._change)
        return items

    def _places(self, items: tuple[Pass, ...]) -> list[Leaf]:
        if self.occurrence != EVERY:
            return [find(items, self.anchor, self.occurrence)]
        found = [leaf for leaf in leaves(items) if leaf.name == self.anchor]
        if not found:
            raise BadPipeline(f"no pass {self.anchor!r} in this pipeline")
        return found

    def _change(self, item: Pass) -> tuple[Pass, ...]:
        match self.op:
            case Op.DROP:
                return ()
            case Op.SET:
                parameters = with_flags(item.parameters, self.text.split(";"))
                return (Pass(name=item.name, parameters=parameters, inner=item.inner),)
            case Op.BEFORE:
                return (*parse(self.text), item)
            case _:
                return (item, *parse(self.text))


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A default level with edits. `name` is for people."""

    name: str
    edits: tuple[Edit, ...] = ()
    tier: Tier = Tier.DEFAULT
    base: str = "Oz"

    def __post_init__(self) -> None:
        if self.base not in LEVELS:
            raise ValueError(f"base {self.base!r} came; wanted one of {', '.join(LEVELS)}")

    def pipeline(self, defaults: Mapping[str, str]) -> str:
        """The text for `defaults` (level → text of the installed LLVM). Raises BadPipeline when an edit has no place there."""
        items = parse(defaults[self.base])
        for edit in self.edits:
            items = edit.apply(items)
        return text_of(items)

    @property
    def options(self) -> tuple[str, ...]:
        """Options of LLVM, sorted; of those with the same name the last one."""
        words = [edit.text for edit in self.edits if edit.op is Op.OPTION]
        return tuple(sorted({word.partition("=")[0]: word for word in words}.values()))

    def recipe(self, defaults: Mapping[str, str]) -> Recipe:
        """How it is done by the installed LLVM. Raises BadPipeline as `pipeline`."""
        return Recipe(pipeline=self.pipeline(defaults), options=self.options)

    def joined(self, other: Candidate) -> Candidate:
        """Both sets of edits, each edit once."""
        edits = tuple(dict.fromkeys((*self.edits, *other.edits)))
        tier = (
            Tier.EXPERIMENTAL
            if Tier.EXPERIMENTAL in (self.tier, other.tier)
            else Tier.DEFAULT
        )
        return Candidate(
            name=f"{self.name}+{other.name}", edits=edits, tier=tier, base=self.base
        )

    @property
    def digest(self) -> str:
        """sha256 of what it does, hex; the name does not count."""
        return hashlib.sha256(
            json.dumps([self.base, [_row(e) for e in self.edits]]).encode()
        ).hexdigest()

    def as_json(self) -> dict[str, object]:
        """JSON form; `from_json` reads it."""
        return {
            "name": self.name,
            "base": self.base,
            "tier": self.tier.value,
            "edits": [_row(e) for e in self.edits],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Candidate:
        """Raises KeyError, TypeError or ValueError on other shapes."""
        rows = data["edits"]
        if not isinstance(rows, list):
            raise TypeError("candidate wants a list `edits`")
        return cls(
            name=str(data["name"]),
            base=str(data["base"]),
            tier=Tier(str(data["tier"])),
            edits=tuple(
                Edit(op=Op(str(o)), anchor=str(a), occurrence=int(n), text=str(t))
                for o, a, n, t in rows
            ),
        )


def _row(edit: Edit) -> list[object]:
    return [edit.op.value, edit.anchor, edit.occurrence, edit.text]
