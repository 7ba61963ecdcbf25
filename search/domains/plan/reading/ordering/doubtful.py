"""Order that a goal speaks of and that was not understood: one closed question, and its answer."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from search.domains.plan.reading.drafting.draft import Draft
from search.domains.plan.reading.jobs.leaf import Doubt
from search.domains.plan.reading.lexicon import Phrase
from search.domains.plan.reading.ordering.edge import Edge, ordered, own_place_of
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.stems import vocabulary

ABOUT = "order"
_CHAIN, _REVERSED = (
    "one after the other, as written",
    "one after the other, last one first",
)
_AT_ONCE, _LAST_WAITS = "at the same time", "the last one after all others"
_FIRST_LEADS = "the first one before all others"
# Words of an order; "once" and "then" have too many other meanings.
_WORDS = vocabulary(
    "after afterwards until finished completed done ended waits waiting wait sequence sequential "
    "sequentially follow follows followed following prior beforehand predecessor successor "
    "precede precedes preceding subsequent subsequently depend depends queue"
)
_LIMIT = 6  # tokens between "until" and a number
_NOT_ORDER = vocabulary("all no oh hang please")  # "after all", "no wait", "please wait"


def doubt_of_order(
    scene: Scene, jobs: Sequence[Draft], edges: Sequence[Edge]
) -> list[Doubt]:
    """Ask how the jobs follow each other where words of an order are left over."""
    if edges or not 2 <= len(jobs) <= 6 or scene.marks("unordered", "parallel"):
        return []
    tokens = [
        i
        for i, token in enumerate(scene.tokens)
        if token.word in _WORDS
        and i not in scene.used
        and not _is_limit(scene, i)
        # "Queue a.lp, b.lp" asks for no order.
        and not (token.word == "queue" and scene.sentence_start(i) == i)
        and not _NOT_ORDER & {scene.word(i - 1), scene.word(i + 1)}
    ]
    if not tokens:
        return []
    options = (
        (_CHAIN, _REVERSED, _AT_ONCE)
        if len(jobs) == 2
        else (_CHAIN, _LAST_WAITS, _FIRST_LEADS, _REVERSED, _AT_ONCE)
    )
    words = scene.words(tokens[0], tokens[0] + 1)
    return [
        Doubt(
            about=ABOUT,
            text=f"“{words}”: in which order are {_names(jobs)} run?",
            options=options,
            tokens=tuple(tokens[:1]),
            rank=4,
        )
    ]


def _is_limit(scene: Scene, i: int) -> bool:
    """Return whether "stop after 75 s", "until the gap is below 1 %" limit one job."""
    return scene.word(i) in ("after", "until") and any(
        0 < q.start - i <= _LIMIT for q in scene.quantities
    )


def answered_order(scene: Scene, jobs: Sequence[Draft], answer: str) -> list[Edge]:
    """Return the order that an answer gives: one of the options, or names in their order."""
    low = answer.lower()
    chain = [
        i for _, i in sorted((own_place_of(job, jobs), i) for i, job in enumerate(jobs))
    ]
    named = sorted(
        (low.find(name.lower()), i)
        for i, job in enumerate(jobs)
        for name in job.files.values()
        if name.lower() in low
    )
    phrase = Phrase(start=0, end=1, senses=())
    if low == _AT_ONCE or len(chain) < 2:
        pairs: list[tuple[int, int]] = []
    elif low == _LAST_WAITS:
        pairs = [(i, chain[-1]) for i in chain[:-1]]
    elif low == _FIRST_LEADS:
        pairs = [(chain[0], i) for i in chain[1:]]
    elif low == _REVERSED:
        pairs = list(itertools.pairwise(reversed(chain)))
    elif len(named) > 1:
        pairs = list(itertools.pairwise(i for _, i in named))
    else:
        pairs = list(itertools.pairwise(chain))
    return [ordered(scene, phrase, parent, child) for parent, child in pairs]


def in_sequence(scene: Scene, jobs: Sequence[Draft]) -> list[Edge]:
    """Order jobs by "one after the other", "in this order": those of the sentence, or all."""
    edges: list[Edge] = []
    for phrase in scene.marks("sequence"):
        places = sorted((own_place_of(job, jobs), i) for i, job in enumerate(jobs))
        here = [
            i
            for place, i in places
            if scene.sentence(place) == scene.sentence(phrase.start)
        ]
        chain = here if len(here) > 1 else [i for _, i in places]
        if len(chain) > 1:
            scene.use(range(phrase.start, phrase.end), "order")
        edges += [ordered(scene, phrase, a, b) for a, b in itertools.pairwise(chain)]
    return edges


def _names(jobs: Sequence[Draft]) -> str:
    names = [next(iter(job.files.values()), job.kind) for job in jobs]
    return f"{', '.join(names[:-1])} and {names[-1]}"
