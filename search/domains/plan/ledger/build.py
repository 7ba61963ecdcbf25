"""The ledger of a plan: measured facts of each job, then what follows from them."""

from __future__ import annotations

from collections.abc import Mapping

from search.domains.plan.ledger.compare import over_all
from search.domains.plan.ledger.derive import derived_of
from search.domains.plan.ledger.ids import Ids
from search.domains.plan.ledger.measured import measured_of, stated_of
from search.domains.plan.types import Fact
from search.rest import EndedJob
from trimtab.plans import Outline


def ledger_of(outline: Outline, jobs: Mapping[str, EndedJob]) -> tuple[Fact, ...]:
    """Return every fact that a report may state, in a fixed order.

    jobs: ended jobs by leaf of the outline. A value that is missing, not finite or of another type
        than the table expects has no fact.
    """
    ids = Ids()
    facts: list[Fact] = []
    for leaf in outline.leaves:
        facts += stated_of(outline, leaf, ids)
        if (job := jobs.get(leaf)) is not None:
            measured = measured_of(leaf, job, ids)
            facts += [*measured, *derived_of(leaf, job, measured, ids)]
    return (*facts, *over_all(outline, jobs, facts, ids))
