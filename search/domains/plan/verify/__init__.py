"""The independent check of a report against the results of its jobs.

It shares data with the writer (the tables `measures.toml` and `templates/*.toml`, the types of a
report), but no code: numbers are read, derived and rounded again, here with fractions.
"""

from search.domains.plan.verify.check import check_report

__all__ = ["check_report"]
