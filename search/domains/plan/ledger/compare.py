"""Facts over several jobs: counts, total seconds, and comparisons of runs on one problem."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from search.domains.plan.ledger.derive import chosen, made_of
from search.domains.plan.ledger.ids import Ids
from search.domains.plan.ledger.measured import escaped, outline_fact
from search.domains.plan.ledger.table import Derivation
from search.domains.plan.types import Fact
from search.rest import EndedJob
from trimtab.plans import Outline

# Fields of a spec that make the problem; runs that differ in others may be compared.
PROBLEM: Mapping[str, tuple[str, ...]] = {
    "ilp": ("model", "model_text"),
    "sharding": ("tables", "tables_file", "global_batch", "constraints"),
    "compile": ("source", "source_text", "objective", "target", "build"),
    "antenna": ("bands", "avoid", "board"),
}
SCORE: Mapping[str, str] = {
    "ilp": "objective",
    "sharding": "objective",
    "compile": "objective",
    "antenna": "margin",
}
_RULES: Mapping[str, str] = {
    "ilp": "six",
    "sharding": "three",
    "compile": "six",
    "antenna": "three",
}
MAXIMIZED = frozenset({"antenna"})  # whatever `sense` says: a margin
ENDS = {
    "succeeded": ("SUCCEEDED",),
    "failed": ("FAILED", "DEAD"),
    "skipped": ("SKIPPED",),
    "cancelled": ("CANCELLED",),
}


def over_all(
    outline: Outline, jobs: Mapping[str, EndedJob], facts: Sequence[Fact], ids: Ids
) -> list[Fact]:
    """Return the facts that belong to no single leaf."""
    made = list(_texts(outline, ids))
    by_leaf: dict[str, dict[str, Fact]] = {leaf: {} for leaf in outline.leaves}
    for fact in facts:
        by_leaf[fact.leaf][fact.name] = fact
    made += _counts(outline, by_leaf, ids)
    number = 0
    for goal in outline.goals:
        for leaves in _groups(outline, goal, jobs, by_leaf):
            made += _comparison(f"group.{goal}.{number}", leaves, jobs, by_leaf, ids)
            number += 1
    return made


def _texts(outline: Outline, ids: Ids) -> Iterator[Fact]:
    yield outline_fact("goal", outline.goal, "/goal", ids)
    for goal, node in outline.goals.items():
        yield outline_fact(f"goal.{goal}", node.title, f"/goals/{goal}/title", ids)
    for i, part in enumerate(outline.not_done):
        yield outline_fact(f"not_done.{i}", part.text, f"/not_done/{i}/text", ids)
        yield outline_fact(f"why_not.{i}", part.reason, f"/not_done/{i}/reason", ids)
    for i, note in enumerate(outline.notes):
        yield outline_fact(f"note.{i}", note, f"/notes/{i}", ids)
    for name, question in outline.questions.items():
        yield outline_fact(
            f"question.{name}", question.text, f"/questions/{name}/text", ids
        )
        if name in outline.answers:
            pointer = f"/answers/{escaped(name)}"
            yield outline_fact(f"answer.{name}", outline.answers[name], pointer, ids)


def _counts(
    outline: Outline, by_leaf: Mapping[str, Mapping[str, Fact]], ids: Ids
) -> Iterator[Fact]:
    states = [facts["state"] for facts in by_leaf.values() if "state" in facts]
    titles = [facts["title"] for facts in by_leaf.values()]
    idle = [facts["title"] for facts in by_leaf.values() if "state" not in facts]
    repairs = [
        by_leaf[leaf]["title"]
        for leaf, node in outline.leaves.items()
        if node.origin.source == "repair"
    ]
    groups = {"leaves": titles, "jobs": states, "not_run": idle, "repairs": repairs}
    for name, among in ENDS.items():
        groups[name] = [fact for fact in states if fact.value in among]
    made = {}
    for name, of in groups.items():
        row = Derivation(name=f"count.{name}", op="count", of=(), label=f"jobs: {name}")
        made[name] = made_of(row, of, ids, unit="jobs")
    counted = {name: fact for name, fact in made.items() if fact is not None}
    yield from counted.values()
    statements = {
        "all_succeeded": ("equal", ("succeeded", "leaves")),
        "some_failed": ("some", ("failed",)),
        "some_skipped": ("some", ("skipped",)),
        "some_idle": ("some", ("not_run",)),
        "some_repaired": ("some", ("repairs",)),
    }
    for name, (op, names) in statements.items():
        row = Derivation(name=name, op=op, of=())
        fact = made_of(row, [counted[each] for each in names], ids)
        if fact is not None:
            yield fact
    seconds = [facts["seconds"] for facts in by_leaf.values() if "seconds" in facts]
    if seconds:
        label = "seconds of all jobs together"
        row = Derivation(name="total_seconds", op="sum", of=(), rule="three", label=label)
        total = made_of(row, seconds, ids, unit="s")
        if total is not None:
            yield total


def _groups(
    outline: Outline,
    goal: str,
    jobs: Mapping[str, EndedJob],
    by_leaf: Mapping[str, Mapping[str, Fact]],
) -> list[list[str]]:
    """Return groups of at least two leaves of a goal that ran on one problem, verified."""
    groups: dict[str, list[str]] = {}
    for leaf, node in outline.leaves.items():
        stage = outline.stages.get(node.stage)
        if stage is None or stage.goal != goal or leaf not in jobs:
            continue
        job, facts = jobs[leaf], by_leaf[leaf]
        score = facts.get(SCORE.get(job.kind, ""))
        if score is None or score.verified != "verified":
            continue
        if "sense" not in facts:
            continue
        sense = facts["sense"].value
        problem = {name: job.spec.get(name) for name in PROBLEM[job.kind]}
        key = repr((job.kind, sense, score.unit, canonical(problem)))
        groups.setdefault(key, []).append(leaf)
    return [leaves for leaves in groups.values() if len(leaves) > 1]


def canonical(value: Any) -> Any:
    """Return a JSON value with its keys in order, so that equal ones have one text."""
    if isinstance(value, Mapping):
        return sorted((key, canonical(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    return value


def _comparison(
    stem: str,
    leaves: Sequence[str],
    jobs: Mapping[str, EndedJob],
    by_leaf: Mapping[str, Mapping[str, Fact]],
    ids: Ids,
) -> Iterator[Fact]:
    kind = jobs[leaves[0]].kind
    scores = [by_leaf[leaf][SCORE[kind]] for leaf in leaves]
    titles = [by_leaf[leaf]["title"] for leaf in leaves]
    upward = kind in MAXIMIZED or by_leaf[leaves[0]]["sense"].value == "maximize"
    pick, pick_name = ("max", "argmax") if upward else ("min", "argmin")
    label = "best of the runs compared"
    row = Derivation(name=f"{stem}.best", op=pick_name, of=(), label=label)
    yield from chosen(row, "", scores, titles, ids)
    row = Derivation(name=f"{stem}.value", op=pick, of=(), rule=_RULES[kind], label=label)
    best = made_of(row, scores, ids, unit=scores[0].unit)
    if best is None:
        return
    yield best
    values = [Decimal(str(fact.value)) for fact in scores]
    winner = values.index(max(values) if upward else min(values))
    yield _differing(stem, leaves, jobs, titles, ids)
    others = [fact for i, fact in enumerate(scores) if i != winner]
    row = Derivation(name=f"{stem}.second", op=pick, of=(), rule=_RULES[kind])
    second = made_of(row, others, ids, unit=scores[0].unit)
    if second is not None:
        yield second
        tied = made_of(
            Derivation(name=f"{stem}.tied", op="equal", of=()), [best, second], ids
        )
        if tied is not None:
            yield tied
    for leaf, score in zip(leaves, scores, strict=True):
        if leaf == leaves[winner]:
            continue
        pair = [scores[winner], score]
        for name, op in (("same", "equal"), ("behind", "more" if upward else "less")):
            row = Derivation(name=f"{stem}.{name}.{leaf}", op=op, of=())
            fact = made_of(row, pair, ids)
            if fact is not None:
                yield fact
        row = Derivation(
            name=f"{stem}.distance.{leaf}",
            op="percent_more" if upward else "percent_less",
            of=(),
            rule="three",
            label="share by which the best run is ahead",
        )
        share = None if kind in MAXIMIZED else made_of(row, pair, ids, unit="%")
        if share is not None:
            yield share


def _differing(
    stem: str,
    leaves: Sequence[str],
    jobs: Mapping[str, EndedJob],
    titles: Sequence[Fact],
    ids: Ids,
) -> Fact:
    """Return the condition of a comparison: names of what the runs differ in."""
    requests = [{**jobs[leaf].spec, "budget": jobs[leaf].budget} for leaf in leaves]
    names = sorted(set().union(*requests))
    differing = [
        name
        for name in names
        if len({repr(canonical(request.get(name))) for request in requests}) > 1
    ]
    if len({jobs[leaf].seed for leaf in leaves}) > 1:
        differing.append("seed")
    words = ", ".join(name.replace("_", " ") for name in differing) or "nothing"
    return Fact(
        id=ids.next(),
        name=f"{stem}.differ_in",
        leaf="",
        value=words,
        unit="",
        job=None,
        fence=None,
        pointer="",
        verified="derived",
        by="the ledger",
        shown=words,
        rule="",
        derived=("differ_in", tuple(fact.id for fact in titles)),
        condition={"differ_in": differing},
    )
