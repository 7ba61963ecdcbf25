"""The ledger: every figure that a report may state, taken from the results of the plan's jobs."""

from search.domains.plan.ledger.build import ledger_of

__all__ = ["ledger_of"]
