"""Edges of the jobs of a goal, without those that follow from others."""

from __future__ import annotations

from collections.abc import Sequence

from search.domains.plan.reading.drafting.draft import Draft
from search.domains.plan.reading.ordering.clauses import after_and_before, last_jobs
from search.domains.plan.reading.ordering.doubtful import in_sequence
from search.domains.plan.reading.ordering.edge import Edge
from search.domains.plan.reading.ordering.outputs import handed_on, taken_files
from search.domains.plan.reading.ordering.sequence import sequence
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.stems import vocabulary


def edges_of(
    scene: Scene, jobs: Sequence[Draft], conditions: Sequence[int]
) -> list[Edge]:
    """Return the order that the goal states, without what follows from the rest.

    `conditions` are first tokens of clauses "if it takes less than a minute": what they speak of
    comes first.
    """
    edges: list[Edge] = []
    edges += taken_files(jobs)
    edges += handed_on(scene, jobs)
    if not scene.marks("unordered") or _partly_ordered(scene, jobs):
        edges += sequence(scene, jobs, conditions)
    for phrase in scene.marks("parallel", "unordered"):
        scene.use(range(phrase.start, phrase.end), "order")
    edges += after_and_before(scene, jobs)
    edges += last_jobs(scene, jobs)
    edges += in_sequence(scene, jobs)
    return _reduced(edges, len(jobs))


def _partly_ordered(scene: Scene, jobs: Sequence[Draft]) -> bool:
    """Return whether "side by side" holds for some of the jobs only.

    "Only after that one has ended, b.lp and c.lp, those two side by side."
    """
    after = vocabulary("after once finished done ended when completed over through")
    waits = any(
        scene.word(i) in after
        for mark in scene.marks("then", "after")
        for i in range(mark.start, mark.end + 6)
    )
    general = any(
        scene.word(mark.end - 1) in ("order", "matter", "sequential", "other", "wait")
        for mark in scene.marks("unordered")
    )
    return len(jobs) >= 3 and waits and not general


def _reduced(edges: Sequence[Edge], count: int) -> list[Edge]:
    """Drop edges that follow from others, and those that would close a circle."""
    reduced: list[Edge] = []
    for edge in sorted(edges, key=lambda e: not e.needs_success):
        if edge.parent == edge.child or any(
            (e.parent, e.child) == (edge.parent, edge.child) for e in reduced
        ):
            continue
        if not _reaches(reduced, edge.child, edge.parent, count):
            reduced.append(edge)
    return [
        edge
        for edge in reduced
        if edge.needs_success
        or not _reaches(
            [e for e in reduced if e is not edge], edge.parent, edge.child, count
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
