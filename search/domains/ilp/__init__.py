"""Kind `ilp`: integer programs, by a complete solver beside large neighbourhood search."""

from search.domains.ilp.domain import IlpDomain, build

__all__ = ["IlpDomain", "build"]
