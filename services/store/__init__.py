"""Persistent state of the service: jobs, events, leases, files, keys.

`open_store` picks the database; importing this package loads no database code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from services.store.factory import open_store

__all__ = ["open_store"]


def __getattr__(name: str) -> Any:
    if name == "open_store":
        from services.store.factory import open_store

        return open_store
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
