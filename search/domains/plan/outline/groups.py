"""Goals and stages: which joiner fits a group of wishes, and which step each wish belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search.domains.plan.outline.candidates import Candidate
from search.domains.plan.outline.describe import listed, title, words
from search.domains.plan.outline.order import Links
from search.domains.plan.outline.paths import MISSING, get
from search.domains.plan.outline.templates import Joiner, library
from search.domains.plan.types import Wish

_FEW_FILES = 4


@dataclass(frozen=True, kw_only=True)
class Group:
    """Wishes that make one goal."""

    number: int
    members: tuple[int, ...]
    joiner: Joiner
    facts: Mapping[str, Any]

    def title(self, rows: Mapping[int, Candidate]) -> str:
        """Return the goal in words. rows: the chosen leaves by wish; at least one."""
        first = next(iter(rows.values()))
        files = list(dict.fromkeys(name for row in rows.values() for name in _files(row)))
        more = len(files) - _FEW_FILES
        shown = files[:_FEW_FILES] + ([f"{more} more files"] if more > 0 else [])
        engines = dict.fromkeys(
            words("spec.engine", value)
            for row in rows.values()
            if (value := get(row.request, "spec.engine")) is not MISSING
        )
        return title(
            self.joiner.title,
            {
                "group": self.facts,
                "leaf": title(first.template.title, first.request),
                "stage": first.template.stage,
                "files": listed(shown) or first.template.stage,
                "engines": listed(list(engines)),
            },
        )


def groups_of(wishes: Sequence[Wish], links: Links) -> list[Group]:
    """Return the goals of a reading in the order of their first wish, each with its joiner.

    Of the joiners that fit, the one with most conditions is taken.
    """
    numbers = list(dict.fromkeys(wish.group for wish in wishes))
    groups = []
    for number in numbers:
        members = tuple(i for i, wish in enumerate(wishes) if wish.group == number)
        facts = _facts(members, wishes, links)
        fitting = [row for row in library().joiners if row.fits({"group": facts})]
        joiner = max(fitting, key=lambda row: (len(row.when), row.id))
        groups.append(Group(number=number, members=members, joiner=joiner, facts=facts))
    return groups


def plan_of(group: Group, wishes: Sequence[Wish], links: Links) -> dict[int, int]:
    """Return the step of each wish of a group; equal steps make one stage."""
    match group.joiner.stages:
        case "level":
            steps: dict[int, int] = {}
            for index in links.sequence:
                if index in group.members:
                    before = [steps[p] for p in links.parents(index) if p in steps]
                    steps[index] = max(before, default=-1) + 1
            return steps
        case "kind":
            kinds = list(dict.fromkeys(wishes[index].kind for index in group.members))
            return {index: kinds.index(wishes[index].kind) for index in group.members}
        case "one":
            return dict.fromkeys(group.members, 0)


def _facts(
    members: Sequence[int], wishes: Sequence[Wish], links: Links
) -> dict[str, int]:
    inside = set(members)
    rows = [wishes[index] for index in members]

    def values(path: str) -> int:
        return len({str(v.value) for row in rows for v in row.values if v.path == path})

    orders = [pair for pair in links.orders if set(pair) <= inside]
    files = [pair for pair in links.files if set(pair) <= inside]
    return {
        "leaves": len(rows),
        "kinds": len({row.kind for row in rows}),
        "files": len({name for row in rows for name in row.files.values()}),
        "engines": values("spec.engine"),
        "seeds": values("seed"),
        "links": len({*orders, *files}),
        "handed_on": len(files),
    }


def _files(row: Candidate) -> list[str]:
    names: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, Mapping):
            if "digest" in value and "name" in value:
                names.append(str(value["name"]))
            else:
                for part in value.values():
                    walk(part)
        elif isinstance(value, list):
            for part in value:
                walk(part)

    walk(row.request["spec"])
    return names
