"""Further runs of one subject: "the same again but on twice as many cards", "once more with RINS".

A further run is a job of its own. It has the file and the values of the run that it repeats, but
for what the goal states anew.
"""

from __future__ import annotations

from collections.abc import Sequence

from search.domains.plan.reading.attach import Attached
from search.domains.plan.reading.jobs.leaf import Found, Leaf
from search.domains.plan.reading.lexicon import Phrase, Role
from search.domains.plan.reading.scene import Scene

_CLAUSE = 4.0  # less than a "then" or the end of a sentence
_FREQUENCIES = ("spec.bands", "spec.avoid", "_bandwidth")
# File that an output of an earlier run can take the place of.
_MAIN_FILE = {"compile": "source"}


def further_runs(scene: Scene, found: Found) -> None:
    """Add a job for each further run that the goal asks for and that differs from the first."""
    for mark in scene.marks("rerun"):
        base = _repeated(scene, found.leaves, mark)
        if base is None or not _differs(scene, mark):
            continue
        start = _start_of_clause(scene, mark)
        leaf = found.leaves[base]
        own = [m for m in leaf.mentions if start <= m <= mark.end + 4]
        if len(own) == len(leaf.mentions):
            continue  # "run x.lp again": there is no earlier run in this goal
        leaf.mentions = [m for m in leaf.mentions if m not in own]
        files, takes = dict(leaf.files), _output(scene, mark, leaf.kind)
        found.leaves.append(
            Leaf(
                kind=leaf.kind,
                files=files,
                mentions=sorted({*own, mark.start}),
                named=leaf.named,
                base=base,
                takes=takes,
            )
        )
        scene.use(range(mark.start, mark.end), "a further run")


def _repeated(scene: Scene, leaves: Sequence[Leaf], mark: Phrase) -> int | None:
    """Return the job that a further run repeats: one named beside it, or the last one before."""
    start = _start_of_clause(scene, mark)
    here = [
        (m, i)
        for i, leaf in enumerate(leaves)
        for m in leaf.mentions
        if start <= m <= mark.end + 4
        and scene.sentence(m) == scene.sentence(mark.start)
        and any(other < start for other in leaf.mentions)
    ]
    if here:
        return min(here, key=lambda row: abs(row[0] - mark.start))[1]
    if any(start <= m < mark.end + 4 for leaf in leaves for m in leaf.mentions):
        return None  # another file is named there: a job that is there already
    before = [
        (m, i) for i, leaf in enumerate(leaves) for m in leaf.mentions if m < mark.start
    ]
    last = max(before)[1] if before else None
    if last is not None and leaves[last].base is not None and _says_first(scene, mark):
        return leaves[last].base
    return last


def _says_first(scene: Scene, mark: Phrase) -> bool:
    return any(scene.word(i) == "first" for i in range(mark.start - 4, mark.start))


def _start_of_clause(scene: Scene, mark: Phrase) -> int:
    """Return where the clause of a mark begins: behind a "then", a comma or a sentence."""
    start = mark.start
    while start > 0 and not scene.ends_sentence(start - 1):
        if (
            any(phrase.start == start and phrase.mark("then") for phrase in scene.items)
            and start < mark.start
        ):
            return start
        if scene.word(start - 1) == "," and mark.start - start >= 2:
            return start
        start -= 1
    return start


def _differs(scene: Scene, mark: Phrase) -> bool:
    """Return whether the words around a further run state something for it."""
    start, end = _start_of_clause(scene, mark), mark.end
    while end < len(scene.tokens) and not scene.ends_sentence(end):
        end += 1
    low = mark.start - 6
    roles = (Role.VALUE, Role.RELATION, Role.CONSUMER, Role.OUTPUT)
    stated = any(
        max(start, low) <= phrase.start < end and phrase.of(*roles)
        for phrase in scene.items
        if phrase.start not in range(mark.start, mark.end)
        and scene.used.get(phrase.start) is None
    )
    return stated or any(
        (mark.end <= q.start < end) and (q.units or q.exact) for q in scene.quantities
    )


def _output(scene: Scene, mark: Phrase, kind: str) -> str:
    """Return the output of the earlier run that the further one starts from, as its main file."""
    if kind not in _MAIN_FILE:
        return ""
    sentence = scene.sentence(mark.start)
    for phrase in scene.with_role(Role.OUTPUT):
        for sense in phrase.of(Role.OUTPUT):
            if sense.kind == kind and scene.sentence(phrase.start) == sentence:
                scene.use(range(phrase.start, phrase.end), "output")
                return sense.path
    return ""


def main_file(kind: str) -> str:
    """Return the field of a kind's main file that an output can take the place of."""
    return _MAIN_FILE[kind]


def inherit(leaves: Sequence[Leaf], attached: Attached) -> None:
    """Give each further run what it does not state anew."""
    for i, leaf in enumerate(leaves):
        if leaf.base is None:
            continue
        own = {b.paths[leaf.kind] for b in attached.bounds[i] if leaf.kind in b.paths}
        without = any(
            b.paths.get(leaf.kind) == "spec.lns.enabled"
            and b.values[leaf.kind][0] is False
            for b in attached.bounds[i]
        )
        banded = any(path.startswith(_FREQUENCIES) for path in own - {"_bandwidth"})
        attached.bounds[i] += [
            b
            for b in attached.bounds[leaf.base]
            if (path := b.paths.get(leaf.kind)) is not None
            and path not in own
            and not (banded and path.startswith(_FREQUENCIES))
            and not (without and path.startswith("spec.lns."))
            and b not in attached.bounds[i]
        ]
