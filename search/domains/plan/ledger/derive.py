"""Facts that follow from those of one job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from search.domains.plan.ledger.ids import Ids
from search.domains.plan.ledger.measured import OBJECTIVE, unit_of
from search.domains.plan.ledger.numbers import RULES, kept_text, shown
from search.domains.plan.ledger.operations import OPERATIONS, statement
from search.domains.plan.ledger.table import Derivation, table_of
from search.domains.plan.types import Fact
from search.rest import EndedJob


def derived_of(
    leaf: str, job: EndedJob, measured: Sequence[Fact], ids: Ids
) -> list[Fact]:
    """Return the derived facts of a job. One that lacks an argument is left out."""
    by_name = {fact.name: fact for fact in measured}
    made: list[Fact] = []
    for row in table_of(job.kind).derivations:
        unit = unit_of(job.kind, job.spec) if row.unit == OBJECTIVE else row.unit
        for fact in _derived(row, unit, leaf, by_name, ids):
            by_name[fact.name] = fact
            made.append(fact)
    return made


def _derived(
    row: Derivation, unit: str, leaf: str, by_name: Mapping[str, Fact], ids: Ids
) -> Iterator[Fact]:
    if row.each:
        for index in _indices(row.each, by_name):
            arguments = [by_name.get(name.replace("*", index)) for name in row.of]
            yield from _one(row, unit, leaf, arguments, f".{index}", ids)
        return
    if row.of[0].endswith(".*"):
        arguments_of_list = [
            by_name[f"{row.of[0][:-1]}{index}"] for index in _indices(row.of[0], by_name)
        ]
        if row.op in ("argmin", "argmax"):
            indices = [fact.name.rpartition(".")[2] for fact in arguments_of_list]
            names = [by_name.get(row.names.replace("*", index)) for index in indices]
            yield from chosen(row, leaf, arguments_of_list, names, ids)
        elif arguments_of_list:
            yield from _one(row, unit, leaf, arguments_of_list, "", ids)
        return
    yield from _one(row, unit, leaf, [by_name.get(name) for name in row.of], "", ids)


def _indices(pattern: str, by_name: Mapping[str, Fact]) -> list[str]:
    stem = pattern[:-1]
    return [name[len(stem) :] for name in by_name if name.startswith(stem)]


def _one(
    row: Derivation,
    unit: str,
    leaf: str,
    arguments: Sequence[Fact | None],
    suffix: str,
    ids: Ids,
) -> Iterator[Fact]:
    facts = [fact for fact in arguments if fact is not None]
    if len(facts) == len(arguments):
        fact = made_of(row, facts, ids, unit=unit, leaf=leaf, suffix=suffix)
        if fact is not None:
            yield fact


def made_of(
    row: Derivation,
    facts: Sequence[Fact],
    ids: Ids,
    *,
    unit: str = "",
    leaf: str = "",
    suffix: str = "",
) -> Fact | None:
    """Return the fact that a row makes of these, None where its operation is not defined."""
    value: str | bool | None
    text = ""
    if row.op == "count":
        value = text = str(len(facts))
    elif row.op in OPERATIONS:
        result = OPERATIONS[row.op]([Decimal(str(fact.value)) for fact in facts])
        if result is None:
            return None
        value, text = kept_text(result), shown(result, row.rule)
    else:
        values = [Decimal(str(fact.value)) for fact in facts]
        value = statement(row.op, values, [fact.shown for fact in facts])
        if value is None:
            raise ValueError(
                f"derived.{row.name}: expected an operation of the list, got {row.op!r}"
            )
    return Fact(
        id=ids.next(),
        name=row.name + suffix,
        leaf=leaf,
        value=value,
        unit=unit,
        job=None,
        fence=None,
        pointer="",
        verified="derived",
        by="the ledger",
        shown=text,
        rule=RULES[row.rule] if text else "",
        derived=(row.op, tuple(fact.id for fact in facts)),
        condition={"label": row.label, "passage": row.passage},
    )


def chosen(
    row: Derivation,
    leaf: str,
    facts: Sequence[Fact],
    names: Sequence[Fact | None],
    ids: Ids,
) -> Iterator[Fact]:
    """Yield the word of the least or largest of some facts: the first of equal ones."""
    if not facts or None in names:
        return
    pick = min if row.op == "argmin" else max
    values = [Decimal(str(fact.value)) for fact in facts]
    word = names[values.index(pick(values))]
    if word is None:
        return
    yield Fact(
        id=ids.next(),
        name=row.name,
        leaf=leaf,
        value=word.value,
        unit="",
        job=word.job,
        fence=word.fence,
        pointer=word.pointer,
        verified="derived",
        by="the ledger",
        shown=word.shown,
        rule=word.rule,
        derived=(row.op, tuple(fact.id for fact in facts)),
        condition={"label": row.label, "passage": row.passage},
    )
