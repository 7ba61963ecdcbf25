"""Facts that stand in a job's result, in its request, or in the outline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

from search.domains.plan.ledger.ids import Ids
from search.domains.plan.ledger.numbers import RULES, decimal_text, shown
from search.domains.plan.ledger.table import Measure, Predicate, table_of
from search.domains.plan.ledger.words import one_line
from search.domains.plan.types import Fact, Verified
from search.rest import EndedJob
from trimtab.plans import Outline
from trimtab.specs.antenna import AntennaSpec
from trimtab.specs.common import Spec
from trimtab.specs.compile import CompileSpec
from trimtab.specs.ilp import IlpSpec
from trimtab.specs.sharding import ShardingSpec

MOST_ITEMS = 16
"""Entries of a list that a report states."""
OUTLINE = "outline"
OBJECTIVE = "objective"
_SPECS: Mapping[str, type[Spec]] = {
    spec.KIND: spec for spec in (AntennaSpec, CompileSpec, IlpSpec, ShardingSpec)
}


def unit_of(kind: str, spec: Mapping[str, Any]) -> str:
    """Return the unit of a job's objective; empty for none."""
    return _SPECS[kind].unit_of(spec) if kind in _SPECS else ""


def stated_of(outline: Outline, leaf: str, ids: Ids) -> list[Fact]:
    """Return what the outline says of a leaf."""
    node = outline.leaves[leaf]
    stage = outline.stages.get(node.stage)
    texts = {
        "title": (node.title, f"/leaves/{leaf}/title"),
        "kind": (node.kind, f"/leaves/{leaf}/kind"),
    }
    original = outline.leaves.get(node.origin.id)
    if node.origin.source == "repair" and original is not None:
        texts["repair_of"] = (original.title, f"/leaves/{node.origin.id}/title")
    if stage is not None:
        texts["stage"] = (stage.title, f"/stages/{node.stage}/title")
    if node.repair:
        for number, repair in enumerate(node.repair):
            pointer = f"/leaves/{leaf}/repair/{number}/words"
            texts[f"repair.{number}"] = (repair.words, pointer)
    for path, words in node.defaults.items():
        name = f"default.{path}"
        texts[name] = (words, f"/leaves/{leaf}/defaults/{escaped(path)}")
    facts = [
        outline_fact(name, text, pointer, ids, leaf=leaf)
        for name, (text, pointer) in texts.items()
    ]
    if not node.enabled:
        fact = outline_fact("dropped", "", f"/leaves/{leaf}/enabled", ids, leaf=leaf)
        facts.append(replace(fact, value=True, shown="yes"))
    return facts


def outline_fact(name: str, text: str, pointer: str, ids: Ids, *, leaf: str = "") -> Fact:
    """Return a fact whose value is a text of the outline."""
    return Fact(
        id=ids.next(),
        name=name,
        leaf=leaf,
        value=one_line(text, 4000),
        unit="",
        job=None,
        fence=None,
        pointer=pointer,
        verified="stated",
        by=OUTLINE,
        shown=one_line(text),
        rule="one line, shortened",
        condition={"of": OUTLINE},
    )


def escaped(key: str) -> str:
    """Return a key as a token of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def measured_of(leaf: str, job: EndedJob, ids: Ids) -> list[Fact]:
    """Return the facts of one job that stand in its result, and statements about its words."""
    table = table_of(job.kind)
    document = {row.name: getattr(job, row.name) for row in fields(job)}
    facts = [
        fact
        for measure in table.measures
        for fact in _facts_of(measure, leaf, job, document, ids)
    ]
    words = {fact.name: fact for fact in facts}
    return facts + [
        _statement(row, words[row.of], ids) for row in table.predicates if row.of in words
    ]


def _facts_of(
    measure: Measure, leaf: str, job: EndedJob, document: Mapping[str, Any], ids: Ids
) -> Iterator[Fact]:
    for suffix, pointer, raw in _found(measure, document):
        value, text = _read(measure, raw)
        if value is None:
            continue
        verified, by = _checked(measure, document)
        unit = unit_of(job.kind, job.spec) if measure.unit == OBJECTIVE else measure.unit
        yield Fact(
            id=ids.next(),
            name=measure.name + suffix,
            leaf=leaf,
            value=value,
            unit=unit,
            job=job.id,
            fence=job.fence,
            pointer=pointer,
            verified=verified,
            by=by,
            shown=text,
            rule=_rule(measure),
            condition={"label": measure.label, "passage": measure.passage},
        )


def _read(measure: Measure, raw: Any) -> tuple[str | bool | None, str]:
    """Return a value and its text; None for a value of another type than the table expects."""
    if measure.type == "truth":
        return (raw, "yes" if raw else "no") if isinstance(raw, bool) else (None, "")
    if measure.type == "word":
        if not isinstance(raw, str) or not raw.strip():
            return None, ""
        return one_line(raw, 4000), one_line(measure.show.get(raw, raw))
    value = decimal_text(raw)
    return value, "" if value is None else shown(value, measure.rule)


def _rule(measure: Measure) -> str:
    return RULES[measure.rule] if measure.type == "number" else "one line, shortened"


def _checked(measure: Measure, document: Mapping[str, Any]) -> tuple[Verified, str]:
    if measure.checked == "stated":
        return "stated", "the request"
    check = (document.get("result") or {}).get("verification") or {}
    if measure.checked == "verifier" and check.get("status") == "valid":
        return "verified", one_line(str(check.get("method") or "the check of the kind"))
    return "measured, not verified", "the run"


def _found(
    measure: Measure, document: Mapping[str, Any]
) -> Iterator[tuple[str, str, Any]]:
    """Yield (end of the name, pointer, value) of what a measure finds in a job."""
    if any(
        at(document, pointer) not in words for pointer, words in measure.where.items()
    ):
        return
    if measure.select:
        index = _selected(measure.select, measure.pointer, document)
        if index is not None:
            pointer = measure.pointer.replace("*", str(index))
            yield "", pointer, at(document, pointer)
        return
    if "*" not in measure.pointer:
        yield "", measure.pointer, at(document, measure.pointer)
        return
    items = at(document, measure.pointer.partition("/*")[0])
    for index in range(min(len(items), MOST_ITEMS) if isinstance(items, list) else 0):
        if any(
            not str(at(items[index], f"/{key}")).startswith(beginning)
            for key, beginning in measure.entries.items()
        ):
            continue
        pointer = measure.pointer.replace("*", str(index))
        yield f".{index}", pointer, at(document, pointer)


def _selected(select: str, pointer: str, document: Mapping[str, Any]) -> int | None:
    """Return the index of the first entry, or of the first with the objective of the end."""
    items = at(document, pointer.partition("/*")[0])
    if not isinstance(items, list | tuple) or not items:
        return None
    if select == "first":
        return next(
            (
                i
                for i, item in enumerate(items)
                if not isinstance(item, dict)
                or "objective" not in item
                or item["objective"] is not None
            ),
            None,
        )
    best = at(document, "/result/objective")
    return next(
        (
            i
            for i, item in enumerate(items)
            if best is not None and isinstance(item, dict) and item.get(OBJECTIVE) == best
        ),
        None,
    )


def at(document: Any, pointer: str) -> Any:
    """Return the value at a JSON pointer; None where there is none."""
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(document, Mapping):
            document = document.get(key)
        elif isinstance(document, list | tuple) and key.isdecimal():
            document = document[int(key)] if int(key) < len(document) else None
        else:
            return None
    return document


def _statement(row: Predicate, word: Fact, ids: Ids) -> Fact:
    return Fact(
        id=ids.next(),
        name=row.name,
        leaf=word.leaf,
        value=word.value in row.among,
        unit="",
        job=None,
        fence=None,
        pointer="",
        verified="derived",
        by="the ledger",
        shown="",
        rule="",
        derived=("among", (word.id,)),
        condition={"among": list(row.among)},
    )
