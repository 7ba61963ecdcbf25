"""Files that one job makes and another reads."""

from __future__ import annotations

from collections.abc import Sequence

from search.domains.plan.reading.drafting.draft import Draft
from search.domains.plan.reading.lexicon import Phrase, Role, Sense
from search.domains.plan.reading.ordering.edge import Edge, own_place_of
from search.domains.plan.reading.rounds import main_file
from search.domains.plan.reading.scene import Scene

_STARTS = frozenset(("starting", "hint", "warmstart", "initial", "warm", "mip"))
_PRONOUNS_OF_RESULTS = frozenset(
    ("it", "that", "whatever", "this", "its", "which", "them")
)

_FROM = frozenset(("from", "off", "into", "using"))
_WHOSE = frozenset(("its", "that", "the", "this", "his", "their", "first", "previous"))


def _reading(parent: int, child: int, output: str, tokens: tuple[int, ...]) -> Edge:
    """Return the order of a job that makes a file and one that reads it."""
    return Edge(
        parent=parent,
        child=child,
        needs_success=True,
        why=f"reads {output}",
        tokens=tokens,
    )


def taken_files(jobs: Sequence[Draft]) -> list[Edge]:
    """Let a further run read the file that the run before it leaves: "squeeze that once more"."""
    edges = []
    for child, job in enumerate(jobs):
        makers = [i for i, other in enumerate(jobs) if other.leaf == job.base]
        if not job.takes or not makers:
            continue
        field_name = main_file(job.kind)
        job.files.pop(field_name, None)
        job.outputs[field_name] = (makers[-1], job.takes)
        edges.append(_reading(makers[-1], child, job.takes, tuple(job.mentions[-1:])))
    return edges


def handed_on(scene: Scene, jobs: Sequence[Draft]) -> list[Edge]:
    """Find "use its solution as start": an output of an earlier job, read by a later one."""
    edges = []
    for phrase in scene.with_role(Role.OUTPUT):
        for sense in phrase.of(Role.OUTPUT):
            owner = _maker(scene, phrase, sense.kind, jobs)
            consumer = _consumer(
                scene, phrase, sense.kind, named=owner is not None
            ) or _implied_start(scene, phrase, sense.path)
            if consumer is None:
                continue
            pair = (
                owner
                or _further_run(scene, phrase, sense.kind, jobs)
                or _pair(scene, phrase, sense.kind, jobs)
            )
            if pair is None:
                continue
            parent, child = pair
            field_name = consumer.of(Role.CONSUMER)[0].path
            if field_name in jobs[child].files:
                continue
            jobs[child].outputs[field_name] = (parent, sense.path)
            tokens = tuple(range(phrase.start, phrase.end))
            scene.use(tokens, "output")
            scene.use(range(consumer.start, consumer.end), "output")
            edges.append(_reading(parent, child, sense.path, tokens))
            break
    return edges or _starts_of(scene, jobs)


def _starts_of(scene: Scene, jobs: Sequence[Draft]) -> list[Edge]:
    """Find "pass it on to SCIP as a starting point": the output is named by a pronoun only."""
    for phrase in scene.with_role(Role.CONSUMER):
        sense = phrase.of(Role.CONSUMER)[0]
        words = {scene.word(i) for i in range(phrase.start, phrase.end)}
        sentence = list(scene.in_sentence(scene.sentence(phrase.start)))
        spoken = {scene.word(i) for i in sentence}
        if (
            not words & _STARTS
            or not spoken & _PRONOUNS_OF_RESULTS
            or phrase.start in scene.used
        ):
            continue
        pair = _pair(scene, phrase, sense.kind, jobs)
        if pair is None or sense.path in jobs[pair[1]].files:
            continue
        jobs[pair[1]].outputs[sense.path] = (pair[0], "solution.sol")
        tokens = tuple(range(phrase.start, phrase.end))
        scene.use(tokens, "output")
        return [_reading(pair[0], pair[1], "solution.sol", tokens)]
    return []


def _maker(
    scene: Scene, output: Phrase, kind: str, jobs: Sequence[Draft]
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


def _consumer(scene: Scene, output: Phrase, kind: str, *, named: bool) -> Phrase | None:
    """Return the phrase that says what an output is used for, in the same sentence."""
    near = [
        phrase
        for phrase in scene.with_role(Role.CONSUMER)
        if any(s.kind == kind for s in phrase.of(Role.CONSUMER))
        and scene.sentence(phrase.start) == scene.sentence(output.start)
        and abs(phrase.start - output.start) <= 12
        and phrase.start != output.start
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
    return min(near, key=lambda phrase: abs(phrase.start - output.start), default=None)


def _further_run(
    scene: Scene, output: Phrase, kind: str, jobs: Sequence[Draft]
) -> tuple[int, int] | None:
    """Return (first run, further run) for "rerun it from its solution"."""
    for child, job in enumerate(jobs):
        makers = [i for i, other in enumerate(jobs) if other.leaf == job.base]
        near = any(
            abs(output.start - m) <= 8
            and scene.sentence(m) == scene.sentence(output.start)
            for m in job.mentions
        )
        if makers and near and job.kind == kind:
            return makers[-1], child
    return None


def _implied_start(scene: Scene, output: Phrase, name: str) -> Phrase | None:
    """Return the word that makes a solution a start: "rerun it from its solution"."""
    if name != "solution.sol":
        return None
    if scene.used.get(output.start, "").startswith("not done"):
        return None
    places = list(range(max(0, output.start - 4), output.start))
    if scene.word(output.end) == "into":
        places.append(output.end)  # "its .sol into x.lp"
    for i in places:
        of_run = {
            scene.word(t) for t in range(min(i + 1, output.start - 3), output.start)
        } & _WHOSE
        if scene.word(i) in _FROM and of_run and not scene.ends_sentence(i):
            sense = Sense(role=Role.CONSUMER, kind="ilp", path="warm_start")
            return Phrase(start=i, end=i + 1, senses=(sense,))
    return None


def _pair(
    scene: Scene, output: Phrase, kind: str, jobs: Sequence[Draft]
) -> tuple[int, int] | None:
    """Return (maker, reader): the job spoken of before the output, and the one it is for."""
    same = [i for i, job in enumerate(jobs) if job.kind == kind]
    if len(same) < 2:
        return None
    places = {i: own_place_of(jobs[i], jobs) for i in same}
    before = [i for i in same if places[i] < output.start]
    after = [i for i in same if places[i] > output.start]
    ordered = sorted(same, key=lambda i: places[i])
    here = [
        i
        for i in before
        if output.start - places[i] <= 5 and scene.crossing(places[i], output.start) < 1.0
    ]
    if len(here) == 1 and len(before) >= 2:
        return ordered[len(before) - 2], here[0]  # "2. grid.lp from the solution of 1"
    if before and after:
        return max(before, key=lambda i: places[i]), min(after, key=lambda i: places[i])
    if not after and len(before) >= 2:
        # "then start SCIP from its solution": the reader is named in front of the output.
        return ordered[-2], ordered[-1]
    return None
