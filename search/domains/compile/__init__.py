"""Kind `compile`: search pass pipelines for programs smaller than those of `clang -Oz`."""

from search.domains.compile.domain import CompileDomain, build

__all__ = ["CompileDomain", "build"]
