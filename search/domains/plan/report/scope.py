"""Facts by the names that templates use: of a leaf, of a comparison, of the whole plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from search.domains.plan.types import Fact

SCORES: Mapping[str, str] = {"antenna": "margin"}  # others: objective


class Ledger:
    """The facts of a plan, looked up by leaf and name."""

    def __init__(self, facts: Sequence[Fact]) -> None:
        self.facts = tuple(facts)
        self.by_id = {fact.id: fact for fact in facts}
        self._leaves: dict[str, dict[str, Fact]] = {}
        for fact in facts:
            self._leaves.setdefault(fact.leaf, {})[fact.name] = fact

    def leaf(self, leaf: str) -> dict[str, Fact]:
        """Return the facts of a leaf by name."""
        return self._leaves.get(leaf, {})

    def plan(self) -> dict[str, Fact]:
        """Return the facts over the whole plan by name."""
        return self._leaves.get("", {})

    def stems(self, goal: str) -> list[str]:
        """Return the beginnings of the names of a goal's comparisons."""
        ends = (".best", f"group.{goal}.")
        return [
            name.removesuffix(ends[0])
            for name in self.plan()
            if name.startswith(ends[1]) and name.endswith(ends[0])
        ]

    def group(self, stem: str) -> dict[str, Fact]:
        """Return the facts of a comparison, with title and score of each run behind the best."""
        facts_of_group = {
            name[len(stem) + 1 :]: fact
            for name, fact in self.plan().items()
            if name.startswith(f"{stem}.")
        }
        others = [
            name.partition(".")[2]
            for name in facts_of_group
            if name.startswith("behind.")
        ]
        for leaf in others:
            facts = self.leaf(leaf)
            facts_of_group[f"title.{leaf}"] = facts["title"]
            facts_of_group[f"score.{leaf}"] = facts[
                SCORES.get(str(facts["kind"].value), "objective")
            ]
        return facts_of_group

    def evidence(self, leaf: str, passage: str) -> tuple[str, ...]:
        """Return the ids of the facts of a leaf that a passage must state."""
        return tuple(
            fact.id
            for fact in self.leaf(leaf).values()
            if fact.condition.get("passage") == passage
        )
