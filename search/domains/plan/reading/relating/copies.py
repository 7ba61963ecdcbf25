"""Values copied from another job: "the same", "as A, but …", "on 6 of them"."""

from __future__ import annotations

from collections.abc import Sequence

from search.domains.plan.reading.attach import Attached
from search.domains.plan.reading.binding.bound import COUNT, HARDWARE, Bound
from search.domains.plan.reading.drafting.draft import SECONDS
from search.domains.plan.reading.jobs.leaf import Leaf
from search.domains.plan.reading.lexicon import Phrase
from search.domains.plan.reading.relating.sides import nearest_before, sides_of
from search.domains.plan.reading.scene import Scene

_SHARED = frozenset(("both", "2", "same", "all", "each", "either", "every"))
_LONG = frozenset(("long", "much", "many", "well", "same"))


def copy_from_example(scene: Scene, leaves: Sequence[Leaf], attached: Attached) -> None:
    """Give a job what it lacks from the one that it is to be like: "B: as A, but ..."."""
    for i, leaf in enumerate(leaves):
        for m in leaf.mentions:
            if (
                scene.word(m - 1) not in ("as", "like", "is")
                or scene.word(m - 2) in _LONG
            ):
                continue
            start = scene.sentence_start(m)
            subject = nearest_before(scene, leaves, start, m - 1)
            if subject is None or subject == i or leaves[subject].kind != leaf.kind:
                continue
            own = {b.paths.get(leaf.kind) for b in attached.bounds[subject]}
            attached.bounds[subject] += [
                b for b in attached.bounds[i] if b.paths.get(leaf.kind) not in own
            ]


def copy_same(scene: Scene, leaves: Sequence[Leaf], attached: Attached) -> None:
    """Copy what a job lacks from the job that it is to be like."""
    for phrase in scene.marks("same"):
        words = scene.words(phrase.start, phrase.end).lower()
        if words == "like" and not any(
            m in (phrase.end, phrase.end + 1) for leaf in leaves for m in leaf.mentions
        ):
            continue
        if words == "as well" and not _value_free(scene, leaves, attached, phrase):
            continue
        sides = sides_of(scene, leaves, phrase)
        if sides is None:
            continue
        subject, other = sides
        if leaves[subject].kind != leaves[other].kind:
            paths: tuple[str, ...] = (SECONDS,)
        else:
            kind = leaves[other].kind
            paths = tuple(b.paths[kind] for b in attached.bounds[other])
        scene.use(range(phrase.start, phrase.end), "the same")
        own = {b.paths.get(leaves[subject].kind) for b in attached.bounds[subject]}
        for bound in list(attached.bounds[other]):
            path = bound.paths.get(leaves[subject].kind)
            if path is None or path in own or path not in paths:
                continue
            attached.bounds[subject].append(bound)


def _value_free(
    scene: Scene, leaves: Sequence[Leaf], attached: Attached, phrase: Phrase
) -> bool:
    sides = sides_of(scene, leaves, phrase)
    return sides is not None and not attached.bounds[sides[0]]


def share_boards(scene: Scene, leaves: Sequence[Leaf], attached: Attached) -> None:
    """Give all designs the board that is stated once: "the two on a substrate of 1.6 mm"."""
    designs = [i for i, leaf in enumerate(leaves) if leaf.kind == "antenna"]
    if len(designs) < 2:
        return
    stated: dict[str, list[Bound]] = {}
    for i in designs:
        for bound in attached.bounds[i]:
            path = bound.paths.get("antenna", "")
            if path.startswith("spec.board.") and bound not in stated.get(path, []):
                stated.setdefault(path, []).append(bound)
    for rows in stated.values():
        bound = rows[0]
        around = {
            scene.word(t)
            for t in scene.in_sentence(scene.sentence(bound.at))
            if bound.at - 12 <= t <= bound.at + 8
        }
        if len(rows) != 1 or not around & _SHARED:
            continue
        for i in designs:
            if bound not in attached.bounds[i]:
                attached.bounds[i].append(bound)


def copy_devices(scene: Scene, leaves: Sequence[Leaf], attached: Attached) -> None:
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
