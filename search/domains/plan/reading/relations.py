"""Values by relation to another job's: "twice as long as", "the same", "like uart.c"."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from search.domains.plan.reading.attach import Attached
from search.domains.plan.reading.binding.bound import COUNT, HARDWARE, Bound
from search.domains.plan.reading.binding.conversion import plain
from search.domains.plan.reading.binding.without_slot import DIFFERENCES, is_difference
from search.domains.plan.reading.drafting.draft import SECONDS
from search.domains.plan.reading.jobs.leaf import Leaf
from search.domains.plan.reading.lexicon import Item, Role
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.stems import vocabulary
from search.domains.plan.reading.units import Dimension

_COPIED = (SECONDS, "budget.evaluations", "budget.target_gap", "spec.engine")
_LONG = frozenset(("long", "much", "many", "well", "same"))
_CLAUSE = 0.45  # less than an "and"
_AS = frozenset(("as", "of", "than", "like", "for", "that"))


@dataclass(frozen=True, kw_only=True)
class Relation:
    """A value that is a multiple of another job's."""

    factor: float
    item: Item
    path: str


def apply_relations(scene: Scene, leaves: Sequence[Leaf], attached: Attached) -> None:
    """Give jobs the values that the goal states by relation to other jobs."""
    _copies(scene, leaves, attached)
    pending = list(scene.with_role(Role.RELATION))
    pending = _corrected(scene, [item for item in pending if _with_noun(scene, item)])
    # A relation may refer to one that is resolved first.
    for _ in range(2):
        pending = [
            item for item in pending if not _multiply(scene, leaves, attached, item)
        ]
    _differences(scene, leaves, attached)
    _of_them(scene, leaves, attached)
    _same(scene, leaves, attached)


def _with_noun(scene: Scene, item: Item) -> bool:
    word = scene.words(item.start, item.end).lower()
    if word in (
        "three times",
        "two times",
        "four times",
        "five times",
        "3 times",
        "ten times",
    ):
        return _after_correction(scene, item) or scene.word(item.end) in (
            "that",
            "the",
            "as",
        )
    return word not in ("double", "twice", "half the", "triple", "twice the") or any(
        scene.word(i)
        in vocabulary(
            "time that long limit budget as much many of seconds minutes evaluations"
        )
        for i in range(item.end, item.end + 3)
    )


def _after_correction(scene: Scene, item: Item) -> bool:
    return any(0 <= item.start - m.end <= 1 for m in scene.marks("correct"))


def _corrected(scene: Scene, items: list[Item]) -> list[Item]:
    """Let a corrected factor replace the one before: "twice that, no, three times"."""
    result: list[Item] = []
    for item in items:
        if result and _after_correction(scene, item):
            scene.use(range(item.start, item.end), "correction")
            old = result.pop()
            result.append(Item(start=old.start, end=old.end, senses=item.senses))
        else:
            result.append(item)
    return result


def _nearest(scene: Scene, leaves: Sequence[Leaf], low: int, high: int) -> int | None:
    """Return the job mentioned last in tokens [low, high), not counting "as A", "like a.mps"."""
    best = max(
        (
            (m, i)
            for i, leaf in enumerate(leaves)
            for m in leaf.mentions
            if low <= m < high
            and scene.word(m - 1) not in ("as", "like", "than", "of", "is")
        ),
        default=None,
    )
    return None if best is None else best[1]


def _referred(
    scene: Scene, leaves: Sequence[Leaf], low: int, high: int, subject: int
) -> int | None:
    """Return the job that the sentence names as a model: "as A, but thicker"."""
    return next(
        (
            i
            for i, leaf in enumerate(leaves)
            for m in leaf.mentions
            if low <= m < high
            and scene.word(m - 1) in ("as", "like", "is")
            and i != subject
        ),
        None,
    )


def _copies(scene: Scene, leaves: Sequence[Leaf], attached: Attached) -> None:
    """Give a job what it lacks from the one that it is to be like: "B: as A, but ..."."""
    for i, leaf in enumerate(leaves):
        for m in leaf.mentions:
            if (
                scene.word(m - 1) not in ("as", "like", "is")
                or scene.word(m - 2) in _LONG
            ):
                continue
            start = m
            while start > 0 and not scene.ends_sentence(start - 1):
                start -= 1
            subject = _nearest(scene, leaves, start, m - 1)
            if subject is None or subject == i or leaves[subject].kind != leaf.kind:
                continue
            own = {b.paths.get(leaf.kind) for b in attached.bounds[subject]}
            attached.bounds[subject] += [
                b for b in attached.bounds[i] if b.paths.get(leaf.kind) not in own
            ]


def _first(scene: Scene, leaves: Sequence[Leaf], low: int, high: int) -> int | None:
    best = min(
        (
            (m, i)
            for i, leaf in enumerate(leaves)
            for m in leaf.mentions
            if low <= m < high
        ),
        default=None,
    )
    return None if best is None else best[1]


def _sides(scene: Scene, leaves: Sequence[Leaf], item: Item) -> tuple[int, int] | None:
    """Return (job that gets the value, job that has it)."""
    sentence_end = item.end
    while sentence_end < len(scene.tokens) and not scene.ends_sentence(sentence_end):
        sentence_end += 1
    limit = min(sentence_end, item.end + 6)
    other = None
    if scene.word(item.end) in _AS or scene.word(item.end - 1) in ("as", "like", "than"):
        other = _first(scene, leaves, item.end, limit)
    start = item.start
    while start > 0 and not scene.ends_sentence(start - 1):
        start -= 1
    subject = _nearest(scene, leaves, start, item.start)
    if subject is None:
        subject = _first(scene, leaves, item.end, sentence_end) if other is None else None
    if subject is not None and other is None:
        other = _referred(scene, leaves, start, item.start, subject)
    if subject is not None and other is None:
        previous = [
            (m, i)
            for i, leaf in enumerate(leaves)
            if i != subject
            for m in leaf.mentions
            if m < item.start
        ]
        other = max(previous)[1] if previous else None
    if subject is None or other is None or subject == other:
        return None
    return subject, other


def _multiply(
    scene: Scene, leaves: Sequence[Leaf], attached: Attached, item: Item
) -> bool:
    named = _path_before(scene, item.start)
    sides = (0, 0) if len(leaves) == 1 and named else _sides(scene, leaves, item)
    if sides is None:
        return False
    path = _path_of(scene, leaves, attached, item, sides[1]) or named or SECONDS
    source = _value(leaves, attached, sides[1], path)
    if source is None:
        return False
    factor = item.of(Role.RELATION)[0].value
    _replace(
        scene,
        leaves,
        attached,
        sides,
        path,
        source,
        functools.partial(operator.mul, factor),
        item,
    )
    return True


def _path_of(
    scene: Scene, leaves: Sequence[Leaf], attached: Attached, item: Item, other: int
) -> str | None:
    """Return the slot that a relation is about: "twice as many threads", "half as many"."""
    kind = leaves[other].kind
    have = {b.paths[kind] for b in attached.bounds[other] if kind in b.paths}
    behind = sorted(
        (head.start, sense.path)
        for head in scene.with_role(Role.HEAD, Role.VALUE)
        for sense in head.of(Role.HEAD, Role.VALUE)
        if item.end - 1 <= head.start <= item.end + 2
        and sense.kind in (kind, "common")
        and scene.crossing(item.end - 1, head.start) < _CLAUSE
    )
    for _, path in behind:
        path = COUNT if path == HARDWARE else path
        if path in have:
            return path
    words = {scene.word(i) for i in range(item.start, item.end + 2)}
    if words & {"many", "number", "them", "those"}:
        counts = [
            b
            for b in attached.bounds[other]
            if b.quantity is not None
            and kind in b.paths
            and (slot := scene.lexicon.slots[kind].get(b.paths[kind])) is not None
            and slot.dimension is Dimension.COUNT
        ]
        before = [b for b in counts if b.at < item.start]
        if before:
            return max(before, key=lambda b: b.at).paths[kind]
    return None


def _value(
    leaves: Sequence[Leaf], attached: Attached, job: int, path: str
) -> Bound | None:
    kind = leaves[job].kind
    return next(
        (b for b in attached.bounds[job] if b.paths.get(kind) == path and not b.removes),
        None,
    )


def _replace(
    scene: Scene,
    leaves: Sequence[Leaf],
    attached: Attached,
    sides: tuple[int, int],
    path: str,
    source: Bound,
    compute: Callable[[float], float],
    item: Item,
) -> None:
    """Give a job the computed value; a job related to itself gets it as an alternative."""
    job = sides[0]
    kind = leaves[job].kind
    origin = next(iter(source.values.values()))
    values = tuple(plain(float(compute(v)), is_integer=False) for v in origin)
    tokens = tuple(range(item.start, item.end))
    scene.use(tokens, path)
    bound = Bound(
        paths={kind: path},
        values={kind: values},
        tokens=tokens if sides[0] == sides[1] else (*tokens, *source.tokens),
        note=f"“{scene.words(item.start, item.end)}”: {values[0]:g}",
    )
    if sides[0] == sides[1]:
        attached.bounds[job].append(bound)
    else:
        others = [b for b in attached.bounds[job] if b.paths.get(kind) != path]
        attached.bounds[job] = [*others, bound]
        if path == COUNT:
            # Half of the devices are devices of the same sort.
            own = {b.paths.get(kind) for b in attached.bounds[job]}
            attached.bounds[job] += [
                b
                for b in attached.bounds[sides[1]]
                if b.paths.get(kind) in (HARDWARE, "spec.devices.0.memory_gib")
                and b.paths.get(kind) not in own
            ]


def _differences(scene: Scene, leaves: Sequence[Leaf], attached: Attached) -> None:
    """Apply "a minute less", "10 s more than a.mps", "the seed is one higher"."""
    for quantity in scene.quantities:
        if not is_difference(scene, quantity):
            continue
        noun = scene.word(quantity.end) not in DIFFERENCES
        end = quantity.end + 1 + noun
        item = Item(start=quantity.start, end=end, senses=())
        less = scene.word(end - 1) in ("less", "shorter", "fewer", "lower")
        sign = -1.0 if less else 1.0
        if quantity.units:
            delta = quantity.reading(Dimension.TIME)
            path: str | None = SECONDS
            sides = _sides(scene, leaves, item)
        else:
            delta = quantity.numbers
            path = _path_before(scene, quantity.end + 1 if noun else quantity.start)
            sides = _sides(scene, leaves, item) if len(leaves) > 1 else (0, 0)
        if sides is None or delta is None or path is None:
            continue
        source = _value(leaves, attached, sides[1], path)
        if source is None:
            continue
        change = sign * delta[0]
        if next(iter(source.values.values()))[0] + change > 0:
            add = functools.partial(operator.add, change)
            _replace(scene, leaves, attached, sides, path, source, add, item)


def _path_before(scene: Scene, at: int) -> str | None:
    """Return the slot that is named in front of "is doubled", "is one higher"."""
    near = [
        (at - item.end, sense.path)
        for item in scene.with_role(Role.HEAD)
        for sense in item.of(Role.HEAD)
        if 0 <= at - item.end <= 3
    ]
    return min(near)[1] if near else None


def _same(scene: Scene, leaves: Sequence[Leaf], attached: Attached) -> None:
    """Copy what a job lacks from the job that it is to be like."""
    for item in scene.marks("same"):
        words = scene.words(item.start, item.end).lower()
        if words == "like" and not any(
            m in (item.end, item.end + 1) for leaf in leaves for m in leaf.mentions
        ):
            continue
        if words == "as well" and not _value_free(scene, leaves, attached, item):
            continue
        marker = (
            item
            if words != "like"
            else Item(start=item.start, end=item.end, senses=item.senses)
        )
        sides = _sides(scene, leaves, marker)
        if sides is None:
            continue
        subject, other = sides
        if leaves[subject].kind != leaves[other].kind:
            paths: tuple[str, ...] = (SECONDS,)
        else:
            kind = leaves[other].kind
            paths = tuple(b.paths[kind] for b in attached.bounds[other])
        scene.use(range(item.start, item.end), "the same")
        own = {b.paths.get(leaves[subject].kind) for b in attached.bounds[subject]}
        for bound in list(attached.bounds[other]):
            path = bound.paths.get(leaves[subject].kind)
            if path is None or path in own or path not in paths:
                continue
            attached.bounds[subject].append(bound)


def _value_free(
    scene: Scene, leaves: Sequence[Leaf], attached: Attached, item: Item
) -> bool:
    sides = _sides(scene, leaves, item)
    return sides is not None and not attached.bounds[sides[0]]


def _of_them(scene: Scene, leaves: Sequence[Leaf], attached: Attached) -> None:
    """Copy the devices' memory and hardware for "on 6 of them"."""
    for job, leaf in enumerate(leaves):
        if leaf.kind != "sharding" or job == 0:
            continue
        count = next(
            (
                q
                for q in scene.quantities
                if scene.word(q.end) == "of"
                and scene.word(q.end + 1) in ("them", "those", "these", "the")
                and not q.units
            ),
            None,
        )
        if count is None:
            continue
        nearest = min(
            range(len(leaves)),
            key=lambda i: min(
                (scene.crossing(m, count.start) for m in leaves[i].mentions), default=99.0
            ),
        )
        if nearest != job:
            continue
        kind = leaf.kind
        own = {b.paths.get(kind) for b in attached.bounds[job]}
        earlier = [
            b
            for b in attached.bounds[job - 1]
            if b.paths.get(kind) in ("spec.devices.0.memory_gib", HARDWARE)
        ]
        attached.bounds[job] += [b for b in earlier if b.paths.get(kind) not in own]
        if COUNT not in own:
            tokens = tuple(range(count.start, count.end + 2))
            attached.bounds[job].append(
                Bound(
                    paths={kind: COUNT},
                    values={kind: (int(count.numbers[0]),)},
                    tokens=tokens,
                )
            )
