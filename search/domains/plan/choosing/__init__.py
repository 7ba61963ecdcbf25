"""Two readers of a goal and the choice between their readings: see `read_goal`."""

from search.domains.plan.choosing.choice import read_goal

__all__ = ["read_goal"]
