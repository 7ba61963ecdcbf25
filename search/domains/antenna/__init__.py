"""Kind `antenna`: metal on a board that is matched in given bands."""

from search.domains.antenna.domain import AntennaDomain, build

__all__ = ["AntennaDomain", "build"]
