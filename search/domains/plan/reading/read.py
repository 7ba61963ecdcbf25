"""Read a goal in words: the one function to read first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from search.domains.plan.reading import bounds
from search.domains.plan.reading.accounting.complete import complete
from search.domains.plan.reading.answers import settings_of
from search.domains.plan.reading.attach import attach
from search.domains.plan.reading.binding.bind import bind
from search.domains.plan.reading.binding.learned import Roles
from search.domains.plan.reading.corrections import corrected
from search.domains.plan.reading.drafting.draft import Draft, Drafts
from search.domains.plan.reading.drafting.drafts import drafts_of
from search.domains.plan.reading.envelope import envelope_of, within
from search.domains.plan.reading.glossary import LANGUAGES
from search.domains.plan.reading.jobs.find import find_leaves
from search.domains.plan.reading.language import foreign_language
from search.domains.plan.reading.lexicon import Role, lexicon_of
from search.domains.plan.reading.names import named
from search.domains.plan.reading.negation import negated, scopes_of, with_and_without
from search.domains.plan.reading.ordering import doubtful
from search.domains.plan.reading.ordering.doubtful import answered_order, doubt_of_order
from search.domains.plan.reading.ordering.edge import Edge
from search.domains.plan.reading.ordering.edges import edges_of
from search.domains.plan.reading.outside import Outside, outside_parts
from search.domains.plan.reading.relating.copies import share_boards
from search.domains.plan.reading.relating.relations import apply_relations
from search.domains.plan.reading.relating.shares import share_totals
from search.domains.plan.reading.roles.model import shipped
from search.domains.plan.reading.rounds import further_runs, inherit
from search.domains.plan.reading.scene import Scene, scene_of
from search.domains.plan.reading.tokens import Form
from search.domains.plan.types import FileFacts, Order, Reading, Value, Wish
from trimtab.specs.common import Spec


def read_goal(
    goal: str,
    files: Sequence[FileFacts],
    *,
    answers: Mapping[str, str] | None = None,
    specs: Mapping[str, type[Spec]],
    roles: Roles | None = None,
) -> Reading:
    """Return what a goal says, with an account of every word that matters.

    Pure and deterministic: no language model, no clock, no file but the weights is read. `answers`
    are by `Question.about`; `specs` are the kinds of this server; `roles` is the model of numbers'
    roles, by default the shipped one. A text that is no goal (another language, too long) is
    refused as a whole in `Reading.refused`; nothing is raised.
    """
    why_not = bounds.refusal(goal)
    if why_not is not None:
        return Reading(goal=goal, wishes=(), refused=why_not)
    text = bounds.fold(goal)
    language = foreign_language(text.folded)
    if language is not None and language not in LANGUAGES:
        return Reading(
            goal=goal,
            wishes=(),
            refused=f"goal: expected English, German or French, got {language}; write the goal in "
            "English",
        )
    scene = scene_of(text, files, lexicon_of(tuple(sorted(specs.items()))), language)
    if language is not None:
        scene.notes.append(
            f"the goal was read from {language} word by word; check each value"
        )
    if (why_not := _too_much(scene)) is not None:
        return Reading(goal=goal, wishes=(), refused=why_not)
    return _read(scene, dict(answers or {}), roles or shipped())


def _too_much(scene: Scene) -> str | None:
    if scene.sentence(len(scene.tokens) - 1) > bounds.MAX_SENTENCES:
        return f"goal: expected at most {bounds.MAX_SENTENCES} sentences; shorten it"
    names = sum(
        token.form is not Form.WORD
        for token in scene.tokens
        if token.form is not Form.MARK
    )
    if (count := len(scene.items) + names) > bounds.MAX_PHRASES:
        return (
            f"goal: expected at most {bounds.MAX_PHRASES} numbers, names and terms, got {count:,}; "
            "split it into several goals"
        )
    return None


def _read(scene: Scene, answers: dict[str, str], roles: Roles) -> Reading:
    scopes = scopes_of(scene)
    excluded = {token for scope in scopes for token in scope.tokens}
    envelope = envelope_of(scene)
    stated = {token for each in envelope for token in each.tokens}
    excluded |= stated
    for each in envelope:
        scene.use(each.tokens, next(iter(each.paths.values())))
    outside = outside_parts(scene, excluded, stated)
    elsewhere = {token for part in outside for token in part.tokens}
    for part in outside:
        scene.use(part.tokens, f"not done: {part.tag}")
    found = find_leaves(
        scene,
        excluded=excluded,
        chosen=answers,
        elsewhere={token for part in outside for token in part.files},
        parts=[part.tokens for part in outside if part.tag != "condition"],
    )
    further_runs(scene, found)
    kinds = list(dict.fromkeys(leaf.kind for leaf in found.leaves))
    names = [*named(scene, kinds), *within(envelope, kinds)]
    elsewhere |= {t for each in names for t in each.tokens}
    bound = bind(scene, kinds, elsewhere, roles)
    bound = [b for b in bound if b.at not in elsewhere]
    bound = with_and_without(scene, negated(scene, bound, scopes))
    bound = corrected(scene, sorted([*bound, *names], key=lambda b: b.at))
    attached = attach(scene, bound, found.leaves)
    share_boards(scene, found.leaves, attached)
    apply_relations(scene, found.leaves, attached)
    inherit(found.leaves, attached)
    drafts = drafts_of(scene, found.leaves, attached.bounds)
    share_totals(scene, drafts.jobs)
    conditions = [min(p.tokens) for p in outside if p.tag == "condition"]
    edges = edges_of(scene, drafts.jobs, conditions)
    settings_of(scene, drafts, answers)
    doubts = [*found.doubts, *attached.doubts, *drafts.doubts]
    doubts += doubt_of_order(scene, drafts.jobs, edges)
    if doubtful.ABOUT in answers:
        edges = answered_order(scene, drafts.jobs, answers[doubtful.ABOUT])
    reading = _reading(scene, drafts, edges, outside)
    return complete(scene, reading, found, drafts, doubts, answers)


def _reading(
    scene: Scene, drafts: Drafts, edges: Sequence[Edge], outside: Sequence[Outside]
) -> Reading:
    return Reading(
        goal=scene.text.goal,
        wishes=tuple(_wish(scene, job) for job in drafts.jobs),
        order=tuple(
            Order(
                parent=edge.parent,
                child=edge.child,
                needs_success=edge.needs_success,
                why=edge.why,
                spans=scene.spans(edge.tokens),
            )
            for edge in edges
        ),
        not_done=tuple(part.part for part in outside),
        notes=(*scene.text.notes, *dict.fromkeys(scene.notes)),
    )


def _wish(scene: Scene, job: Draft) -> Wish:
    values = tuple(
        Value(path=path, value=s.value, spans=scene.spans(s.tokens), note=s.note)
        for path, s in job.settings.items()
        if not path.startswith("_")
    )
    mentions = {
        t
        for phrase in scene.items
        for t in range(phrase.start, phrase.end)
        if any(
            s.kind == job.kind and s.role in (Role.VERB, Role.NOUN) for s in phrase.senses
        )
        and any(abs(phrase.start - m) <= 8 for m in job.mentions)
    }
    return Wish(
        kind=job.kind,
        intent=_intent(job),
        files=dict(job.files),
        outputs=dict(job.outputs),
        values=values,
        removed=tuple(job.removed),
        spans=scene.spans({*job.mentions, *mentions} - {len(scene.tokens)}),
        group=job.group,
    )


def _intent(job: Draft) -> str:
    settings = {path: setting.value for path, setting in job.settings.items()}
    if settings.get("spec.objective") == "run_time":
        return "speed_up"
    if "spec.what_if" in settings:
        return "what_if"
    if "warm_start" in job.files or "warm_start" in job.outputs:
        return "warm_start"
    return {
        "ilp": "solve",
        "sharding": "place",
        "compile": "shrink",
        "antenna": "design",
    }.get(job.kind, "run")
