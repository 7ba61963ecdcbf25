"""Sentence templates: which one is said, and its parts.

A template is a table of `templates/*.toml`:

    scope    leaf (default), group or plan: whose facts its slots name
    kind     of job; `other` is a kind without templates of its own
    passage  that it belongs to; the file's name where that is one
    group    only the first template of a group that fits is said
    each     pattern `what_if_cost.*`: once for every such fact, and `*` in names is its index
    when     `name`: that fact exists and is not false; `~name`: it exists and is false;
             `!name`: anything else than the first
    say      wordings; `{name}` is a slot, `{name#}` one without its unit
"""

from __future__ import annotations

import functools
import re
import tomllib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from search.domains.plan.reports import Piece, Sentence
from search.domains.plan.types import Fact

FOLDER = Path(__file__).parent / "templates"
KINDS = frozenset({"ilp", "sharding", "compile", "antenna"})
FIGURES = "figures"
"""Template of the sentence that states what no other sentence of a passage does."""
JOINERS = "joiners"
SLOT = re.compile(r"\{([a-z_.*]+)(#?)\}")
Scope = Mapping[str, Fact]
"""Facts by the names that templates use."""


@dataclass(frozen=True, kw_only=True)
class Template:
    """A sentence in several wordings, with the condition under which it is true."""

    id: str
    passage: str
    say: tuple[str, ...]
    scope: str = "leaf"
    kind: str = ""
    group: str = ""
    each: str = ""
    when: tuple[str, ...] = ()
    joins: bool = False  # of joiners.toml: opens a passage


@functools.cache
def templates() -> tuple[Template, ...]:
    """Return all templates, in their order."""
    rows = []
    for path in sorted(FOLDER.glob("*.toml")):
        for name, row in tomllib.loads(path.read_text(encoding="utf-8")).items():
            row = {"passage": path.stem, "joins": path.stem == JOINERS, **row}
            row |= {key: tuple(row[key]) for key in ("say", "when") if key in row}
            row.setdefault("group", name)
            rows.append(Template(**{**row, "id": name}))
    return tuple(rows)


def sentences_for(
    passage: str, scope: str, kind: str, facts: Scope, *, seed: int, salt: str = ""
) -> list[Sentence]:
    """Return the sentences of a passage that fit the facts, in the order of the templates.

    salt: of the choice of wordings, e.g. the leaf, so that leaves of one kind differ.
    """
    rows = [
        row
        for row in templates()
        if row.passage == passage
        and row.scope == scope
        and row.kind in ("", kind if kind in KINDS else "other")
    ]
    groups: dict[str, list[Template]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    ordered = sorted(groups.values(), key=lambda group: not group[0].joins)
    return [
        sentence
        for group in ordered
        for sentence in _of_group(group, facts, f"{seed}:{salt}")
    ]


def _of_group(group: Sequence[Template], facts: Scope, salt: str) -> Iterator[Sentence]:
    each = group[0].each
    for index in indices(each, facts) if each else [""]:
        for row in group:
            if fits(row, facts, index):
                yield sentence_of(row, facts, index, salt)
                break


def indices(pattern: str, facts: Scope) -> list[str]:
    """Return the ends of the names that fit a pattern, in the order of the facts."""
    stem = pattern.removesuffix("*")
    return [name[len(stem) :] for name in facts if name.startswith(stem)]


def fits(row: Template, facts: Scope, index: str) -> bool:
    """Return True when every condition and every slot of a template has its fact."""
    slots = {name for text in row.say for name, _ in SLOT.findall(text)}
    return all(_holds(name, facts, index) for name in row.when) and all(
        name.replace("*", index) in facts for name in slots
    )


def _holds(condition: str, facts: Scope, index: str) -> bool:
    mark = condition[0] if condition[0] in "!~" else ""
    name = condition.removeprefix(mark)
    if not index and name.endswith(".*"):  # of any index
        return bool(indices(name, facts)) != (mark == "!")
    fact = facts.get(name.replace("*", index))
    true = fact is not None and fact.value is not False
    return {"": true, "!": not true, "~": fact is not None and not true}[mark]


def sentence_of(row: Template, facts: Scope, index: str, salt: str) -> Sentence:
    """Return a template's sentence about these facts, in one of its wordings."""
    wording = zlib.crc32(f"{salt}:{row.id}:{index}".encode()) % len(row.say)
    names = [name.lstrip("!~").replace("*", index) for name in row.when]
    return Sentence(
        source="joiner" if row.joins else "template",
        template=row.id,
        wording=wording,
        index=index,
        pieces=pieces(row.say[wording], facts, index),
        holds=tuple(
            facts[name].id
            for name in names
            if name in facts and isinstance(facts[name].value, bool)
        ),
    )


def pieces(text: str, facts: Scope, index: str) -> tuple[Piece, ...]:
    """Return the parts of a wording: text, and slots as ids of facts."""
    made = []
    at = 0
    for match in SLOT.finditer(text):
        if match.start() > at:
            made.append(Piece(text=text[at : match.start()]))
        fact = facts[match[1].replace("*", index)]
        made.append(Piece(fact=fact.id, bare=bool(match[2])))
        at = match.end()
    if at < len(text):
        made.append(Piece(text=text[at:]))
    return tuple(made)


def figures(facts: Sequence[Fact]) -> Sentence:
    """Return a sentence that states facts by their labels."""
    parts: list[Piece] = []
    for number, fact in enumerate(facts):
        before = "; " if number else "Further figures: "
        parts += [
            Piece(text=f"{before}{fact.condition['label']} "),
            Piece(fact=fact.id),
        ]
    return Sentence(source="template", template=FIGURES, pieces=(*parts, Piece(text=".")))


def stated(sentences: Sequence[Sentence]) -> set[str]:
    """Return the ids of the facts in the slots of some sentences."""
    return {
        piece.fact
        for sentence in sentences
        for piece in sentence.pieces
        if piece.fact is not None
    }
