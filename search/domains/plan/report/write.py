"""Write a report: its outline from the plan and the ledger, then its sentences.

Method: DOC (arXiv 2212.10077). The outline has depth 3; each of its leaves, a passage, lists the
facts that it must state. Facts stand in slots of templates; a language model may only join them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import get_args

from search.domains.plan.ledger.ids import Ids
from search.domains.plan.ledger.words import one_line
from search.domains.plan.report.drafts import drafted, places_in, with_joiners
from search.domains.plan.report.plots import plots_of
from search.domains.plan.report.scope import Ledger
from search.domains.plan.report.sentences import (
    Scope,
    figures,
    sentences_for,
    stated,
)
from search.domains.plan.reports import (
    Entry,
    Part,
    Passage,
    Passages,
    Piece,
    Report,
    Section,
    Sentence,
)
from search.domains.plan.types import Fact
from search.rest import EndedJob
from search.stop import StoppingCriterion
from search.text_model import TextModel, TextModelError
from trimtab.plans import Leaf, Outline

OF_LEAF: tuple[Passages, ...] = ("asked", "outcome", "check", "limits")
TITLE = "Report of a plan"
HEADINGS: Mapping[str, str] = {
    "summary": "Summary",
    "comparison": "Comparison",
    "not_done": "What was not done",
    "questions": "Questions and repairs",
    "method": "How this report was made",
    "other": "Other jobs",
}
_UNFINISHED = ("dropped", "failed", "skipped", "cancelled")
assert set(OF_LEAF) <= set(get_args(Passages))


def write_report(
    outline: Outline,
    jobs: Mapping[str, EndedJob],
    facts: Sequence[Fact],
    *,
    model: TextModel | None,
    stop: StoppingCriterion,
    seed: int,
    on_passage: Callable[[int, int], None] = lambda done, count: None,
) -> Report:
    """Return the report of a plan.

    jobs: ended jobs by leaf; a leaf without one did not run.
    facts: of `ledger_of` for the same outline and jobs.
    model: drafts joining sentences until `stop`; None, or a model that cannot: templates alone.
    seed: of the choice of wordings.
    on_passage: is told how many passages of how many are written.
    """
    report = written(outline, jobs, facts, seed=seed)
    if model is None or not _generates(model):
        return report
    drafts = drafted(list(places_in(report)), model, stop, on_passage, seed=seed)
    if drafts.sentences:
        named = _model_fact(model.capabilities.name, Ids(len(facts)))
        report = written(outline, jobs, [*facts, named], seed=seed)
    return with_joiners(report, drafts, model)


def _generates(model: TextModel) -> bool:
    """Return whether a model can draft sentences; False too where the server has none."""
    try:
        return model.capabilities.generates
    except TextModelError:
        return False


def _model_fact(name: str, ids: Ids) -> Fact:
    return Fact(
        id=ids.next(),
        name="text_model",
        leaf="",
        value=one_line(name),
        unit="",
        job=None,
        fence=None,
        pointer="",
        verified="stated",
        by="the server",
        shown=one_line(name),
        rule="one line, shortened",
    )


def written(
    outline: Outline, jobs: Mapping[str, EndedJob], facts: Sequence[Fact], *, seed: int
) -> Report:
    """Return the report by templates alone: complete, with every figure in its slot."""
    ledger = Ledger(facts)
    sections = [
        _summary(outline, ledger, seed),
        *(_goal(goal, outline, jobs, ledger, seed) for goal in (*outline.goals, "")),
        _not_done(outline, ledger, seed),
        _questions(outline, ledger, seed),
        _method(ledger, seed),
    ]
    return Report(
        title=TITLE,
        seed=seed,
        sections=tuple(section for section in sections if section.parts),
        facts=tuple(map(entry, facts)),
        without_result=float(_without_result(outline, ledger)),
    )


def _without_result(outline: Outline, ledger: Ledger) -> int:
    """Return how many leaves have no result, counting a repaired one by its newest repair."""
    newest: dict[str, str] = {}
    for leaf, node in outline.leaves.items():
        origin = node.origin.id if node.origin.source == "repair" else leaf
        newest[_first_of(origin, newest)] = leaf
    succeeded = [ledger.leaf(leaf).get("succeeded") for leaf in newest.values()]
    return sum(fact is None or fact.value is not True for fact in succeeded)


def _first_of(leaf: str, newest: Mapping[str, str]) -> str:
    """Return the leaf that the chain of repairs with this one began with."""
    return next((first for first, last in newest.items() if last == leaf), leaf)


def entry(fact: Fact) -> Entry:
    """Return a fact as data of a report."""
    op, of = fact.derived or ("", ())
    return Entry(
        id=fact.id,
        name=fact.name,
        leaf=fact.leaf,
        value=fact.value,
        unit=fact.unit,
        job=fact.job,
        fence=fact.fence,
        pointer=fact.pointer,
        verified=fact.verified,
        by=fact.by,
        shown=fact.shown,
        rule=fact.rule,
        op=op,
        of=tuple(of),
        label=str(fact.condition.get("label", "")),
        among=tuple(fact.condition.get("among", ())),
    )


def _passage(
    about: Passages,
    sentences: Sequence[Sentence],
    evidence: Sequence[str],
    ledger: Ledger,
    *,
    leaf: str = "",
    name: str = "",
) -> Passage:
    """Return a passage that states all of its evidence, what is left over by labels."""
    in_slots = stated(sentences)
    rest = [
        ledger.by_id[one]
        for one in evidence
        if one not in in_slots and ledger.by_id[one].condition.get("label")
    ]
    tail = (figures(rest),) if rest else ()
    return Passage(
        id=f"{about}.{name or leaf or 'plan'}",
        about=about,
        leaf=leaf,
        evidence=tuple(evidence),
        sentences=(*sentences, *tail),
    )


def _kind(facts: Scope) -> str:
    return str(facts["kind"].value) if "kind" in facts else ""


def _of_leaf(about: Passages, leaf: str, ledger: Ledger, seed: int) -> list[Sentence]:
    facts = ledger.leaf(leaf)
    return sentences_for(about, "leaf", _kind(facts), facts, seed=seed, salt=leaf)


def _of_plan(about: Passages, ledger: Ledger, seed: int) -> list[Sentence]:
    return sentences_for(about, "plan", "", ledger.plan(), seed=seed)


def _line(about: Passages, leaf: str, ledger: Ledger, seed: int) -> Passage:
    """Return a passage about a leaf that has to name it."""
    sentences = _of_leaf(about, leaf, ledger, seed)
    title = ledger.leaf(leaf)["title"].id
    return _passage(about, sentences, [title], ledger, leaf=leaf)


def _summary(outline: Outline, ledger: Ledger, seed: int) -> Section:
    plan = ledger.plan()
    opening = _passage(
        "summary",
        _of_plan("summary", ledger, seed),
        [plan[name].id for name in ("count.jobs", "count.succeeded") if name in plan]
        if ledger.plan()["count.jobs"].value != "0"
        else [],
        ledger,
    )
    lines = [_line("summary", leaf, ledger, seed) for leaf in outline.leaves]
    return _section("summary", [opening, *lines])


def _section(about: Passages, passages: Sequence[Passage]) -> Section:
    spoken = tuple(passage for passage in passages if passage.sentences)
    heading = (Piece(text=HEADINGS[about]),)
    part = Part(id=f"{about}.text", heading=(), passages=spoken)
    return Section(id=about, heading=heading, parts=(part,) if spoken else ())


def _goal(
    goal: str,
    outline: Outline,
    jobs: Mapping[str, EndedJob],
    ledger: Ledger,
    seed: int,
) -> Section:
    """Return the section of a goal; of "", for leaves that belong to none."""
    parts = [
        _part(leaf, jobs, ledger, seed)
        for leaf, node in outline.leaves.items()
        if goal == _goal_of(node, outline)
    ]
    compared = [_comparison(stem, ledger, seed) for stem in ledger.stems(goal)]
    if compared:
        heading = (Piece(text=HEADINGS["comparison"]),)
        name = f"comparison.{goal}"
        parts.append(Part(id=name, heading=heading, passages=tuple(compared)))
    title = ledger.plan().get(f"goal.{goal}")
    heading = (Piece(text=HEADINGS["other"]) if title is None else Piece(fact=title.id),)
    name = f"goal.{goal}" if goal else "other"
    return Section(id=name, heading=heading, parts=tuple(parts))


def _goal_of(leaf: Leaf, outline: Outline) -> str:
    stage = outline.stages.get(leaf.stage)
    return stage.goal if stage is not None and stage.goal in outline.goals else ""


def _part(leaf: str, jobs: Mapping[str, EndedJob], ledger: Ledger, seed: int) -> Part:
    passages = [
        _passage(
            about,
            _of_leaf(about, leaf, ledger, seed),
            ledger.evidence(leaf, about),
            ledger,
            leaf=leaf,
        )
        for about in OF_LEAF
    ]
    job = jobs.get(leaf)
    return Part(
        id=f"leaf.{leaf}",
        heading=(Piece(fact=ledger.leaf(leaf)["title"].id),),
        passages=tuple(
            passage
            for passage in passages
            if passage.sentences and (job is not None or passage.about == "outcome")
        ),
        plots=() if job is None else plots_of(job),
        job="" if job is None else job.id,
        leaf=leaf,
    )


def _comparison(stem: str, ledger: Ledger, seed: int) -> Passage:
    facts = ledger.group(stem)
    sentences = sentences_for("comparison", "group", "", facts, seed=seed, salt=stem)
    evidence = [
        fact.id
        for name, fact in facts.items()
        if name in ("best", "value") or name.startswith("score.")
    ]
    return _passage("comparison", sentences, evidence, ledger, name=stem)


def _not_done(outline: Outline, ledger: Ledger, seed: int) -> Section:
    plan = ledger.plan()
    evidence = [
        fact.id
        for name, fact in plan.items()
        if name.startswith(("not_done.", "why_not.", "note."))
    ]
    whole = _passage("not_done", _of_plan("not_done", ledger, seed), evidence, ledger)
    left = [
        _line("not_done", leaf, ledger, seed)
        for leaf in outline.leaves
        if _is_left(ledger.leaf(leaf))
    ]
    return _section("not_done", [whole, *left])


def _is_left(facts: Scope) -> bool:
    return "state" not in facts or any(
        name in facts and facts[name].value is True for name in _UNFINISHED
    )


def _questions(outline: Outline, ledger: Ledger, seed: int) -> Section:
    plan = ledger.plan()
    evidence = [
        fact.id
        for name, fact in plan.items()
        if name.startswith("answer.")
        or (name.startswith("question.") and f"answer.{name[9:]}" in plan)
    ]
    dialogue = _passage(
        "questions", _of_plan("questions", ledger, seed), evidence, ledger
    )
    repairs = [
        _passage(
            "questions",
            _of_leaf("questions", leaf, ledger, seed),
            [ledger.leaf(leaf)["title"].id, ledger.leaf(leaf)["repair_of"].id],
            ledger,
            leaf=leaf,
        )
        for leaf in outline.leaves
        if "repair_of" in ledger.leaf(leaf)
    ]
    return _section("questions", [dialogue, *repairs])


def _method(ledger: Ledger, seed: int) -> Section:
    return _section(
        "method", [_passage("method", _of_plan("method", ledger, seed), (), ledger)]
    )
