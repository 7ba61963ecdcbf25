"""Values attached to jobs: the nearest compatible mention, with alternatives until the end."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from search.domains.plan.reading.binding.bound import Bound
from search.domains.plan.reading.distribution import (
    addressed,
    counts_all,
    distributes,
    sentence_is_for_all,
)
from search.domains.plan.reading.envelope import NAME
from search.domains.plan.reading.jobs.leaf import Doubt, Leaf
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.stems import vocabulary

_FOLLOWING = (
    0.6  # a value in front of the job's name is a little farther than one behind it
)
_LINKED = 1.2  # "20 s for b.mps"
_OTHER_BETWEEN = 1.5
_SAME_SLOT_AGAIN = 3.0
_PARENTHESES = 4.0
_NEXT_SENTENCE = 2.0
_ADDRESSED = 8.0
_JOINERS = vocabulary(", and & + or / plus both the as well also file files ( ) - \n")
_LIST = vocabulary("and or , & / vs versus then with against")
_LINKS = frozenset(("for", "on", "to", "of", "in", "into"))


@dataclass
class Attached:
    """Values of each job, and what is unclear about them."""

    bounds: list[list[Bound]] = field(default_factory=list)  # by job
    doubts: list[Doubt] = field(default_factory=list)
    loose: list[Bound] = field(default_factory=list)  # that fit no job


def attach(scene: Scene, bounds: Sequence[Bound], leaves: Sequence[Leaf]) -> Attached:
    """Attach each value to the job it is about, or to several where the goal says so."""
    result = Attached(bounds=[[] for _ in leaves])
    mentions = sorted((m, i) for i, leaf in enumerate(leaves) for m in leaf.mentions)
    groups = coordinated(scene, leaves)
    owners = named_in_turn(bounds, leaves)  # bound → job
    in_turn = set(owners)
    for path in dict.fromkeys(path for bound in bounds for path in bound.paths.values()):
        same = [
            i
            for i, b in enumerate(bounds)
            if i not in owners and path in b.paths.values()
        ]
        _assign(scene, bounds, same, leaves, mentions, owners)
    for i, bound in enumerate(bounds):
        if i not in owners:
            result.loose.append(bound)
            continue
        scope = (
            [owners[i]]
            if i in in_turn
            else _shared_by(
                scene, bound, owners[i], bounds, owners, leaves, groups, result
            )
        )
        if shares := _one_for_each(scene, bound, leaves):
            for job, own in shares.items():
                result.bounds[job].append(own)
            continue
        for job in scope:
            result.bounds[job].append(bound)
    return result


def named_in_turn(bounds: Sequence[Bound], leaves: Sequence[Leaf]) -> dict[int, int]:
    """Return name → job where there are as many names as jobs: the first is of the first."""
    names = [i for i, bound in enumerate(bounds) if NAME in bound.paths.values()]
    if len(names) < 2 or len(names) != len(leaves):
        return {}
    order = sorted(range(len(leaves)), key=lambda job: min(leaves[job].mentions))
    return dict(zip(names, order, strict=True))


def _one_for_each(scene: Scene, bound: Bound, leaves: Sequence[Leaf]) -> dict[int, Bound]:
    """Return one value for each job: "a.lp, b.lp and c.lp, respectively with seeds 1, 2 and 3"."""
    fits = [i for i, leaf in enumerate(leaves) if leaf.kind in bound.paths]
    said = any(
        token.word == "respectively" and scene.sentence(i) == scene.sentence(bound.at)
        for i, token in enumerate(scene.tokens)
    )
    if not said or len(fits) < 2:
        return {}
    if any(len(bound.values[leaves[i].kind]) != len(fits) for i in fits):
        return {}
    return {
        job: replace(
            bound,
            values={leaves[job].kind: (bound.values[leaves[job].kind][rank],)},
            paths={leaves[job].kind: bound.paths[leaves[job].kind]},
        )
        for rank, job in enumerate(fits)
    }


def coordinated(scene: Scene, leaves: Sequence[Leaf]) -> list[dict[int, int]]:
    """Return groups of jobs whose names are listed together: job → token of its name there."""
    firsts = sorted((m, i) for i, leaf in enumerate(leaves) for m in leaf.mentions)
    groups: list[dict[int, int]] = []
    for (left, a), (right, b) in itertools.pairwise(firsts):
        if a == b:
            continue
        between = range(left + 1, right)
        ends = any(scene.ends_sentence(t) for t in between)
        listed = len(between) <= 4 and all(scene.word(t) in _JOINERS for t in between)
        if left != right and (ends or not listed):
            continue
        if groups and groups[-1].get(a) == left:
            groups[-1][b] = right
        else:
            groups.append({a: left, b: right})
    return groups


def _cost(
    scene: Scene, bound: Bound, job: int, leaf: Leaf, mentions: Sequence[tuple[int, int]]
) -> float:
    best = 99.0
    opened = _opened_before(scene, bound.at)
    behind_for = addressed(scene, bound)
    for m in leaf.mentions:
        cost = scene.crossing(m, bound.at)
        if opened is not None and 0 <= opened - m <= 2:
            cost -= _PARENTHESES  # "capacity.mps (HiGHS, 2 min)"
        low, high = min(m, bound.at), max(m, bound.at)
        others = {i for t, i in mentions if low < t < high and i != job}
        cost += _OTHER_BETWEEN * len(others)
        if m in behind_for:
            cost -= _ADDRESSED  # "two minutes for the first one, five for the second"
        if scene.sentence(m) > scene.sentence(bound.at):
            cost += _NEXT_SENTENCE
        if m > bound.at:
            cost += _FOLLOWING
            before = [scene.word(t) for t in range(max(bound.at, m - 3), m)]
            if _LINKS & set(before) and not others:
                cost -= _LINKED
        best = min(best, cost)
    return best + bound.costs.get(leaf.kind, 0.0)


def _opened_before(scene: Scene, at: int) -> int | None:
    """Return the parenthesis that is open at a token."""
    for i in range(at - 1, max(-1, at - 25), -1):
        if scene.word(i) == ")" or scene.ends_sentence(i):
            return None
        if scene.word(i) == "(":
            return i
    return None


def _assign(
    scene: Scene,
    bounds: Sequence[Bound],
    same: Sequence[int],
    leaves: Sequence[Leaf],
    mentions: Sequence[tuple[int, int]],
    owners: dict[int, int],
) -> None:
    """Give each value of one slot to a job, preferring jobs that have none yet."""
    taken: dict[int, list[int]] = {}
    options = []
    for i in same:
        for job, leaf in enumerate(leaves):
            if leaf.kind in bounds[i].paths:
                options.append((_cost(scene, bounds[i], job, leaf, mentions), i, job))
    for i in same:
        own = [
            (
                cost
                + _SAME_SLOT_AGAIN
                * _excludes(scene, bounds, taken.get(job, []), i, leaves[job]),
                job,
            )
            for cost, k, job in options
            if k == i
        ]
        if own:
            job = min(own)[1]
            owners[i] = job
            taken.setdefault(job, []).append(i)


def _excludes(
    scene: Scene, bounds: Sequence[Bound], taken: Sequence[int], i: int, leaf: Leaf
) -> bool:
    """Return whether a job has a value of the slot already, not listed together with this one."""
    path = bounds[i].paths[leaf.kind]
    return any(
        bounds[k].paths.get(leaf.kind) == path
        and not bounds[k].removes
        and not bounds[i].removes
        and not _listed_together(scene, bounds[k], bounds[i])
        for k in taken
    )


def _listed_together(scene: Scene, first: Bound, second: Bound) -> bool:
    """Return whether two values are one list: "with HiGHS and SCIP"."""
    between = {scene.word(t) for t in range(max(first.tokens) + 1, second.at)}
    return first.at < second.at and between <= _LIST


def _shared_by(
    scene: Scene,
    bound: Bound,
    owner: int,
    bounds: Sequence[Bound],
    owners: dict[int, int],
    leaves: Sequence[Leaf],
    groups: Sequence[Mapping[int, int]],
    result: Attached,
) -> list[int]:
    """Return the jobs that a value holds for."""
    compatible = [i for i, leaf in enumerate(leaves) if leaf.kind in bound.paths]
    if len(compatible) == 1:
        return compatible

    def has_own(job: int) -> bool:
        path = bound.paths[leaves[job].kind]
        return any(
            owners.get(k) == job and b.paths.get(leaves[job].kind) == path
            for k, b in enumerate(bounds)
            if b is not bound
        )

    free = [i for i in compatible if i == owner or not has_own(i)]
    behind_for = addressed(scene, bound)
    if any(m in behind_for for m in leaves[owner].mentions) and not any(
        m in behind_for
        for i, leaf in enumerate(leaves)
        if i != owner
        for m in leaf.mentions
    ):
        named_by = [set(g) for g in groups if owner in g]
        inside = [m for g in groups if owner in g for m in g.values()]
        if not named_by or not any(
            m in range(behind_for.start, behind_for.stop + 4) for m in inside
        ):
            return [owner]
    here = {
        i
        for i in compatible
        if any(scene.sentence(m) == scene.sentence(bound.at) for m in leaves[i].mentions)
    }
    if distributes(scene, bound, bounds, alone=not here) or (
        not here and sentence_is_for_all(scene, bound)
    ):
        lists = [
            set(g) for g in groups if owner in g and _outside(bound, owner, g, leaves)
        ]
        listed = lists[0] if lists else here
        if not here and counts_all(scene, bound, len(compatible)):
            listed = set(compatible)
        scope = (listed if len(listed) > 1 else set(free)) - _excepted(
            scene, bound, leaves
        )
        if owner not in scope and scope:
            return [i for i in free if i in scope]
        return [i for i in free if i in scope or i == owner]
    for group in groups:
        if owner in group and _outside(bound, owner, group, leaves):
            return [i for i in free if i in group]
    if _opened_before(scene, bound.at) is not None and here:
        return [owner]
    if not here and not bound.removes:
        return _trailing(scene, bound, owner, free, leaves, groups, result)
    return [owner]


def _excepted(scene: Scene, bound: Bound, leaves: Sequence[Leaf]) -> set[int]:
    """Return the jobs that the sentence leaves out: "all with SCIP except c.mps"."""
    names = {
        by.removeprefix("left out: ")
        for token, by in scene.used.items()
        if by.startswith("left out: ")
        and scene.sentence(token) == scene.sentence(bound.at)
    }
    return {i for i, leaf in enumerate(leaves) if names & set(leaf.files.values())}


def _outside(
    bound: Bound, owner: int, group: Mapping[int, int], leaves: Sequence[Leaf]
) -> bool:
    """Return whether a value stands outside a list of names, and belongs to that list."""
    nearest = min(leaves[owner].mentions, key=lambda m: abs(m - bound.at))
    inside = min(group.values()) < bound.at < max(group.values())
    return nearest == group[owner] and not inside


def _trailing(
    scene: Scene,
    bound: Bound,
    owner: int,
    free: Sequence[int],
    leaves: Sequence[Leaf],
    groups: Sequence[Mapping[int, int]],
    result: Attached,
) -> list[int]:
    """Decide for a value in a sentence that names no job: all jobs, or the nearest one."""
    sentence = scene.sentence(bound.at)
    sentences = {scene.sentence(m) for i in free for m in leaves[i].mentions}
    before = [s for s in sentences if s < sentence]
    together = any(set(free) <= set(group) for group in groups)
    if len(free) == 1:
        return [owner]
    if together or not before:
        return list(free)
    last = {
        i
        for i in free
        if any(scene.sentence(m) == max(before) for m in leaves[i].mentions)
    }
    starts = next(t for t in range(len(scene.tokens)) if scene.sentence(t) == sentence)
    pronoun = scene.word(starts) in ("it", "this", "that", "its", "there") or any(
        phrase.mark("pronoun", "then") and scene.sentence(phrase.start) == sentence
        for phrase in scene.items
    )
    if pronoun and len(last) == 1:
        return list(last)
    if len(last) > 1 or (max(before) == sentence - 1 and len(sentences) > 1):
        return sorted(last) if len(last) > 1 else [owner]
    names = [next(iter(leaves[i].files.values()), leaves[i].kind) for i in free]
    words = scene.words(
        bound.at, bound.at + 1 if bound.quantity is None else bound.quantity.end
    )
    result.doubts.append(
        Doubt(
            about=f"scope.{bound.paths[leaves[owner].kind]}",
            text=f"Does “{words}” hold for every job, or only for one?",
            options=("every job", *names[:4]),
            tokens=bound.tokens[:1],
            rank=3,
        )
    )
    return list(free)
