"""Kind `compile`: programs smaller than `clang -Oz` makes them, by pass pipelines searched for each, run and compared."""

from search.domains.compile.domain import CompileDomain, build

__all__ = ["CompileDomain", "build"]
