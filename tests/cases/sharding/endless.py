"""Kind `sharding` with phases after the search that ignore the clock."""

from __future__ import annotations

import threading
from typing import Any

from search.domains.sharding import build as build_sharding


class Endless:
    """The domain with a search that does not return."""

    def __init__(self) -> None:
        self._domain = build_sharding()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._domain, name)

    def search(self, *arguments: Any, **more: Any) -> Any:
        self._domain.search(*arguments, **more)
        threading.Event().wait()


def build() -> Endless:
    return Endless()
