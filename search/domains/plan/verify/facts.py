"""Each fact of a report, read or computed again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from search.domains.plan.reports import Entry
from search.domains.plan.verify import tables
from search.domains.plan.verify.documents import (
    MISSING,
    document_of,
    resolve,
    single_line,
)
from search.domains.plan.verify.rounding import text_of
from search.rest import EndedJob
from trimtab.specs.antenna import AntennaSpec
from trimtab.specs.compile import CompileSpec
from trimtab.specs.sharding import ShardingSpec

_FULL, _SHOWN = 4000, 240
_NAMED = 34  # digits of a derived value
_UNITS = {
    "antenna": AntennaSpec.unit_of,
    "compile": CompileSpec.unit_of,
    "sharding": ShardingSpec.unit_of,
}


class Books:
    """The facts of a report beside the documents that they claim to come from."""

    def __init__(
        self,
        entries: Sequence[Entry],
        jobs: Mapping[str, EndedJob],
        outline: Mapping[str, Any],
        text_model: str,
    ) -> None:
        self.entries = entries
        self.by_id = {entry.id: entry for entry in entries}
        self.jobs = jobs
        self.documents = {leaf: document_of(job) for leaf, job in jobs.items()}
        self.outline = outline
        self._text_model = single_line(text_model, _SHOWN)

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with the facts, one text for each."""
        if len(self.by_id) != len(self.entries):
            yield "two facts have one id"
        for entry in self.entries:
            fault = self._fault(entry)
            if fault:
                yield f"fact {entry.id} ({entry.name}, {entry.leaf or 'plan'}): {fault}"

    def _fault(self, entry: Entry) -> str:
        if any(one not in self.by_id for one in entry.of):
            return "rests on a fact that is not there"
        if entry.op:
            return self._derived(entry)
        if entry.by == "the server" and entry.job is None:
            return self._named(entry)
        if entry.by == "outline" and entry.job is None:
            return self._stated(entry)
        return self._measured(entry)

    def _named(self, entry: Entry) -> str:
        good = entry.name == "text_model" and entry.value == self._text_model
        return "" if good and entry.shown == entry.value else "is not the language model"

    def _stated(self, entry: Entry) -> str:
        raw = resolve(self.outline, entry.pointer)
        if isinstance(raw, bool):
            return (
                ""
                if entry.name == "dropped" and raw is False
                else "not so in the outline"
            )
        if not isinstance(raw, str):
            return f"the outline has no text at {entry.pointer}"
        if entry.value != single_line(raw, _FULL):
            return "its text is not that of the outline"
        return (
            "" if entry.shown == single_line(raw, _SHOWN) else "its text is cut wrongly"
        )

    def _measured(self, entry: Entry) -> str:
        job = self.jobs.get(entry.leaf)
        if job is None or job.id != entry.job or job.fence != entry.fence:
            return "names a job or an attempt that is not that of its leaf"
        name, _, index = entry.name.partition(".")
        row = tables.measures(job.kind).get(name)
        if row is None:
            return "has a name that the table does not know"
        document = self.documents[entry.leaf]
        if not self._points_right(entry.pointer, row, index, document):
            return f"{entry.pointer} is not the place of {entry.name}"
        raw = resolve(document, entry.pointer)
        unit = row.get("unit", "")
        if unit == "objective":
            unit = _UNITS[job.kind](job.spec) if job.kind in _UNITS else ""
        if entry.unit != unit:
            return f"has the unit {entry.unit!r}, not {unit!r}"
        if entry.verified != _verified(row, document):
            return f"is called {entry.verified!r}"
        return _value_fault(entry, row, raw)

    def _points_right(
        self, pointer: str, row: tables.Row, index: str, document: Mapping[str, Any]
    ) -> bool:
        pattern = str(row["pointer"])
        if row.get("select") == "first":
            index = _index(pattern, pointer)
            points = resolve(document, pattern.partition("/*")[0])
            earlier = points[: int(index)] if index.isdecimal() else [{}]
            key = pattern.rpartition("/")[2]
            if "/trace/" in pattern and any(
                point.get("objective") is not None for point in earlier
            ):
                return False
            return pattern.replace("*", index) == pointer and (
                "/trace/" in pattern or index == "0" or not key
            )
        if row.get("select") == "best":
            index = _index(pattern, pointer)
            objective = resolve(document, "/result/objective")
            trace = resolve(document, "/result/trace")
            hits = [i for i, p in enumerate(trace) if p.get("objective") == objective]
            return bool(hits) and index == str(hits[0])
        if any(
            resolve(document, place) not in words
            for place, words in row.get("where", {}).items()
        ):
            return False
        for key, start in row.get("entries", {}).items():
            item = resolve(document, pattern.partition("*")[0] + index + "/" + key)
            if not str(item).startswith(start):
                return False
        return pattern.replace("*", index) == pointer

    def numbers(self, ids: Sequence[str]) -> list[Fraction]:
        """Return the exact values of some facts. Raises ValueError for words."""
        return [Fraction(str(self.by_id[one].value)) for one in ids]

    def _derived(self, entry: Entry) -> str:
        if entry.op == "among":
            return self._among(entry)
        if entry.op == "differ_in":
            words = ", ".join(self.differing([self.by_id[i].leaf for i in entry.of]))
            return (
                "" if entry.value == (words or "nothing") else "names other differences"
            )
        if entry.op == "count":
            right = str(len(entry.of))
            return "" if entry.value == right == entry.shown else f"is not {right}"
        values = self.numbers(entry.of)
        if entry.op in ("argmin", "argmax"):
            return self._chosen(entry, values)
        if isinstance(entry.value, bool):
            shown = [self.by_id[one].shown for one in entry.of]
            return (
                "" if entry.value is truth(entry.op, values, shown) else "does not hold"
            )
        exact = computed(entry.op, values)
        if exact is None:
            return f"has the unknown operation {entry.op!r}"
        error = abs(Fraction(entry.value) - exact)
        if error > abs(exact) / 10 ** (_NAMED - 1):
            return f"is {float(exact)!r}, not {entry.value}"
        rule = self._rule(entry)
        right = text_of(exact, rule)
        return "" if entry.shown == right else f"must be shown as {right}"

    def _rule(self, entry: Entry) -> str:
        """Return the rounding of a derived fact, from the table or from what it compares."""
        kind = self.jobs[entry.leaf].kind if entry.leaf in self.jobs else ""
        row = tables.derivations(kind).get(entry.name.partition(".")[0])
        if row is not None:
            return str(row.get("rule", "exact"))
        if entry.op in ("min", "max"):
            leaf = self.by_id[entry.of[0]].leaf
            return "six" if self.jobs[leaf].kind in ("ilp", "compile") else "three"
        return "three"

    def _among(self, entry: Entry) -> str:
        row = tables.predicates().get(entry.name)
        word = self.by_id[entry.of[0]]
        if row is None or row["of"] != word.name or word.leaf != entry.leaf:
            return "is about another word"
        return "" if entry.value is (word.value in row["among"]) else "does not hold"

    def _chosen(self, entry: Entry, values: Sequence[Fraction]) -> str:
        best = min(values) if entry.op == "argmin" else max(values)
        winner = self.by_id[entry.of[list(values).index(best)]]
        if entry.job is None:  # a comparison of runs: the title of the winner
            raw = resolve(self.outline, f"/leaves/{winner.leaf}/title")
            right = single_line(str(raw), _FULL)
        else:
            index = winner.name.rpartition(".")[2]
            row = tables.derivations(self.jobs[entry.leaf].kind)[entry.name]
            source = tables.measures(self.jobs[entry.leaf].kind)[row["names"][:-2]]
            place = str(source["pointer"]).replace("*", index)
            if place != entry.pointer:
                return "is the word of another entry"
            right = single_line(str(resolve(self.documents[entry.leaf], place)), _FULL)
        return "" if entry.value == right else f"is not {right!r}"

    def differing(self, leaves: Sequence[str]) -> list[str]:
        """Return in which parts of their requests some jobs differ."""
        requests = [
            {**self.jobs[leaf].spec, "budget": self.jobs[leaf].budget} for leaf in leaves
        ]
        names = sorted({name for request in requests for name in request})
        differing = [
            name
            for name in names
            if any(r.get(name) != requests[0].get(name) for r in requests[1:])
        ]
        if len({self.jobs[leaf].seed for leaf in leaves}) > 1:
            differing.append("seed")
        return [name.replace("_", " ") for name in differing]


def _index(pattern: str, pointer: str) -> str:
    head, _, tail = pattern.partition("*")
    return pointer.removeprefix(head).removesuffix(tail)


def _verified(row: tables.Row, document: Mapping[str, Any]) -> str:
    if row.get("checked") == "stated":
        return "stated"
    verdict = resolve(document, "/result/verification/status")
    good = row.get("checked") == "verifier" and verdict == "valid"
    return "verified" if good else "measured, not verified"


def _value_fault(entry: Entry, row: tables.Row, raw: Any) -> str:
    if raw is MISSING or raw is None:
        return f"there is nothing at {entry.pointer}"
    match row.get("type", "number"):
        case "truth":
            return "" if entry.value is raw else f"is {raw}"
        case "word":
            word = str(raw)
            shown = single_line(row.get("show", {}).get(word, word), _SHOWN)
            good = entry.value == single_line(word, _FULL) and entry.shown == shown
            return "" if good else f"is not {shown!r}"
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return "is no number in the result"
    exact = Fraction(repr(raw))
    if isinstance(entry.value, bool) or Fraction(entry.value) != exact:
        return f"is {raw!r} in the result, not {entry.value}"
    right = text_of(exact, str(row.get("rule", "exact")))
    return "" if entry.shown == right else f"must be shown as {right}, not {entry.shown}"


def computed(op: str, values: Sequence[Fraction]) -> Fraction | None:
    """Return the exact result of an operation; None for one that is not in the list."""
    match op:
        case "sum":
            return sum(values, Fraction(0))
        case "min":
            return min(values)
        case "max":
            return max(values)
    first, second = values
    match op:
        case "difference":
            return first - second
        case "ratio":
            return first / second
        case "percent_less":
            return 100 * (second - first) / abs(second)
        case "percent_more":
            return 100 * (first - second) / abs(second)
        case "percent_change":
            return 100 * (second - first) / abs(first)
    return None


def truth(op: str, values: Sequence[Fraction], shown: Sequence[str]) -> bool | None:
    """Return whether a comparison holds, with figures that are shown alike as equal."""
    if op == "some":
        return values[0] > 0
    same = shown[0] == shown[1]
    table = {
        "equal": same,
        "differs": not same,
        "less": not same and values[0] < values[1],
        "more": not same and values[0] > values[1],
        "at_most": values[0] <= values[1],
    }
    return table.get(op)
