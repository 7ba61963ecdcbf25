"""The graph that a marked goal means, in the form that the learned reader gives."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from search.domains.plan.reading.graphs.grammar import (
    MAX_JOBS,
    Labels,
    closed_label,
)
from search.domains.plan.reading.graphs.types import (
    Operator,
    ReadGraph,
    ReadJob,
    ReadPart,
    ReadValue,
    Words,
)
from workers.corpus.goals.judge import reduced
from workers.corpus.goals.references import look_up, schema_of, written_out

Row = Mapping[str, Any]

NUMERAL = re.compile(
    r"\d|\b(?:an?|zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen"
    r"|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|\w+ty|hundred|thousand|million"
    r"|billion|lakh|half|quarters?|thirds?|tenth|dozen|couple|pair|single|once|"
    r"ein\w*|zwei|drei|vier|fünf|sechs|sieben|acht|neun|zehn|elf|zwölf"
    r"|une?|deux|trois|quatre|cinq|sept|huit|neuf|dix|onze|douze|quinze|vingt|trente)\b"
    r"|\w+ty-\w+|[½¼¾⅓⅔²³]",
    re.I,
)
"""Something that states a number."""
_RELATIVE = re.compile(
    r"\b(?:twice|double\w*|triple\w*|half (?:of )?(?:that|it|the|as|its)|times|same|longer|"
    r"less|more|next|higher|of that|of the|as (?:long|many|much|the)|shorter|extra|lower|again)\b",
    re.I,
)


def oracle(row: Row) -> ReadGraph | None:
    """Return the graph of one line of a file of goals; None where its marks do not say all of it.

    What must be asked is missing in the jobs, as in the reference.
    """
    if len(row["jobs"]) > MAX_JOBS or "marks" not in row:
        return None
    jobs = _in_order(row)
    places = {job["name"]: i for i, job in enumerate(jobs)}
    marks = _marks(row)
    done: list[ReadJob] = []
    wanted: list[dict[str, Any]] = []
    for job in jobs:
        values, plain = [], {}
        for path, value in _wanted(job).items():
            words = marks.get((job["name"], path), ())
            if isinstance(value, _Maybe):
                if not words:
                    continue
                value = next(each for each in value if each is not None)
            said = _value(row["goal"], job["kind"], path, value, words, done, wanted)
            values.append(said)
            plain[path] = value
        wanted.append(plain)
        done.append(
            ReadJob(
                kind=job["kind"],
                values=tuple(values),
                files={n: f for n, f in job["files"].items() if isinstance(f, str)},
                outputs={
                    n: (places[f["output_of"]], f["output"])
                    for n, f in job["files"].items()
                    if not isinstance(f, str)
                },
            )
        )
    return ReadGraph(
        jobs=tuple(done),
        order=frozenset(_edges(jobs, row, places)),
        not_done=tuple(_parts(row)),
        asks=tuple(sorted(tag for tag in row["ask"] if not tag.startswith("?"))),
        log_probability=0.0,
        confidence=1.0,
    )


def _in_order(row: Row) -> list[Any]:
    """Return the jobs so that each stands after those it waits for, else as they are."""
    before: dict[str, set[str]] = defaultdict(set)
    for parent, child in row["order"]:
        before[child].add(parent)
    for job in row["jobs"]:
        for file in job["files"].values():
            if not isinstance(file, str):
                before[job["name"]].add(file["output_of"])
    left: list[Any] = list(row["jobs"])
    found: list[Any] = []
    while left:
        done = {job["name"] for job in found}
        ready = next((job for job in left if before[job["name"]] <= done), left[0])
        left.remove(ready)
        found.append(ready)
    return found


def _edges(
    jobs: Sequence[Any], row: Row, places: Mapping[str, int]
) -> set[tuple[int, int]]:
    outputs = {
        (places[file["output_of"]], places[job["name"]])
        for job in jobs
        for file in job["files"].values()
        if not isinstance(file, str)
    }
    stated = {(places[a], places[b]) for a, b in row["order"]}
    return {
        edge for edge in reduced_pairs(stated | outputs) - outputs if edge[0] < edge[1]
    }


def reduced_pairs(edges: Iterable[tuple[int, int]]) -> set[tuple[int, int]]:
    """Return the edges without those that follow from others."""
    names = reduced((str(a), str(b)) for a, b in edges)
    return {(int(a), int(b)) for a, b in names}


def _wanted(job: Row) -> dict[str, Any]:
    """Return path → value; of values that are equally right the first, unless it may be unset."""
    kind, found = job["kind"], {}
    for path, value in job["set"].items():
        found[written_out(kind, path)] = value
    for path, values in job.get("any_of", {}).items():
        if values[0] is not None and None not in values:
            found[written_out(kind, path)] = values[0]
        elif None in values:
            found.setdefault(written_out(kind, path), _Maybe(values))
    return found


class _Maybe(tuple[Any, ...]):
    """Values of which any is right, or none: read where words state one."""

    __slots__ = ()


def _marks(row: Row) -> dict[tuple[str, str], list[Words]]:
    found: dict[tuple[str, str], list[Words]] = defaultdict(list)
    kinds = {job["name"]: job["kind"] for job in row["jobs"]}
    for words, name, path in row["marks"]:
        place = place_of(row["goal"], words)
        if place is None:
            continue
        try:
            full = written_out(kinds[name], path)
        except ValueError:
            full = path
        if place not in found[name, full]:
            found[name, full].append(place)
    return {key: sorted(rows, key=lambda w: w.start) for key, rows in found.items()}


def place_of(goal: str, words: str) -> Words | None:
    """Return the place of a mark's words; `8@3` are the third that read 8."""
    text, _, number = words.rpartition("@")
    count = 1
    if text and number.isdigit() and words not in goal:
        words, count = text, int(number)
    at = -len(words)
    for _ in range(count):
        at = goal.find(words, at + len(words))
        if at < 0:
            return None
    return Words(start=at, end=at + len(words))


def _value(
    goal: str,
    kind: str,
    path: str,
    value: Any,
    words: Sequence[Words],
    done: Sequence[ReadJob],
    wanted: Sequence[Mapping[str, Any]],
) -> ReadValue:
    said = " ".join(goal[each.start : each.end] for each in words)
    spans = tuple(words)
    if not _is_stated(kind, path, value, said):
        if (follows := _operator(path, value, said, done, wanted)) is not None:
            return ReadValue(path=path, words=spans, **follows)
        return ReadValue(path=path, words=spans, closed=True, value=value)
    return ReadValue(path=path, words=spans)


def _is_stated(kind: str, path: str, value: Any, said: str) -> bool:
    """Return whether the words say the value itself, so that it need not be known before."""
    if not said or value is None or isinstance(value, bool) or is_choice(kind, path):
        return False
    if isinstance(value, int | float):
        if _RELATIVE.search(said) and not re.search(r"\d", said):
            return False
        return bool(NUMERAL.search(said))
    if isinstance(value, Mapping):
        return any(_in(str(part), said) for part in (*value, *value.values()))
    if isinstance(value, list):
        if path.endswith(("together", "together.0", "no_split")):
            return True  # names of tables, however they are written
        return any(
            _in(str(part), said) or isinstance(part, int | float) for part in value
        )
    return path.endswith("_text") or _in(str(value).strip(), said)


def _in(value: str, said: str) -> bool:
    return bool(value) and value.lower() in said.lower()


def _operator(
    path: str,
    value: Any,
    said: str,
    done: Sequence[ReadJob],
    wanted: Sequence[Mapping[str, Any]],
) -> dict[str, Any] | None:
    """Return how a number follows from the same path of an earlier job, the nearest first."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    for other in range(len(done) - 1, -1, -1):
        base = wanted[other].get(path)
        if not isinstance(base, int | float) or isinstance(base, bool):
            continue
        if value == base:
            return {"operator": Operator.SAME, "of": other}
        if path == "seed" and value == base + 1:
            return {"operator": Operator.NEXT, "of": other}
        ratio = round(value / base, 6) if base else 0.0
        if ratio in (2, 3, 4, 5, 6, 8, 10, 0.5, 0.25, 0.1, 0.2, 1.5, round(1 / 3, 6)):
            return {"operator": Operator.TIMES, "argument": ratio, "of": other}
        if said:
            sign = 1.0 if value > base else -1.0
            return {"operator": Operator.MORE, "argument": sign, "of": other}
    return None


def is_choice(kind: str, path: str) -> bool:
    """Return whether a field has a closed set of values."""
    return bool(_choices(look_up(kind, path)[1], kind))


def _choices(part: Row, kind: str) -> Sequence[Any]:
    if "$ref" in part:
        part = schema_of(kind)["$defs"][part["$ref"].rpartition("/")[2]]
    if "enum" in part or part.get("type") == "boolean":
        return tuple(part.get("enum", (True, False)))
    for option in (*part.get("anyOf", ()), *part.get("oneOf", ())):
        if found := _choices(option, kind):
            return found
    return ()


def _parts(row: Row) -> Iterable[ReadPart]:
    for tag in row["not_done"]:
        place = place_of(row["goal"], row["spans"][tag])
        if place is not None:
            yield ReadPart(tag=tag, words=(place,))


def labels_of(graphs: Iterable[ReadGraph]) -> Labels:
    """Return the labels that some graphs need, and every field of the kinds that is in one."""
    names: Counter[str] = Counter({"end": 1, "after": 1, "same": 1})
    for d in range(1, MAX_JOBS):
        names[f"ref:{d}"] = 1
    kinds: dict[str, set[str]] = defaultdict(set)
    for graph in graphs:
        for job in graph.jobs:
            names[f"job:{job.kind}"] += 1
            own = [f"file:{name}" for name in job.files]
            own += [f"out:{name}<-{out}" for name, (_, out) in job.outputs.items()]
            for value in job.values:
                if value.closed:
                    own.append(closed_label(value.path, value.value))
                else:
                    own.append(f"open:{value.path}")
                if value.operator is not None:
                    number = f":{value.argument:g}" if value.argument else ""
                    names[f"op:{value.operator}{number}"] += 1
            for name in own:
                names[name] += 1
                kinds[name].add(job.kind)
        names.update(f"part:{part.tag}" for part in graph.not_done)
        names.update(f"ask:{tag}" for tag in graph.asks)
    return Labels(
        names=tuple(sorted(names)),
        kinds={
            name: tuple(sorted(_kinds_with(name, found)))
            for name, found in sorted(kinds.items())
        },
    )


def _kinds_with(label: str, found: set[str]) -> set[str]:
    """Return the kinds that have the label's path: the envelope's fields are in all of them."""
    if label.startswith(("file:", "out:")):
        return found
    path = label.partition(":")[2].partition("=")[0]
    if path.startswith("spec."):
        return found
    return {"ilp", "sharding", "compile", "antenna", "learn"}


def rows_of(lines: Iterable[str]) -> list[dict[str, Any]]:
    """Return the goals of some lines of JSON."""
    return [json.loads(line) for line in lines if line.strip()]
