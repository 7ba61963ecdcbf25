"""Order by clauses: "after", "before", "comes last", "once both are done"."""

from __future__ import annotations

from collections.abc import Sequence

from search.domains.plan.reading.drafting.draft import Draft
from search.domains.plan.reading.lexicon import Phrase
from search.domains.plan.reading.ordering.edge import Edge, ordered, place_of
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.stems import vocabulary

_ALL_OF_THEM = frozenset(
    ("both", "all", "everything", "others", "2", "3", "they", "these")
)
_PRONOUNS = frozenset(
    (
        "that",
        "it",
        "its",
        "this",
        "they",
        "their",
        "these",
        "those",
        "first",
        "former",
        "both",
        "one",
    )
)


def ends_of_last(scene: Scene, jobs: Sequence[Draft]) -> list[Phrase]:
    """Return "once that is through", "when it has finished": a job named by a pronoun has ended."""
    mentions = {m for job in jobs for m in job.mentions}
    ends = []
    for phrase in scene.marks("after"):
        end = phrase.end
        while end < len(scene.tokens) and not scene.ends_sentence(end):
            if scene.word(end) in (",", ":", ";"):
                break
            end += 1
        head = [
            scene.word(i).removesuffix("'s")
            for i in range(phrase.end, min(phrase.end + 5, end))
        ]
        named = any(phrase.end <= m < min(end, phrase.end + 3) for m in mentions)
        if _PRONOUNS & set(head) and not named and is_clause(scene, phrase):
            ends.append(phrase)
    return ends


def last_jobs(scene: Scene, jobs: Sequence[Draft]) -> list[Edge]:
    """Order "C comes last": it waits for all other jobs."""
    edges = []
    for phrase in scene.marks("last"):
        sentence = scene.sentence(phrase.start)
        near = [
            (abs(m - phrase.start) + (3 if m > phrase.start else 0), i)
            for i, job in enumerate(jobs)
            for m in job.mentions
            if scene.sentence(m) == sentence
        ]
        if len(jobs) < 2 or not near:
            continue
        child = min(near)[1]
        scene.use(range(phrase.start, phrase.end), "order")
        edges += [
            ordered(scene, phrase, i, child) for i in range(len(jobs)) if i != child
        ]
    return edges


def after_and_before(scene: Scene, jobs: Sequence[Draft]) -> list[Edge]:
    """Order jobs by "B after A" and "before B, A"."""
    edges = []
    ended = ends_of_last(scene, jobs)
    for phrase in scene.marks("after", "before"):
        used = scene.used.get(phrase.start, "")
        elsewhere = used.startswith("not done") and used != "not done: schedule"
        if phrase.mark("then") or elsewhere:
            continue
        end = phrase.end
        while (
            end < len(scene.tokens)
            and not scene.ends_sentence(end)
            and scene.word(end) not in (",", ";", ":")
        ):
            end += 1
        inside = [
            i
            for i, job in enumerate(jobs)
            if any(phrase.end <= m < end for m in job.mentions)
        ]
        sentence = scene.sentence(phrase.start)
        if len(inside) > 1 and not _any_outside(scene, jobs, inside, phrase):
            # "once a.mps is solved run b.mps": no comma ends the clause.
            order = sorted(
                inside, key=lambda i: min(m for m in jobs[i].mentions if m >= phrase.end)
            )
            inside = order[:1]
        outside = [
            i
            for i, job in enumerate(jobs)
            if i not in inside
            and any(scene.sentence(m) == sentence for m in job.mentions)
        ]
        if phrase.mark("before") and (leads := _goes_before_last(scene, jobs, phrase)):
            edges += leads
            continue
        if not inside and (phrase in ended or is_clause(scene, phrase)):
            edges += _waits_for_all(scene, jobs, phrase) or _waits_for_last(
                scene, jobs, phrase
            )
            continue
        if not inside or not outside:
            continue
        if not is_clause(scene, phrase):
            continue
        nearest = min(
            min(
                abs(m - phrase.start)
                for m in jobs[i].mentions
                if scene.sentence(m) == sentence
            )
            for i in outside
        )
        main = [
            i
            for i in outside
            if min(
                abs(m - phrase.start)
                for m in jobs[i].mentions
                if scene.sentence(m) == sentence
            )
            <= nearest + 3
        ]
        scene.use(range(phrase.start, phrase.end), "order")
        for a in inside:
            for b in main:
                waits = phrase.mark("after") != _is_denied(scene, phrase)
                first, second = (a, b) if waits else (b, a)
                edges.append(ordered(scene, phrase, first, second))
    return edges


def _goes_before_last(scene: Scene, jobs: Sequence[Draft], phrase: Phrase) -> list[Edge]:
    """Order "before it: n.mps", "before that, solve n.mps": the job behind goes first."""
    if scene.word(phrase.end) not in ("it", "that", "this"):
        return []
    before = [(place_of(j), i) for i, j in enumerate(jobs) if place_of(j) < phrase.start]
    behind = [
        (m, i)
        for i, job in enumerate(jobs)
        for m in job.mentions
        if m > phrase.start and scene.sentence(m) == scene.sentence(phrase.start)
    ]
    if not before or not behind:
        return []
    scene.use(range(phrase.start, phrase.end + 1), "order")
    return [ordered(scene, phrase, min(behind)[1], max(before)[1])]


def _is_denied(scene: Scene, phrase: Phrase) -> bool:
    """Return whether "do not start B before A has ended" turns "before" around."""
    return phrase.mark("before") and any(
        0 < phrase.start - mark.end <= 7
        and scene.crossing(mark.start, phrase.start) < 2.0
        for mark in scene.marks("not")
    )


def _any_outside(
    scene: Scene, jobs: Sequence[Draft], inside: Sequence[int], phrase: Phrase
) -> bool:
    sentence = scene.sentence(phrase.start)
    return any(
        i not in inside and scene.sentence(m) == sentence
        for i, job in enumerate(jobs)
        for m in job.mentions
    )


def _waits_for_all(scene: Scene, jobs: Sequence[Draft], phrase: Phrase) -> list[Edge]:
    """Order "C must wait until both are done": it waits for every job spoken of before."""
    head = {
        scene.word(i)
        for i in range(phrase.end - 1, min(phrase.end + 3, len(scene.tokens)))
    }
    if not head & _ALL_OF_THEM or not phrase.mark("after"):
        return []
    sentence = scene.sentence(phrase.start)
    here = [
        i
        for i, job in enumerate(jobs)
        if any(scene.sentence(m) == sentence for m in job.mentions)
    ]
    if not here:
        return []
    child = min(here, key=lambda i: min(abs(m - phrase.start) for m in jobs[i].mentions))
    before = [i for i in range(len(jobs)) if place_of(jobs[i]) < place_of(jobs[child])]
    scene.use(range(phrase.start, phrase.end), "order")
    return [ordered(scene, phrase, i, child) for i in before]


def _waits_for_last(scene: Scene, jobs: Sequence[Draft], phrase: Phrase) -> list[Edge]:
    """Order "B is started when the first has finished": B's name stands in front."""
    places = sorted((place_of(job), i) for i, job in enumerate(jobs))
    sentence = scene.sentence(phrase.start)
    here = [
        i
        for place, i in places
        if place < phrase.start
        and any(
            scene.sentence(m) == sentence and m < phrase.start for m in jobs[i].mentions
        )
    ]
    later = [
        i
        for place, i in places
        if phrase.start < place and scene.sentence(place) == sentence
    ]
    if len(here) != 1 or later:
        return []
    before = [
        i for place, i in places if place < place_of(jobs[here[0]]) and i != here[0]
    ]
    if not before:
        return []
    scene.use(range(phrase.start, phrase.end), "order")
    return [ordered(scene, phrase, before[-1], here[0])]


def is_clause(scene: Scene, phrase: Phrase) -> bool:
    """Return whether "when", "once" starts a clause about a job's end, not another condition."""
    word = scene.word(phrase.start)
    if word not in ("when", "once", "following", "until"):
        return True
    if any(scene.word(i).endswith("'s") for i in range(phrase.end, phrase.end + 3)):
        return True
    ends = vocabulary(
        "done finished solved ready complete completed ends finishes over through "
        "placed shrunk sharded is has went got gone ran optimised optimized have"
    )
    end = phrase.end
    while end < min(phrase.end + 20, len(scene.tokens)) and not scene.ends_sentence(end):
        if scene.word(end) == ",":
            break
        end += 1
    return any(scene.word(i) in ends for i in range(phrase.end, max(end, phrase.end + 9)))
