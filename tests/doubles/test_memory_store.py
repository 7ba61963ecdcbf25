"""The in-memory twin fulfils the contract."""

from __future__ import annotations

from collections.abc import Callable

from services.store.types import JobStore
from tests.contracts.store import StoreContract
from tests.doubles.memory_store import MemoryStore


class TestMemoryStore(StoreContract):
    def make(self, clock: Callable[[], int]) -> JobStore:
        return MemoryStore(clock=clock)
