"""Candidates: edits of the installed LLVM's -Oz, valid for other modules and builds too.

-Oz is a pipeline of passes followed by code generation. An edit changes the pipeline, or sets an
option of LLVM for both. It names its place by a pass and its occurrence, not by a position in the
text, because each LLVM prints its own text.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from solvers.llvm.defaults import LEVELS
from solvers.llvm.options import OF_CODE_GENERATION
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

EVERY = -1  # occurrence: all passes of that name


class Op(StrEnum):
    """Operation of an edit on the passes it names."""

    DROP = "drop"
    SET = "set"  # parameters, e.g. "hoist-common-insts;no-keep-loops"
    BEFORE = "before"  # insert `text` in front, at the same level
    AFTER = "after"
    APPEND = "append"  # at the end of the module pipeline
    PREPEND = "prepend"
    OPTION = "option"  # set an option of LLVM, e.g. "-apply-ext-tsp-for-size"


@dataclass(frozen=True, kw_only=True, order=True)
class Edit:
    """One change of a pipeline."""

    op: Op
    anchor: str = ""  # name of a leaf pass; empty for APPEND, PREPEND and OPTION
    occurrence: int = EVERY
    # Parameters for SET, a word for OPTION, nothing for DROP, a pipeline for the others.
    text: str = ""

    def __post_init__(self) -> None:
        if (self.op in (Op.APPEND, Op.PREPEND, Op.OPTION)) == bool(self.anchor):
            raise ValueError(
                f"edit {self.op.value}: anchor: expected a pass for drop, set, before and after, "
                f"and none for the others, got {self.anchor!r}"
            )
        if (self.op is Op.DROP) == bool(self.text):
            raise ValueError(
                f"edit {self.op.value}: text: expected one for every operation but drop, got "
                f"{self.text!r}"
            )

    def apply(self, items: tuple[Pass, ...]) -> tuple[Pass, ...]:
        """Return the changed pipeline. Raises BadPipeline when the place does not exist."""
        if self.op is Op.OPTION:
            return items
        if self.op is Op.APPEND:
            return (*items, *parse(self.text))
        if self.op is Op.PREPEND:
            return (*parse(self.text), *items)
        # From the last place to the first, so that the paths of earlier ones stay valid.
        for leaf in reversed(self._places(items)):
            items = splice(items, leaf.path, self._change)
        return items

    def _places(self, items: tuple[Pass, ...]) -> list[Leaf]:
        if self.occurrence != EVERY:
            return [find(items, self.anchor, self.occurrence)]
        places = [leaf for leaf in leaves(items) if leaf.name == self.anchor]
        if not places:
            raise BadPipeline(
                f"anchor: expected a pass of this pipeline, got {self.anchor!r}"
            )
        return places

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
    """Default level with edits; `name` is for people."""

    name: str
    edits: tuple[Edit, ...] = ()
    tier: Tier = Tier.DEFAULT
    base: str = "Oz"

    def __post_init__(self) -> None:
        if self.base not in LEVELS:
            raise ValueError(
                f"base: expected one of {', '.join(LEVELS)}, got {self.base!r}"
            )

    def pipeline(self, defaults: Mapping[str, str]) -> str:
        """Return the pipeline text, edited from `defaults` (level → text of the installed LLVM).

        Raises BadPipeline when an edit has no place there.
        """
        items = parse(defaults[self.base])
        for edit in self.edits:
            items = edit.apply(items)
        return text_of(items)

    @property
    def options(self) -> tuple[str, ...]:
        """Options of LLVM, sorted; the last one of each name."""
        words = [edit.text for edit in self.edits if edit.op is Op.OPTION]
        return tuple(sorted({word.partition("=")[0]: word for word in words}.values()))

    def recipe(self, defaults: Mapping[str, str]) -> Recipe:
        """Return the recipe for the installed LLVM. Raises BadPipeline, like `pipeline`."""
        return Recipe(pipeline=self.pipeline(defaults), options=self.options)

    def joined(self, other: Candidate) -> Candidate:
        """Return a candidate with the edits of both, each once."""
        experimental = Tier.EXPERIMENTAL in (self.tier, other.tier)
        return Candidate(
            name=f"{self.name}+{other.name}",
            edits=tuple(dict.fromkeys((*self.edits, *other.edits))),
            tier=Tier.EXPERIMENTAL if experimental else Tier.DEFAULT,
            base=self.base,
        )

    def generated_by(self, options: Sequence[str]) -> Candidate:
        """Return a candidate with these options of the code generator in place of its own."""
        kept = (
            edit
            for edit in self.edits
            if edit.op is not Op.OPTION or edit.text not in OF_CODE_GENERATION
        )
        own = (Edit(op=Op.OPTION, text=option) for option in options)
        return replace(self, name=f"{self.name}+code", edits=(*kept, *own))

    @property
    def digest(self) -> str:
        """sha256 of base and edits, hex; the name does not count."""
        text = json.dumps([self.base, [_row(edit) for edit in self.edits]])
        return hashlib.sha256(text.encode()).hexdigest()

    def as_json(self) -> dict[str, object]:
        """Return the JSON form that `from_json` reads."""
        return {
            "name": self.name,
            "base": self.base,
            "tier": self.tier.value,
            "edits": [_row(edit) for edit in self.edits],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Candidate:
        """Parse. Raises KeyError, TypeError or ValueError on other shapes."""
        rows = data["edits"]
        if not isinstance(rows, list):
            raise TypeError(f"edits: expected a list, got {type(rows).__name__}")
        return cls(
            name=str(data["name"]),
            base=str(data["base"]),
            tier=Tier(str(data["tier"])),
            edits=tuple(
                Edit(
                    op=Op(str(op)),
                    anchor=str(anchor),
                    occurrence=int(number),
                    text=str(text),
                )
                for op, anchor, number, text in rows
            ),
        )


def _row(edit: Edit) -> list[object]:
    return [edit.op.value, edit.anchor, edit.occurrence, edit.text]
