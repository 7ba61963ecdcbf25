"""Order of jobs, and files that one job makes and another reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from search.domains.plan.reading.drafting.draft import Draft
from search.domains.plan.reading.lexicon import Item, Role
from search.domains.plan.reading.rounds import main_file
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.stems import vocabulary

_STARTS = frozenset(("starting", "hint", "warmstart", "initial", "warm", "mip"))
_PRONOUNS_OF_RESULTS = frozenset(
    ("it", "that", "whatever", "this", "its", "which", "them")
)
_ALL_OF_THEM = frozenset(
    ("both", "all", "everything", "others", "2", "3", "they", "these")
)
_PRONOUNS = frozenset(
    ("that", "it", "this", "they", "these", "those", "first", "former", "both", "one")
)


@dataclass(frozen=True, kw_only=True)
class Edge:
    """Job `child` waits for job `parent`."""

    parent: int
    child: int
    needs_success: bool
    why: str
    tokens: tuple[int, ...]


def edges_of(
    scene: Scene, jobs: Sequence[Draft], conditions: Sequence[int]
) -> list[Edge]:
    """Return the order that the goal states, without what follows from the rest.

    `conditions` are first tokens of clauses "if it takes less than a minute": what they speak of
    comes first.
    """
    found: list[Edge] = []
    found += _taken(jobs)
    found += _outputs(scene, jobs)
    if not scene.marks("unordered"):
        found += _sequence(scene, jobs, conditions)
    for item in scene.marks("parallel", "unordered"):
        scene.use(range(item.start, item.end), "order")
    found += _after_and_before(scene, jobs)
    found += _last(scene, jobs)
    return _reduced(found, len(jobs))


def _place(job: Draft) -> int:
    """Return the token at which a job is first spoken of; variants by their own values."""
    return min(job.mentions, default=0)


def _own_place(scene: Scene, job: Draft, jobs: Sequence[Draft]) -> int:
    """Return where the job's distinguishing value stands, among variants of one file."""
    variants = [other for other in jobs if other.leaf == job.leaf]
    if len(variants) == 1:
        return _place(job)
    own = [
        setting.tokens[0]
        for path, setting in job.settings.items()
        if any(
            other.settings.get(path) is None
            or other.settings[path].tokens != setting.tokens
            for other in variants
        )
    ]
    return min(own, default=_place(job))


def _sequence(
    scene: Scene, jobs: Sequence[Draft], conditions: Sequence[int]
) -> list[Edge]:
    """Order jobs by "then": those in front of it before those behind it."""
    places = sorted((_own_place(scene, job, jobs), i) for i, job in enumerate(jobs))
    cuts = sorted(
        [
            (item.start, item)
            for item in scene.marks("then", "fails")
            if scene.word(item.end) not in ("there's", "there")
        ]
        + [
            (i, _shell_item(i))
            for i in range(len(scene.tokens))
            if _is_shell_and(scene, i)
        ]
        + [(i, Item(start=i, end=i + 1, senses=())) for i in conditions]
        + [(item.start, item) for item in _ends_of_last(scene, jobs)]
        + [
            (i, Item(start=i, end=i + 2, senses=()))
            for i in range(len(scene.tokens))
            if scene.word(i) in ("step", "phase", "stage")
            and i + 1 < len(scene.tokens)
            and (scene.tokens[i + 1].value or 0) > 1
        ],
        key=lambda cut: cut[0],
    )
    found = []
    for at, item in cuts:
        at = _before_its_job(scene, item, places) if item.senses else at
        before = [i for place, i in places if place < at]
        after = [i for place, i in places if place > at]
        if not before or not after:
            # "then …" about a job that is named by a pronoun has no job of its own.
            continue
        last = max(place for place, i in places if place < at)
        first = min(place for place, i in places if place > at)
        if scene.crossing(at, first) > 12.0:
            continue
        scene.use(range(item.start, item.end), "order")
        previous = [
            i for place, i in places if place < at and _joined(scene, place, last)
        ]
        following = [
            i for place, i in places if place > at and _joined(scene, first, place)
        ]
        found += [_ordered(scene, item, p, c) for p in previous for c in following]
    return found


def _before_its_job(scene: Scene, item: Item, places: Sequence[tuple[int, int]]) -> int:
    """Return where "then" cuts: "the MPS afterwards" orders the job in front of it."""
    behind = [
        p for p, _ in places if p > item.start and scene.crossing(item.start, p) < 12.0
    ]
    close = [
        p
        for p, _ in places
        if 0 < item.start - p <= 4 and scene.crossing(p, item.start) < 0.5
    ]
    closing = item.end >= len(scene.tokens) or scene.word(item.end) in (
        ".",
        ",",
        ";",
        "\n",
        "!",
    )
    return close[-1] - 1 if close and closing and not behind else item.start


def _ordered(scene: Scene, item: Item, parent: int, child: int) -> Edge:
    """Return the order of two jobs that the words of an item ask for."""
    return Edge(
        parent=parent,
        child=child,
        needs_success=False,
        why=scene.words(item.start, item.end),
        tokens=tuple(range(item.start, item.end)),
    )


def _reading(parent: int, child: int, output: str, tokens: tuple[int, ...]) -> Edge:
    """Return the order of a job that makes a file and one that reads it."""
    return Edge(
        parent=parent,
        child=child,
        needs_success=True,
        why=f"reads {output}",
        tokens=tokens,
    )


def _ends_of_last(scene: Scene, jobs: Sequence[Draft]) -> list[Item]:
    """Return "once that is through", "when it has finished": a job named by a pronoun has ended."""
    mentions = {m for job in jobs for m in job.mentions}
    found = []
    for item in scene.marks("after"):
        end = item.end
        while end < len(scene.tokens) and not scene.ends_sentence(end):
            if scene.word(end) in (",", ":", ";"):
                break
            end += 1
        head = [
            scene.word(i).removesuffix("'s")
            for i in range(item.end, min(item.end + 3, end))
        ]
        named = any(item.end <= m < min(end, item.end + 3) for m in mentions)
        if _PRONOUNS & set(head) and not named and _is_clause(scene, item):
            found.append(item)
    return found


def _is_shell_and(scene: Scene, i: int) -> bool:
    return (scene.word(i) == "&" and scene.word(i + 1) == "&") or (
        scene.word(i) == "-" and scene.word(i + 1) == ">"
    )


def _shell_item(i: int) -> Item:
    return Item(start=i, end=i + 2, senses=())


def _joined(scene: Scene, left: int, right: int) -> bool:
    """Return whether two places are in one step: no "then" and no sentence end between them."""
    return left == right or scene.crossing(left, right) < 4.5


def _last(scene: Scene, jobs: Sequence[Draft]) -> list[Edge]:
    """Order "C comes last": it waits for all other jobs."""
    found = []
    for item in scene.marks("last"):
        sentence = scene.sentence(item.start)
        near = [
            (abs(m - item.start) + (3 if m > item.start else 0), i)
            for i, job in enumerate(jobs)
            for m in job.mentions
            if scene.sentence(m) == sentence
        ]
        if len(jobs) < 2 or not near:
            continue
        child = min(near)[1]
        scene.use(range(item.start, item.end), "order")
        found += [_ordered(scene, item, i, child) for i in range(len(jobs)) if i != child]
    return found


def _after_and_before(scene: Scene, jobs: Sequence[Draft]) -> list[Edge]:
    """Order jobs by "B after A" and "before B, A"."""
    found = []
    ends_of_last = _ends_of_last(scene, jobs)
    for item in scene.marks("after", "before"):
        if item.mark("then"):
            continue
        end = item.end
        while (
            end < len(scene.tokens)
            and not scene.ends_sentence(end)
            and scene.word(end) not in (",", ";")
        ):
            end += 1
        inside = [
            i
            for i, job in enumerate(jobs)
            if any(item.end <= m < end for m in job.mentions)
        ]
        sentence = scene.sentence(item.start)
        if len(inside) > 1 and not _any_outside(scene, jobs, inside, item):
            # "once a.mps is solved run b.mps": no comma ends the clause.
            order = sorted(
                inside, key=lambda i: min(m for m in jobs[i].mentions if m >= item.end)
            )
            inside = order[:1]
        outside = [
            i
            for i, job in enumerate(jobs)
            if i not in inside
            and any(scene.sentence(m) == sentence for m in job.mentions)
        ]
        if not inside and (item in ends_of_last or _is_clause(scene, item)):
            found += _waits_for_all(scene, jobs, item) or _waits_for_last(
                scene, jobs, item
            )
            continue
        if not inside or not outside:
            continue
        if not _is_clause(scene, item):
            continue
        nearest = min(
            min(
                abs(m - item.start)
                for m in jobs[i].mentions
                if scene.sentence(m) == sentence
            )
            for i in outside
        )
        main = [
            i
            for i in outside
            if min(
                abs(m - item.start)
                for m in jobs[i].mentions
                if scene.sentence(m) == sentence
            )
            <= nearest + 3
        ]
        scene.use(range(item.start, item.end), "order")
        for a in inside:
            for b in main:
                waits = item.mark("after") != _is_denied(scene, item)
                first, second = (a, b) if waits else (b, a)
                found.append(_ordered(scene, item, first, second))
    return found


def _is_denied(scene: Scene, item: Item) -> bool:
    """Return whether "do not start B before A has ended" turns "before" around."""
    return item.mark("before") and any(
        0 < item.start - mark.end <= 7 and scene.crossing(mark.start, item.start) < 2.0
        for mark in scene.marks("not")
    )


def _any_outside(
    scene: Scene, jobs: Sequence[Draft], inside: Sequence[int], item: Item
) -> bool:
    sentence = scene.sentence(item.start)
    return any(
        i not in inside and scene.sentence(m) == sentence
        for i, job in enumerate(jobs)
        for m in job.mentions
    )


def _waits_for_all(scene: Scene, jobs: Sequence[Draft], item: Item) -> list[Edge]:
    """Order "C must wait until both are done": it waits for every job spoken of before."""
    head = {scene.word(i) for i in range(item.end, min(item.end + 3, len(scene.tokens)))}
    if not head & _ALL_OF_THEM or not item.mark("after"):
        return []
    sentence = scene.sentence(item.start)
    here = [
        i
        for i, job in enumerate(jobs)
        if any(scene.sentence(m) == sentence for m in job.mentions)
    ]
    if not here:
        return []
    child = min(here, key=lambda i: min(abs(m - item.start) for m in jobs[i].mentions))
    before = [i for i in range(len(jobs)) if _place(jobs[i]) < _place(jobs[child])]
    scene.use(range(item.start, item.end), "order")
    return [_ordered(scene, item, i, child) for i in before]


def _waits_for_last(scene: Scene, jobs: Sequence[Draft], item: Item) -> list[Edge]:
    """Order "B is started when the first has finished": B's name stands in front."""
    places = sorted((_place(job), i) for i, job in enumerate(jobs))
    sentence = scene.sentence(item.start)
    here = [
        i
        for place, i in places
        if place < item.start
        and any(
            scene.sentence(m) == sentence and m < item.start for m in jobs[i].mentions
        )
    ]
    later = [
        i
        for place, i in places
        if item.start < place and scene.sentence(place) == sentence
    ]
    if len(here) != 1 or later:
        return []
    before = [i for place, i in places if place < _place(jobs[here[0]]) and i != here[0]]
    if not before:
        return []
    scene.use(range(item.start, item.end), "order")
    return [_ordered(scene, item, before[-1], here[0])]


def _is_clause(scene: Scene, item: Item) -> bool:
    """Return whether "when", "once" starts a clause about a job's end, not another condition."""
    word = scene.word(item.start)
    if word not in ("when", "once", "following"):
        return True
    if any(scene.word(i).endswith("'s") for i in range(item.end, item.end + 3)):
        return True
    ends = vocabulary(
        "done finished solved ready complete completed ends finishes over through "
        "placed shrunk sharded is has went got gone ran optimised optimized"
    )
    end = item.end
    while end < min(item.end + 20, len(scene.tokens)) and not scene.ends_sentence(end):
        if scene.word(end) == ",":
            break
        end += 1
    return any(scene.word(i) in ends for i in range(item.end, max(end, item.end + 9)))


def _taken(jobs: Sequence[Draft]) -> list[Edge]:
    """Let a further run read the file that the run before it leaves: "squeeze that once more"."""
    found = []
    for child, job in enumerate(jobs):
        makers = [i for i, other in enumerate(jobs) if other.leaf == job.base]
        if not job.takes or not makers:
            continue
        field_name = main_file(job.kind)
        job.files.pop(field_name, None)
        job.outputs[field_name] = (makers[-1], job.takes)
        found.append(_reading(makers[-1], child, job.takes, tuple(job.mentions[-1:])))
    return found


def _outputs(scene: Scene, jobs: Sequence[Draft]) -> list[Edge]:
    """Find "use its solution as start": an output of an earlier job, read by a later one."""
    found = []
    for item in scene.with_role(Role.OUTPUT):
        for sense in item.of(Role.OUTPUT):
            owner = _maker(scene, item, sense.kind, jobs)
            consumer = _consumer(scene, item, sense.kind, named=owner is not None)
            if consumer is None:
                continue
            pair = owner or _pair(scene, item, sense.kind, jobs)
            if pair is None:
                continue
            parent, child = pair
            field_name = consumer.of(Role.CONSUMER)[0].path
            if field_name in jobs[child].files:
                continue
            jobs[child].outputs[field_name] = (parent, sense.path)
            tokens = tuple(range(item.start, item.end))
            scene.use(tokens, "output")
            scene.use(range(consumer.start, consumer.end), "output")
            found.append(_reading(parent, child, sense.path, tokens))
            break
    return found or _starts_of(scene, jobs)


def _starts_of(scene: Scene, jobs: Sequence[Draft]) -> list[Edge]:
    """Find "pass it on to SCIP as a starting point": the output is named by a pronoun only."""
    for item in scene.with_role(Role.CONSUMER):
        sense = item.of(Role.CONSUMER)[0]
        words = {scene.word(i) for i in range(item.start, item.end)}
        sentence = [
            i
            for i in range(len(scene.tokens))
            if scene.sentence(i) == scene.sentence(item.start)
        ]
        said = {scene.word(i) for i in sentence}
        if (
            not words & _STARTS
            or not said & _PRONOUNS_OF_RESULTS
            or item.start in scene.used
        ):
            continue
        pair = _pair(scene, item, sense.kind, jobs)
        if pair is None or sense.path in jobs[pair[1]].files:
            continue
        jobs[pair[1]].outputs[sense.path] = (pair[0], "solution.sol")
        tokens = tuple(range(item.start, item.end))
        scene.use(tokens, "output")
        return [_reading(pair[0], pair[1], "solution.sol", tokens)]
    return []


def _maker(
    scene: Scene, output: Item, kind: str, jobs: Sequence[Draft]
) -> tuple[int, int] | None:
    """Return (maker, reader) for "a warm start from y.mps's solution"."""
    near = [
        (m, i)
        for i, job in enumerate(jobs)
        if job.kind == kind
        for m in job.mentions
        if 0 < output.start - m <= 4
        and scene.sentence(m) == scene.sentence(output.start)
        and all(
            scene.word(t) in ("'", "s", "the", "of", "best")
            for t in range(m + 1, output.start)
        )
    ]
    if not near:
        return None
    place, maker = max(near)
    others = [
        (m, i)
        for i, job in enumerate(jobs)
        if job.kind == kind and i != maker
        for m in job.mentions
        if scene.sentence(m) == scene.sentence(place)
    ]
    return (maker, min(others, key=lambda o: abs(o[0] - place))[1]) if others else None


def _consumer(scene: Scene, output: Item, kind: str, *, named: bool) -> Item | None:
    """Return the phrase that says what an output is used for, in the same sentence."""
    near = [
        item
        for item in scene.with_role(Role.CONSUMER)
        if any(s.kind == kind for s in item.of(Role.CONSUMER))
        and scene.sentence(item.start) == scene.sentence(output.start)
        and abs(item.start - output.start) <= 12
        and item.start != output.start
    ]
    pronoun = {scene.word(i) for i in range(max(0, output.start - 4), output.start)}
    if not named and not pronoun & {
        "its",
        "the",
        "that",
        "his",
        "this",
        "their",
        "whatever",
        "best",
    }:
        return None
    return min(near, key=lambda item: abs(item.start - output.start), default=None)


def _pair(
    scene: Scene, output: Item, kind: str, jobs: Sequence[Draft]
) -> tuple[int, int] | None:
    """Return (maker, reader): the job spoken of before the output, and the one it is for."""
    same = [i for i, job in enumerate(jobs) if job.kind == kind]
    if len(same) < 2:
        return None
    places = {i: _own_place(scene, jobs[i], jobs) for i in same}
    before = [i for i in same if places[i] < output.start]
    after = [i for i in same if places[i] > output.start]
    ordered = sorted(same, key=lambda i: places[i])
    if before and after:
        return max(before, key=lambda i: places[i]), min(after, key=lambda i: places[i])
    if not after and len(before) >= 2:
        # "then start SCIP from its solution": the reader is named in front of the output.
        return ordered[-2], ordered[-1]
    return None


def _reduced(edges: Sequence[Edge], count: int) -> list[Edge]:
    """Drop edges that follow from others, and those that would close a circle."""
    kept: list[Edge] = []
    for edge in sorted(edges, key=lambda e: not e.needs_success):
        if edge.parent == edge.child or any(
            (e.parent, e.child) == (edge.parent, edge.child) for e in kept
        ):
            continue
        if not _reaches(kept, edge.child, edge.parent, count):
            kept.append(edge)
    return [
        edge
        for edge in kept
        if edge.needs_success
        or not _reaches(
            [e for e in kept if e is not edge], edge.parent, edge.child, count
        )
    ]


def _reaches(edges: Sequence[Edge], start: int, goal: int, count: int) -> bool:
    seen, stack = {start}, [start]
    while stack and len(seen) <= count:
        at = stack.pop()
        if at == goal:
            return True
        for edge in edges:
            if edge.parent == at and edge.child not in seen:
                seen.add(edge.child)
                stack.append(edge.child)
    return goal in seen
