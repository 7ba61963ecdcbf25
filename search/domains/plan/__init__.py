"""Kind `plan`: goals in words, outlines, ledgers and reports."""

from search.domains.plan.domain import PlanDomain, build

__all__ = ["PlanDomain", "build"]
