"""Order of jobs, and files that one job makes and another reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from search.domains.plan.reading.drafts import Draft
from search.domains.plan.reading.lexicon import Item, Role
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.stems import vocabulary


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
    found += _outputs(scene, jobs)
    if not scene.marks("unordered"):
        found += _sequence(scene, jobs, conditions)
    for item in scene.marks("parallel", "unordered"):
        scene.use(range(item.start, item.end), "order")
    found += _after_and_before(scene, jobs)
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
        [(item.start, item) for item in scene.marks("then", "fails")]
        + [
            (i, _shell_item(i))
            for i in range(len(scene.tokens))
            if _is_shell_and(scene, i)
        ]
        + [(i, Item(start=i, end=i + 1, senses=())) for i in conditions],
        key=lambda cut: cut[0],
    )
    found = []
    for at, item in cuts:
        before = [i for place, i in places if place < at]
        after = [i for place, i in places if place > at]
        if not before:
            continue
        if not after:
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
        found += [
            Edge(
                parent=p,
                child=c,
                needs_success=False,
                why=scene.words(item.start, item.end),
                tokens=tuple(range(item.start, item.end)),
            )
            for p in previous
            for c in following
        ]
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


def _after_and_before(scene: Scene, jobs: Sequence[Draft]) -> list[Edge]:
    """Order jobs by "B after A" and "before B, A"."""
    found = []
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
        outside = [
            i
            for i, job in enumerate(jobs)
            if i not in inside
            and any(scene.sentence(m) == sentence for m in job.mentions)
        ]
        if not inside or not outside:
            continue
        if not (_is_clause(scene, item)):
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
                first, second = (a, b) if item.mark("after") else (b, a)
                found.append(
                    Edge(
                        parent=first,
                        child=second,
                        needs_success=False,
                        why=scene.words(item.start, item.end),
                        tokens=tuple(range(item.start, item.end)),
                    )
                )
    return found


def _is_clause(scene: Scene, item: Item) -> bool:
    """Return whether "when", "once" starts a clause about a job's end, not another condition."""
    word = scene.word(item.start)
    if word not in ("when", "once", "following"):
        return True
    ends = vocabulary(
        "done finished solved ready complete completed ends finishes over through "
        "placed shrunk sharded is has"
    )
    return any(
        scene.word(i) in ends
        for i in range(item.end, min(item.end + 9, len(scene.tokens)))
    )


def _outputs(scene: Scene, jobs: Sequence[Draft]) -> list[Edge]:
    """Find "use its solution as start": an output of an earlier job, read by a later one."""
    found = []
    for item in scene.with_role(Role.OUTPUT):
        for sense in item.of(Role.OUTPUT):
            consumer = _consumer(scene, item, sense.kind)
            if consumer is None:
                continue
            pair = _pair(scene, item, sense.kind, jobs)
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
            found.append(
                Edge(
                    parent=parent,
                    child=child,
                    needs_success=True,
                    why=f"reads {sense.path}",
                    tokens=tokens,
                )
            )
            break
    return found


def _consumer(scene: Scene, output: Item, kind: str) -> Item | None:
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
    if not pronoun & {"its", "the", "that", "his", "this", "their", "whatever", "best"}:
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
