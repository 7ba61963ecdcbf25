"""Is a graph that was read the one that the marks say? Values are compared by their words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from search.domains.plan.reading.graphs.types import ReadGraph, ReadJob, ReadValue, Words
from workers.corpus.goals.judge import same
from workers.corpus.goals.references import schema_default, written_out
from workers.train.plan.graph_oracle import NUMERAL, Row, oracle, reduced_pairs


def faults(row: Row, got: ReadGraph | None) -> list[str]:
    """Return how a graph differs from a goal's marks; empty: it is the same.

    As the judge of plans: names of jobs and defaults do not count, what may stay unset may be
    missing, spans agree if they have the same numerals, or overlap where they have none.
    """
    want = oracle(row)
    if want is None:
        raise ValueError(f"{row['id']}: expected a marked goal")
    if got is None:
        return ["nothing was read"]
    text = row["goal"]
    pairs = _pairs(text, want, got)
    found = [
        f"no job {i} ({want.jobs[i].kind})"
        for i in range(len(want.jobs))
        if i not in pairs
    ]
    found += [
        f"job {j} ({got.jobs[j].kind}) is not in the goal"
        for j in range(len(got.jobs))
        if j not in pairs.values()
    ]
    maybe = _maybe(row)
    for i, j in pairs.items():
        found += _differences(text, want.jobs[i], got.jobs[j], pairs, maybe)
    edges = [reduced_pairs(graph.order | _flow(graph)) for graph in (want, got)]
    moved = {(pairs.get(a, -1), pairs.get(b, -1)) for a, b in edges[0]}
    found += [f"order {a}>{b}" for a, b in moved ^ edges[1]]
    found += [
        f"not named: {part.tag}"
        for part in want.not_done
        if not any(
            _overlap(a, b) for a in part.words for p in got.not_done for b in p.words
        )
    ]
    if set(want.asks) != set(got.asks):
        found.append(f"asks {sorted(got.asks)} instead of {sorted(want.asks)}")
    return found


def _maybe(row: Row) -> dict[tuple[str, str], Sequence[Any]]:
    """Return the values of which any is right, by kind and path."""
    return {
        (job["kind"], written_out(job["kind"], path)): values
        for job in row["jobs"]
        for path, values in job.get("any_of", {}).items()
    }


def _flow(graph: ReadGraph) -> set[tuple[int, int]]:
    return {
        (parent, child)
        for child, job in enumerate(graph.jobs)
        for parent, _ in job.outputs.values()
    }


def _pairs(text: str, want: ReadGraph, got: ReadGraph) -> dict[int, int]:
    weights = np.array(
        [[_alike(text, a, b) for b in got.jobs] for a in want.jobs]
    ).reshape(len(want.jobs), len(got.jobs))
    if not weights.size:
        return {}
    rows, columns = linear_sum_assignment(weights, maximize=True)
    return {
        int(i): int(j) for i, j in zip(rows, columns, strict=True) if weights[i, j] > 0
    }


def _alike(text: str, one: ReadJob, other: ReadJob) -> float:
    if one.kind != other.kind:
        return 0.0
    there = {value.path: value for value in other.values}
    agreed = sum(
        value.path in there and _same(text, value, there[value.path])
        for value in one.values
    )
    agreed += 2 * sum(other.files.get(name) == file for name, file in one.files.items())
    return 1 + agreed - 0.1 * len(other.values)


def _differences(
    text: str,
    want: ReadJob,
    got: ReadJob,
    pairs: dict[int, int],
    maybe: dict[tuple[str, str], Sequence[Any]],
) -> list[str]:
    found = []
    here = {v.path: v for v in want.values}
    there = {v.path: v for v in got.values}
    for path in sorted({*here, *there}):
        a, b = here.get(path), there.get(path)
        free = maybe.get((want.kind, path), ())
        if a is not None and b is not None and _same(text, a, b):
            continue
        if a is not None and b is None and (_unset(want.kind, a) or None in free):
            continue
        if a is None and b is not None and (_unset(want.kind, b) or free):
            continue
        found.append(f"{path}: {_shown(text, a)} was read as {_shown(text, b)}")
    if dict(want.files) != dict(got.files):
        found.append(f"files {dict(got.files)} instead of {dict(want.files)}")
    outputs = {n: (pairs.get(k), out) for n, (k, out) in want.outputs.items()}
    if outputs != dict(got.outputs):
        found.append(f"outputs {dict(got.outputs)} instead of {outputs}")
    return found


def _unset(kind: str, value: ReadValue) -> bool:
    if not value.closed:
        return False
    try:
        return any(
            same(value.path, d, value.value) for d in schema_default(kind, value.path)
        )
    except ValueError:
        return False


def _shown(text: str, value: ReadValue | None) -> str:
    if value is None:
        return "nothing"
    said = "|".join(text[w.start : w.end] for w in value.words)
    if value.closed:
        return f"{value.value!r} ({said})"
    return f"{value.operator} {value.argument} ({said})" if value.operator else repr(said)


def _same(text: str, one: ReadValue, other: ReadValue) -> bool:
    if one.closed != other.closed or one.operator is not other.operator:
        return False
    if one.closed:
        return same(one.path, one.value, other.value)
    if one.operator is not None:
        return math.isclose(one.argument, other.argument)
    a, b = _numerals(text, one.words), _numerals(text, other.words)
    if a or b:
        return a == b
    return any(_overlap(x, y) for x in one.words for y in other.words)


def _numerals(text: str, words: Sequence[Words]) -> set[int]:
    """Return the places of the numerals in some words; those of the articles do not count."""
    places = set()
    for each in words:
        for match in NUMERAL.finditer(text, each.start, each.end):
            if match[0].lower() not in ("a", "an"):
                places.add(match.start())
    return places


def _overlap(one: Words, other: Words) -> bool:
    return one.start < other.end and other.start < one.end
