"""Values computed from another job's: multiples and differences."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence

from search.domains.plan.reading.attach import Attached
from search.domains.plan.reading.binding.bound import COUNT, HARDWARE, Bound
from search.domains.plan.reading.binding.conversion import plain
from search.domains.plan.reading.binding.without_slot import DIFFERENCES, is_difference
from search.domains.plan.reading.drafting.draft import SECONDS
from search.domains.plan.reading.jobs.leaf import Leaf
from search.domains.plan.reading.lexicon import Phrase, Role
from search.domains.plan.reading.relating.sides import sides_of
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.units import Dimension

_CLAUSE = 0.45  # less than an "and"


def multiply(
    scene: Scene, leaves: Sequence[Leaf], attached: Attached, phrase: Phrase
) -> bool:
    """Give a job a multiple of another job's value; return whether the goal names both."""
    named = _path_before(scene, phrase.start)
    sides = (0, 0) if len(leaves) == 1 and named else sides_of(scene, leaves, phrase)
    if sides is None:
        return False
    path = _path_of(scene, leaves, attached, phrase, sides[1]) or named or SECONDS
    source = _value(leaves, attached, sides[1], path)
    if source is None and sides[0] != sides[1]:
        path = SECONDS  # what stands in front named no slot that the other job has
        source = _value(leaves, attached, sides[1], path)
    if source is None or not is_number_of(source):
        return False
    factor = phrase.of(Role.RELATION)[0].value
    _replace(
        scene,
        leaves,
        attached,
        sides,
        path,
        source,
        functools.partial(operator.mul, factor),
        phrase,
    )
    return True


def add_differences(scene: Scene, leaves: Sequence[Leaf], attached: Attached) -> None:
    """Apply "a minute less", "10 s more than a.mps", "the seed is one higher"."""
    for quantity in scene.quantities if leaves else ():
        if not is_difference(scene, quantity):
            continue
        noun = scene.word(quantity.end) not in DIFFERENCES
        end = quantity.end + 1 + noun
        phrase = Phrase(start=quantity.start, end=end, senses=())
        less = scene.word(end - 1) in ("less", "shorter", "fewer", "lower")
        sign = -1.0 if less else 1.0
        if quantity.units:
            delta = quantity.reading(Dimension.TIME)
            path: str | None = SECONDS
            sides = sides_of(scene, leaves, phrase)
        else:
            delta = quantity.numbers
            path = _path_before(scene, quantity.end + 1 if noun else quantity.start)
            sides = sides_of(scene, leaves, phrase) if len(leaves) > 1 else (0, 0)
        if sides is None or delta is None or path is None:
            continue
        source = _value(leaves, attached, sides[1], path)
        if source is None or not is_number_of(source):
            continue
        change = sign * delta[0]
        if next(iter(source.values.values()))[0] + change > 0:
            add = functools.partial(operator.add, change)
            _replace(scene, leaves, attached, sides, path, source, add, phrase)


def is_number_of(bound: Bound) -> bool:
    """Return whether a value can be multiplied: an engine's name cannot."""
    return all(
        isinstance(v, int | float) and not isinstance(v, bool)
        for values in bound.values.values()
        for v in values
    )


def _path_of(
    scene: Scene, leaves: Sequence[Leaf], attached: Attached, phrase: Phrase, other: int
) -> str | None:
    """Return the slot that a relation is about: "twice as many threads", "half as many"."""
    kind = leaves[other].kind
    have = {b.paths[kind] for b in attached.bounds[other] if kind in b.paths}
    behind = sorted(
        (head.start, sense.path)
        for head in scene.with_role(Role.HEAD, Role.VALUE)
        for sense in head.of(Role.HEAD, Role.VALUE)
        if phrase.end - 1 <= head.start <= phrase.end + 2
        and sense.kind in (kind, "common")
        and scene.crossing(phrase.end - 1, head.start) < _CLAUSE
    )
    for _, path in behind:
        path = COUNT if path == HARDWARE else path
        if path in have:
            return path
    words = {scene.word(i) for i in range(phrase.start, phrase.end + 2)}
    if words & {"many", "number", "them", "those"}:
        counts = [
            b
            for b in attached.bounds[other]
            if b.quantity is not None
            and kind in b.paths
            and (slot := scene.lexicon.slots[kind].get(b.paths[kind])) is not None
            and slot.dimension is Dimension.COUNT
        ]
        before = [b for b in counts if b.at < phrase.start]
        if before:
            return max(before, key=lambda b: b.at).paths[kind]
    return None


def _path_before(scene: Scene, at: int) -> str | None:
    """Return the slot that is named in front of "is doubled", "is one higher"."""
    near = [
        (at - phrase.end, sense.path)
        for phrase in scene.with_role(Role.HEAD)
        for sense in phrase.of(Role.HEAD)
        if 0 <= at - phrase.end <= 3
    ]
    return min(near)[1] if near else None


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
    phrase: Phrase,
) -> None:
    """Give a job the computed value; a job related to itself gets it as an alternative."""
    job = sides[0]
    kind = leaves[job].kind
    origin = next(iter(source.values.values()))
    values = tuple(plain(float(compute(v)), is_integer=False) for v in origin)
    tokens = tuple(range(phrase.start, phrase.end))
    scene.use(tokens, path)
    bound = Bound(
        paths={kind: path},
        values={kind: values},
        tokens=tokens if sides[0] == sides[1] else (*tokens, *source.tokens),
        note=f"“{scene.words(phrase.start, phrase.end)}”: {values[0]:g}",
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
