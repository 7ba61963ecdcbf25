"""Goals as examples of the graph reader, changed in ways that keep the reference right."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from search.domains.plan.reading.graphs.grammar import (
    MAX_JOBS,
    MAX_STEPS,
    Act,
    Labels,
    Sort,
    Step,
    linearised,
)
from search.domains.plan.reading.graphs.types import ReadGraph, ReadJob, ReadValue, Words
from search.domains.plan.reading.graphs.words import (
    Coded,
    Pieces,
    coded,
    stem_of,
    words_of,
)
from search.domains.plan.reading.graphs.words import Sort as WordSort
from workers.train.plan.graph_net import Batch

_NUMBERS, _NAMES, _TYPOS, _LOWER, _SPLICED, _MUTED = 0.5, 0.3, 0.3, 0.15, 0.25, 0.1
_JOINERS = (
    " Also: ",
    "\n",
    "\n\n",
    " And another thing: ",
    " Besides, ",
    " ",
    "; ",
    " Second: ",
)
_POLITE = re.compile(
    r"\b(?:please|kindly|thanks(?: in advance)?|thank you|hi all|hello|hi)\b[,.!]? ?",
    re.I,
)


@dataclass(frozen=True, kw_only=True)
class Marked:
    """A goal whose graph is known word by word."""

    id: str
    author: str
    stratum: str
    text: str
    files: tuple[str, ...]
    graph: ReadGraph


@dataclass(frozen=True, kw_only=True)
class Example:
    """A goal as the network takes it."""

    coded: Coded
    steps: tuple[Step, ...]


@dataclass(frozen=True, kw_only=True)
class Edit:
    """Replacement of `text[start:end]`."""

    start: int
    end: int
    text: str


def example_of(goal: Marked, pieces: Pieces, labels: Labels) -> Example | None:
    """Return a goal as it is; None if it is too long or needs a label that is not there."""
    row = coded(goal.text, goal.files, pieces)
    if row is None:
        return None
    steps = linearised(goal.graph, row, labels)
    if steps is None or len(steps) > MAX_STEPS:
        return None
    return Example(coded=row, steps=tuple(steps))


def changed(goal: Marked, others: Sequence[Marked], rng: np.random.Generator) -> Marked:
    """Return a goal with other names, numbers, errors of typing, or another goal behind it."""
    if rng.random() < _SPLICED:
        goal = _spliced(goal, others[int(rng.integers(len(others)))], rng)
    if rng.random() < _NAMES and goal.files:
        goal = _renamed(goal, others, rng)
    edits: list[Edit] = []
    if rng.random() < _NUMBERS:
        edits += _other_numbers(goal, rng)
    if rng.random() < _TYPOS:
        edits += _typos(goal, rng)
    if rng.random() < 0.1:
        edits += [
            Edit(start=m.start(), end=m.end(), text="")
            for m in _POLITE.finditer(goal.text)
            if not _touches(goal, m.start(), m.end())
        ]
    goal = edited(goal, edits)
    if rng.random() < _LOWER:
        goal = replace(goal, text=_lower(goal.text))
    return goal


def _lower(text: str) -> str:
    low = text.lower()
    return low if len(low) == len(text) else text


def edited(goal: Marked, edits: Sequence[Edit]) -> Marked:
    """Return a goal after replacements, its words where they are now; without overlaps."""
    kept: list[Edit] = []
    for edit in sorted(edits, key=lambda e: e.start):
        if not kept or edit.start >= kept[-1].end:
            kept.append(edit)
    text, at = [], 0
    for edit in kept:
        text += [goal.text[at : edit.start], edit.text]
        at = edit.end
    text.append(goal.text[at:])

    def place(x: int, *, last: bool) -> int:
        moved = 0
        for edit in kept:
            if edit.start >= x:
                break
            if edit.end > x or (edit.end == x and last):
                return edit.start + moved + (len(edit.text) if last else 0)
            moved += len(edit.text) - (edit.end - edit.start)
        return x + moved

    def words(each: Words) -> Words:
        return Words(start=place(each.start, last=False), end=place(each.end, last=True))

    return replace(goal, text="".join(text), graph=mapped(goal.graph, words))


def mapped(
    graph: ReadGraph,
    words: Callable[[Words], Words],
    names: Mapping[str, str] | None = None,
) -> ReadGraph:
    """Return a graph with words and names of files replaced."""

    def value(each: ReadValue) -> ReadValue:
        return replace(each, words=tuple(words(w) for w in each.words))

    def job(each: ReadJob) -> ReadJob:
        files = {f: (names or {}).get(n, n) for f, n in each.files.items()}
        return replace(each, values=tuple(map(value, each.values)), files=files)

    return replace(
        graph,
        jobs=tuple(map(job, graph.jobs)),
        not_done=tuple(
            replace(part, words=tuple(words(w) for w in part.words))
            for part in graph.not_done
        ),
    )


def _spans(goal: Marked) -> list[Words]:
    spans = [w for job in goal.graph.jobs for v in job.values for w in v.words]
    return spans + [w for part in goal.graph.not_done for w in part.words]


def _touches(goal: Marked, start: int, end: int) -> bool:
    return any(w.start < end and start < w.end for w in _spans(goal))


def _closed(goal: Marked, start: int, end: int) -> bool:
    """Return whether words state a value of a closed set, which a change may make another."""
    return any(
        w.start < end and start < w.end
        for job in goal.graph.jobs
        for v in job.values
        if v.closed
        for w in v.words
    )


def _other_numbers(goal: Marked, rng: np.random.Generator) -> list[Edit]:
    """Return edits that change digits but the first of each number; equal numbers stay equal."""
    new: dict[str, str] = {}
    edits = []
    for word in words_of(goal.text, goal.files):
        if word.sort is not WordSort.NUMBER or _closed(goal, word.start, word.end):
            continue
        if word.text not in new:
            new[word.text] = _other_number(word.text, rng)
        edits.append(Edit(start=word.start, end=word.end, text=new[word.text]))
    return edits


def _other_number(text: str, rng: np.random.Generator) -> str:
    if re.fullmatch(r"[1-9]", text):
        return str(int(rng.integers(2, 10))) if text != "1" else text
    if not re.fullmatch(r"\d+(?:[.,]\d+)*", text) or text[0] == "0":
        return text
    digits = [
        str(int(rng.integers(0, 10)))
        if c.isdigit() and c != "0" and rng.random() < 0.5
        else c
        for c in text[1:]
    ]
    return text[0] + "".join(digits)


def _typos(goal: Marked, rng: np.random.Generator) -> list[Edit]:
    """Return errors of typing in some longer words."""
    edits = []
    for word in words_of(goal.text, goal.files):
        if word.sort is not WordSort.WORD or len(word.text) < 5 or rng.random() > 0.06:
            continue
        if "_" in word.text or any(c.isdigit() for c in word.text):
            continue
        i = int(rng.integers(1, len(word.text) - 2))
        t = word.text
        wrong = (
            t[:i] + t[i + 1] + t[i] + t[i + 2 :],
            t[:i] + t[i + 1 :],
            t[:i] + t[i] + t[i:],
        )[int(rng.integers(3))]
        edits.append(Edit(start=word.start, end=word.end, text=wrong))
    return edits


def _renamed(goal: Marked, others: Sequence[Marked], rng: np.random.Generator) -> Marked:
    """Return a goal whose files have the stems of another goal's, where nothing tells of them."""
    pool = [
        stem_of(n)
        for k in rng.integers(len(others), size=6)
        for n in others[int(k)].files
    ]
    names: dict[str, str] = {}
    for name in goal.files:
        stem = stem_of(name)
        free = [
            p
            for p in pool
            if p not in {stem_of(n) for n in (*goal.files, *names.values())}
        ]
        pattern = re.compile(rf"(?<!\w){re.escape(stem)}(?!\w)", re.I)
        whole = len(re.findall(re.escape(name), goal.text, re.I))
        if free and whole and len(pattern.findall(goal.text)) == whole:
            names[name] = free[0] + name[len(stem) :]
    if not names:
        return goal
    edits = [
        Edit(start=word.start, end=word.end, text=names[goal.files[word.file]])
        for word in words_of(goal.text, goal.files)
        if word.sort is WordSort.FILE and goal.files[word.file] in names
    ]
    goal = replace(goal, graph=mapped(goal.graph, lambda w: w, names))
    goal = edited(goal, edits)
    return replace(goal, files=tuple(names.get(n, n) for n in goal.files))


def _spliced(goal: Marked, other: Marked, rng: np.random.Generator) -> Marked:
    """Return two goals in one text; goals that share files or say too much stay alone."""
    both = len(goal.graph.jobs) + len(other.graph.jobs)
    if (
        both > MAX_JOBS - 3
        or {stem_of(n) for n in goal.files} & {stem_of(n) for n in other.files}
        or len(goal.text) + len(other.text) > 700
        or not other.graph.jobs
        or not goal.graph.jobs
        or goal.graph.asks
        or other.graph.asks
        or _unfiled(goal)
        or _unfiled(other)
    ):
        return goal
    joiner = _JOINERS[int(rng.integers(len(_JOINERS)))]
    shift = len(goal.text) + len(joiner)
    moved = mapped(other.graph, lambda w: Words(start=w.start + shift, end=w.end + shift))
    count = len(goal.graph.jobs)
    jobs = [
        replace(
            job,
            values=tuple(
                replace(v, of=None if v.of is None else v.of + count) for v in job.values
            ),
            outputs={n: (k + count, out) for n, (k, out) in job.outputs.items()},
        )
        for job in moved.jobs
    ]
    order = {(a + count, b + count) for a, b in moved.order}
    return replace(
        goal,
        text=goal.text + joiner + other.text,
        files=goal.files + other.files,
        graph=replace(
            goal.graph,
            jobs=(*goal.graph.jobs, *jobs),
            order=goal.graph.order | order,
            not_done=(*goal.graph.not_done, *moved.not_done),
        ),
    )


def _unfiled(goal: Marked) -> bool:
    """Return whether a file is attached that no job takes or the text does not name."""
    text = goal.text.lower()
    return any(name.lower() not in text for name in goal.files)


def weights_of(rows: Sequence[Example]) -> np.ndarray:
    """Return how often to draw each example: more where it has a rare label, at most threefold."""
    counts = Counter(s.at for row in rows for s in row.steps if s.act is Act.LABEL)
    rarest = np.array(
        [min(counts[s.at] for s in row.steps if s.act is Act.LABEL) for row in rows]
    )
    found: np.ndarray = np.clip((40 / rarest) ** 0.5, 1.0, 3.0)
    return found


def muted(example: Example, rng: np.random.Generator, unknown: int = 100) -> Example:
    """Return an example with some pieces hidden."""
    ids = [unknown if i > 999 and rng.random() < _MUTED else i for i in example.coded.ids]
    return replace(example, coded=replace(example.coded, ids=tuple(ids)))


def batch_of(rows: Sequence[Example], labels: Labels) -> Batch:
    """Return examples side by side, padded."""
    b = len(rows)
    p = max(len(row.coded.ids) for row in rows)
    w = max(len(row.coded.at) for row in rows)
    t = max(len(row.steps) for row in rows)
    whole = {"dtype": torch.long}
    batch = Batch(
        ids=torch.zeros(b, p, **whole),
        signs=torch.zeros(b, p, 4, **whole),
        at=torch.zeros(b, w, **whole),
        words=torch.zeros(b, **whole),
        files=torch.zeros(b, **whole),
        act=torch.full((b, t), -1, **whole),
        label=torch.zeros(b, t, **whole),
        last=torch.zeros(b, t, **whole),
        job=torch.zeros(b, t, **whole),
        since=torch.full((b, t), -1, **whole),
        used=torch.zeros(b, t, w, **whole),
    )
    for i, row in enumerate(rows):
        c, n = row.coded, len(row.steps)
        batch.ids[i, : len(c.ids)] = torch.tensor(c.ids)
        batch.signs[i, : len(c.ids)] = torch.tensor(c.signs)
        batch.at[i, : len(c.at)] = torch.tensor(c.at)
        batch.words[i], batch.files[i] = len(c.words), len(c.files)
        batch.act[i, :n] = torch.tensor([int(s.act) for s in row.steps])
        batch.label[i, :n] = torch.tensor([s.at for s in row.steps])
        batch.last[i, :n] = torch.tensor([max(s.last, 0) for s in row.steps])
        _history(batch, i, row, labels, w)
    return batch


def _history(batch: Batch, i: int, row: Example, labels: Labels, w: int) -> None:
    """Write which words the steps before each have used, and in how many jobs."""
    job, since = 0, -1
    here, before = np.zeros(w, dtype=np.int64), np.zeros(w, dtype=np.int64)
    for t, step in enumerate(row.steps):
        batch.job[i, t], batch.since[i, t] = job, since
        batch.used[i, t] = torch.from_numpy(here + 2 * before)
        if step.act is Act.WORDS:
            here[step.at : step.last + 1] = 1
            since = step.last
        elif step.act is Act.LABEL and labels.sorts[step.at] == Sort.JOB:
            job, since = job + 1, -1
            before = np.maximum(before, here)
            here = np.zeros_like(here)
