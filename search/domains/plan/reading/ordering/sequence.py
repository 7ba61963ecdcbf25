"""Order by "then": the jobs beside the word, or all before it."""

from __future__ import annotations

from collections.abc import Sequence

from search.domains.plan.reading.drafting.draft import Draft
from search.domains.plan.reading.lexicon import Phrase
from search.domains.plan.reading.ordering.clauses import ends_of_last
from search.domains.plan.reading.ordering.edge import Edge, ordered, own_place_of
from search.domains.plan.reading.scene import Scene


def sequence(
    scene: Scene, jobs: Sequence[Draft], conditions: Sequence[int]
) -> list[Edge]:
    """Order jobs by "then": those in front of it before those behind it."""
    places = sorted((own_place_of(job, jobs), i) for i, job in enumerate(jobs))
    cuts = sorted(
        [
            (phrase.start, phrase)
            for phrase in scene.marks("then", "fails")
            if scene.word(phrase.end) not in ("there's", "there")
            and not _is_unrelated(scene, phrase)
        ]
        + [
            (i, _shell_item(i))
            for i in range(len(scene.tokens))
            if _is_shell_and(scene, i)
        ]
        + [(i, Phrase(start=i, end=i + 1, senses=())) for i in conditions]
        + [(phrase.start, phrase) for phrase in ends_of_last(scene, jobs)]
        + [
            (i, Phrase(start=i, end=i + 2, senses=()))
            for i in range(len(scene.tokens))
            if scene.word(i) in ("step", "phase", "stage")
            and i + 1 < len(scene.tokens)
            and (scene.tokens[i + 1].value or 0) > 1
        ],
        key=lambda cut: cut[0],
    )
    edges = []
    for at, phrase in cuts:
        at = _before_its_job(scene, phrase, places) if phrase.senses else at
        before = [i for place, i in places if place < at]
        # A design's place is the token in front of its band, which may be the "then" itself.
        after = [i for place, i in places if place >= at]
        if not before and scene.word(phrase.start) == "after":
            edges += _after_clause(scene, phrase, places)
            continue
        if not before or not after:
            # "then …" about a job that is named by a pronoun has no job of its own.
            continue
        last = max(place for place, i in places if place < at)
        first = min(place for place, i in places if place >= at)
        if scene.crossing(at, first) > 12.0:
            continue
        arrow = scene.word(at) == "-" and not phrase.senses
        if arrow and scene.sentence(first) != scene.sentence(at):
            continue  # "a.c -> smaller. b.c -> faster": the arrow leads to a wish
        scene.use(range(phrase.start, phrase.end), "order")
        previous = [
            i for place, i in places if place < at and _joined(scene, place, last)
        ]
        following = [
            i for place, i in places if place >= at and _joined(scene, first, place)
        ]
        edges += [ordered(scene, phrase, p, c) for p in previous for c in following]
    return edges


def _is_unrelated(scene: Scene, phrase: Phrase) -> bool:
    """Return whether "then" only goes on in the text: "and then, totally unrelated, …"."""
    return any(0 <= mark.start - phrase.end <= 3 for mark in scene.marks("parallel"))


def _after_clause(
    scene: Scene, phrase: Phrase, places: Sequence[tuple[int, int]]
) -> list[Edge]:
    """Order "after that a.c is made small, do b.c": what the clause names comes first."""
    end = phrase.end
    depth = 0
    while end < len(scene.tokens) and not scene.ends_sentence(end):
        depth += (scene.word(end) == "(") - (scene.word(end) == ")")
        if scene.word(end) == "," and depth == 0:
            break
        end += 1
    inside = [i for place, i in places if phrase.start < place < end]
    behind = [
        i
        for place, i in places
        if place > end and scene.sentence(place) == scene.sentence(phrase.start)
    ]
    if inside and behind:
        scene.use(range(phrase.start, phrase.end), "order")
    return [ordered(scene, phrase, p, c) for p in inside for c in behind]


def _before_its_job(
    scene: Scene, phrase: Phrase, places: Sequence[tuple[int, int]]
) -> int:
    """Return where "then" cuts: "the MPS afterwards" orders the job in front of it."""
    behind = [
        p
        for p, _ in places
        if p > phrase.start and scene.crossing(phrase.start, p) < 12.0
    ]
    close = [
        p
        for p, _ in places
        if 0 < phrase.start - p <= 4 and scene.crossing(p, phrase.start) < 0.5
    ]
    closing = phrase.end >= len(scene.tokens) or scene.word(phrase.end) in (
        ".",
        ",",
        ";",
        "\n",
        "!",
    )
    return close[-1] - 1 if close and closing and not behind else phrase.start


def _is_shell_and(scene: Scene, i: int) -> bool:
    return (scene.word(i) == "&" and scene.word(i + 1) == "&") or (
        scene.word(i) == "-" and scene.word(i + 1) == ">"
    )


def _shell_item(i: int) -> Phrase:
    return Phrase(start=i, end=i + 2, senses=())


def _joined(scene: Scene, left: int, right: int) -> bool:
    """Return whether two places are in one step: no "then" and no sentence end between them."""
    return left == right or scene.crossing(left, right) < 4.5
