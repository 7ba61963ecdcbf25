"""The language of job graphs: what may follow what, and the graph that a sequence of steps says.

    graph  = job* part* ask* end
    job    = JOB:kind file* output* after* same? value* implied*
    file   = FILE k, file:field
    output = REF d, out:field<-name         (job d before this one makes it)
    after  = REF d, after
    same   = REF d, same                    (all values of that job, then the differences)
    value  = WORDS+ (REF d, op:how)? path   or  WORDS+ path=value
    implied = (REF d, op:how path) or path=value
    part   = WORDS+ notdone:tag
    ask    = ask:tag

WORDS, FILE and `path` are pointers and labels of one softmax. Values stand in the order of the
text, so that a job is one pass over the words.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.domains.plan.reading.graphs.types import (
    Operator,
    ReadGraph,
    ReadJob,
    ReadPart,
    ReadValue,
    Words,
)
from search.domains.plan.reading.graphs.words import Coded

MAX_JOBS, MAX_STEPS, MAX_SPANS, MAX_SPAN_WORDS = 8, 220, 8, 24


class Sort(IntEnum):
    """Sort of a label."""

    END = 0
    JOB = 1
    FILE = 2
    OUT = 3
    REF = 4
    AFTER = 5
    SAME = 6
    OP = 7
    OPEN = 8
    CLOSED = 9
    PART = 10
    ASK = 11


_PREFIXES = {
    "job:": Sort.JOB,
    "file:": Sort.FILE,
    "out:": Sort.OUT,
    "ref:": Sort.REF,
    "op:": Sort.OP,
    "open:": Sort.OPEN,
    "closed:": Sort.CLOSED,
    "part:": Sort.PART,
    "ask:": Sort.ASK,
}
_WHOLE = {"end": Sort.END, "after": Sort.AFTER, "same": Sort.SAME}


class Act(IntEnum):
    """Sort of a step."""

    LABEL = 0
    WORDS = 1
    FILE = 2


@dataclass(frozen=True, kw_only=True)
class Step:
    """One decision: a label, the words `at` to `last` (both included), or an attached file."""

    act: Act
    at: int  # label, first word, or file
    last: int = -1  # last word


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The closed vocabulary: labels, and the kinds of jobs that each belongs to."""

    names: tuple[str, ...]
    # label → kinds; labels without a row fit every kind
    kinds: Mapping[str, tuple[str, ...]]

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Return the place of each label."""
        return {name: i for i, name in enumerate(self.names)}

    @cached_property
    def sorts(self) -> NDArray[np.int64]:
        """Return the sort of each label, [labels]."""
        return np.array([sort_of(name) for name in self.names])

    @cached_property
    def tails(self) -> tuple[str, ...]:
        """Return what stands behind the prefix of each label."""
        return tuple(name.partition(":")[2] for name in self.names)

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """Return the path that each label sets: field, or path of a value; empty for others."""
        paths = []
        for tail, sort in zip(self.tails, self.sorts, strict=True):
            match sort:
                case Sort.FILE:
                    paths.append(f"spec.{tail}")
                case Sort.OUT:
                    paths.append(f"spec.{tail.partition('<-')[0]}")
                case Sort.OPEN:
                    paths.append(tail)
                case Sort.CLOSED:
                    paths.append(tail.partition("=")[0])
                case _:
                    paths.append("")
        return tuple(paths)

    def of_kind(self, kind: str) -> NDArray[np.bool_]:
        """Return which labels a job of this kind may have, [labels]."""
        if kind not in self._by_kind:
            self._by_kind[kind] = np.array(
                [
                    name not in self.kinds or kind in self.kinds[name]
                    for name in self.names
                ]
            )
        return self._by_kind[kind]

    @cached_property
    def _by_kind(self) -> dict[str, NDArray[np.bool_]]:
        return {}

    @cached_property
    def setting(self) -> Mapping[str, NDArray[np.int64]]:
        """Return the labels that set each path."""
        found: dict[str, list[int]] = {}
        for i, path in enumerate(self.paths):
            found.setdefault(path, []).append(i)
        return {path: np.array(rows) for path, rows in found.items()}

    @cached_property
    def backwards(self) -> NDArray[np.int64]:
        """Return how many jobs back each label refers; beyond any graph for other labels."""
        return np.array(
            [
                int(tail) if sort == Sort.REF else MAX_JOBS + 1
                for tail, sort in zip(self.tails, self.sorts, strict=True)
            ]
        )

    @cached_property
    def by_sort(self) -> Mapping[Sort, NDArray[np.bool_]]:
        """Return which labels are of each sort, [labels]."""
        return {sort: self.sorts == sort for sort in Sort}


def sort_of(label: str) -> Sort:
    """Return the sort of a label. Raises KeyError for one that is none."""
    if label in _WHOLE:
        return _WHOLE[label]
    return _PREFIXES[label.partition(":")[0] + ":"]


def closed_label(path: str, value: Any) -> str:
    """Return the label of a value out of a closed set."""
    return f"closed:{path}={json.dumps(value, sort_keys=True)}"


@dataclass
class _Draft:
    kind: str
    files: dict[str, int] = field(default_factory=dict)
    outputs: dict[str, tuple[int, str]] = field(default_factory=dict)
    values: dict[str, ReadValue] = field(default_factory=dict)
    # paths and fields said for this job itself
    own: set[str] = field(default_factory=set)
    copied: bool = False


class Machine:
    """Reads steps one by one; knows which may come next, and the graph so far."""

    def __init__(self, labels: Labels, coded: Coded) -> None:
        """Begin an empty graph over the words and files of a goal."""
        self._labels, self._coded = labels, coded
        self._jobs: list[_Draft] = []
        self._order: set[tuple[int, int]] = set()
        self._parts: list[ReadPart] = []
        self._asks: list[str] = []
        self._spans: list[Words] = []
        self._file: int | None = None
        self._ref: int | None = None
        self._op: tuple[Operator, float] | None = None
        self._tail = False
        self._log = 0.0  # of the steps of the value that is being said
        self.ended = False

    def copy(self) -> Machine:
        """Return an independent copy."""
        other = Machine(self._labels, self._coded)
        other._jobs = [
            replace(
                job,
                files=dict(job.files),
                outputs=dict(job.outputs),
                values=dict(job.values),
                own=set(job.own),
            )
            for job in self._jobs
        ]
        other._order, other._parts = set(self._order), list(self._parts)
        other._asks, other._spans = list(self._asks), list(self._spans)
        other._file, other._ref, other._op = self._file, self._ref, self._op
        other._tail, other.ended = self._tail, self.ended
        other._log = self._log
        return other

    @property
    def job(self) -> int:
        """Return the number of jobs begun so far."""
        return len(self._jobs)

    def legal(self) -> tuple[NDArray[np.bool_], bool, bool]:
        """Return which labels may follow, [labels], and whether words, and files, may."""
        by = self._labels.by_sort
        none = np.zeros(len(self._labels.names), dtype=bool)
        if self.ended:
            return none, False, False
        job = self._jobs[-1] if self._jobs else None
        if self._file is not None:
            return self._fresh(by[Sort.FILE]), False, False
        if self._op is not None:
            assert self._ref is not None
            known = none.copy()
            for path in self._jobs[self._ref].values:
                known[self._labels.setting[path]] = True
            return self._fresh(by[Sort.OPEN]) & known, False, False
        if self._ref is not None:
            return self._after_reference(), False, False
        more = len(self._spans) < MAX_SPANS
        if self._spans:
            allowed = by[Sort.PART].copy()
            if job is not None and not self._tail:
                allowed |= self._fresh(by[Sort.OPEN] | by[Sort.CLOSED]) | self._earlier()
            return allowed, more, False
        allowed = by[Sort.END] | by[Sort.ASK]
        for tag in self._asks:
            allowed[self._labels.index[f"ask:{tag}"]] = False
        if not self._tail:
            if len(self._jobs) < MAX_JOBS:
                allowed = allowed | by[Sort.JOB]
            if job is not None:
                allowed = allowed | self._fresh(by[Sort.CLOSED]) | self._earlier()
        files = job is not None and not self._tail and bool(self._coded.files)
        return allowed, True, files

    def _earlier(self) -> NDArray[np.bool_]:
        """Return the references to jobs before this one."""
        return self._labels.backwards < len(self._jobs)

    def _after_reference(self) -> NDArray[np.bool_]:
        assert self._ref is not None
        by, job, other = self._labels.by_sort, self._jobs[-1], self._jobs[self._ref]
        allowed = by[Sort.OP].copy()
        if not self._spans:
            allowed = allowed | self._fresh(by[Sort.OUT]) | by[Sort.AFTER]
            if other.kind == job.kind and not job.copied and not job.values:
                allowed = allowed | by[Sort.SAME]
        if other.kind != job.kind or not other.values:
            common = any(not path.startswith("spec.") for path in other.values)
            if not common:
                allowed = allowed & ~by[Sort.OP]
        if not allowed.any():
            allowed = by[Sort.AFTER].copy()
        return allowed

    def _fresh(self, among: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return the labels that fit the job's kind and set nothing that it has said."""
        job = self._jobs[-1]
        allowed: NDArray[np.bool_] = among & self._labels.of_kind(job.kind)
        for path in job.own:
            allowed[self._labels.setting[path]] = False
        return allowed

    def push(self, step: Step, log_probability: float = 0.0) -> None:
        """Take a step, which must be a legal one, with its natural logarithm of probability."""
        self._log += log_probability
        match step.act:
            case Act.WORDS:
                words = self._coded.words
                self._spans.append(
                    Words(start=words[step.at].start, end=words[step.last].end)
                )
            case Act.FILE:
                self._file = step.at
            case Act.LABEL:
                self._label(step.at)
                if self._labels.sorts[step.at] not in (Sort.REF, Sort.OP):
                    self._log = 0.0

    def _label(self, at: int) -> None:
        tail, path = self._labels.tails[at], self._labels.paths[at]
        match Sort(int(self._labels.sorts[at])):
            case Sort.END:
                self.ended = True
            case Sort.JOB:
                self._jobs.append(_Draft(kind=tail))
            case Sort.FILE:
                assert self._file is not None
                self._own(path)
                self._jobs[-1].files[tail] = self._file
                self._file = None
            case Sort.REF:
                self._ref = len(self._jobs) - 1 - int(tail)
            case Sort.OUT:
                assert self._ref is not None
                name, _, output = tail.partition("<-")
                self._own(path)
                self._jobs[-1].outputs[name] = (self._ref, output)
                self._ref = None
            case Sort.AFTER:
                assert self._ref is not None
                self._order.add((self._ref, len(self._jobs) - 1))
                self._ref = None
            case Sort.SAME:
                assert self._ref is not None
                self._jobs[-1].values = dict(self._jobs[self._ref].values)
                self._jobs[-1].copied, self._ref = True, None
            case Sort.OP:
                name, _, number = tail.partition(":")
                self._op = (Operator(name), float(number or 0))
            case Sort.OPEN | Sort.CLOSED as sort:
                self._value(path, tail, closed=sort is Sort.CLOSED)
            case Sort.PART:
                self._tail = True
                self._parts.append(ReadPart(tag=tail, words=tuple(self._spans)))
                self._spans = []
            case Sort.ASK:
                self._tail = True
                self._asks.append(tail)

    def _own(self, path: str) -> None:
        self._jobs[-1].own.add(path)

    def _value(self, path: str, tail: str, *, closed: bool) -> None:
        value = ReadValue(
            path=path,
            words=tuple(self._spans),
            closed=closed,
            value=json.loads(tail.partition("=")[2]) if closed else None,
            operator=self._op[0] if self._op else None,
            argument=self._op[1] if self._op else 0.0,
            of=self._ref,
            log_probability=self._log,
        )
        self._own(path)
        self._jobs[-1].values[path] = value
        self._spans, self._op, self._ref = [], None, None

    def graph(self, log_probability: float = 0.0, confidence: float = 1.0) -> ReadGraph:
        """Return the graph that the steps say."""
        outputs = {
            (parent, child)
            for child, job in enumerate(self._jobs)
            for parent, _ in job.outputs.values()
        }
        return ReadGraph(
            jobs=tuple(
                ReadJob(
                    kind=job.kind,
                    values=tuple(sorted(job.values.values(), key=order_of)),
                    files={name: self._coded.files[k] for name, k in job.files.items()},
                    outputs=dict(job.outputs),
                )
                for job in self._jobs
            ),
            order=frozenset(self._order - outputs),
            not_done=tuple(self._parts),
            asks=tuple(self._asks),
            log_probability=log_probability,
            confidence=confidence,
        )


def order_of(value: ReadValue) -> tuple[Any, ...]:
    """Return the place of a value within its job: by its words, implied ones last."""
    starts = tuple((words.start, words.end) for words in value.words)
    return (not starts, starts, value.path)


def linearised(graph: ReadGraph, coded: Coded, labels: Labels) -> list[Step] | None:
    """Return the steps that say a graph; None if a label or word of it is missing."""
    writer = _Writer(coded, labels)
    try:
        for index, job in enumerate(graph.jobs):
            writer.job(graph, index, job)
        for part in sorted(graph.not_done, key=lambda p: [w.start for w in p.words]):
            writer.words(part.words)
            writer.label(f"part:{part.tag}")
        for tag in sorted(graph.asks):
            writer.label(f"ask:{tag}")
        writer.label("end")
    except LookupError:
        return None
    return writer.steps


class _Writer:
    def __init__(self, coded: Coded, labels: Labels) -> None:
        self._coded, self._labels = coded, labels
        self.steps: list[Step] = []

    def label(self, name: str) -> None:
        self.steps.append(Step(act=Act.LABEL, at=self._labels.index[name]))

    def words(self, words: Sequence[Words]) -> None:
        for each in words:
            covered = [
                i
                for i, word in enumerate(self._coded.words)
                if word.start < each.end and each.start < word.end
            ]
            if not covered:
                raise LookupError("no word")
            last = min(covered[-1], covered[0] + MAX_SPAN_WORDS - 1)
            self.steps.append(Step(act=Act.WORDS, at=covered[0], last=last))

    def job(self, graph: ReadGraph, index: int, job: ReadJob) -> None:
        self.label(f"job:{job.kind}")
        for name, file in sorted(job.files.items()):
            self.steps.append(Step(act=Act.FILE, at=_place(self._coded.files, file)))
            self.label(f"file:{name}")
        for name, (parent, output) in sorted(job.outputs.items()):
            self.label(f"ref:{index - parent}")
            self.label(f"out:{name}<-{output}")
        for parent in sorted(parent for parent, child in graph.order if child == index):
            self.label(f"ref:{index - parent}")
            self.label("after")
        values = {value.path: value for value in job.values}
        other = same_as(graph.jobs, index)
        if other is not None:
            self.label(f"ref:{index - other}")
            self.label("same")
            there = {value.path: value for value in graph.jobs[other].values}
            values = {p: value for p, value in values.items() if there.get(p) != value}
        for value in sorted(values.values(), key=order_of):
            self.words(value.words)
            if value.operator is not None:
                assert value.of is not None
                self.label(f"ref:{index - value.of}")
                number = f":{value.argument:g}" if value.argument else ""
                self.label(f"op:{value.operator}{number}")
            name = (
                closed_label(value.path, value.value)
                if value.closed
                else f"open:{value.path}"
            )
            self.label(name)


def _place(files: Sequence[str], name: str) -> int:
    if name not in files:
        raise LookupError(name)
    return files.index(name)


def same_as(jobs: Sequence[ReadJob], index: int) -> int | None:
    """Return the latest job before this one of which it has every path and some value."""
    here = {value.path: value for value in jobs[index].values}
    for other in range(index - 1, -1, -1):
        there = {value.path: value for value in jobs[other].values}
        if jobs[other].kind != jobs[index].kind or not set(there) <= set(here):
            continue
        if any(here[path] == value for path, value in there.items()):
            return other
    return None
