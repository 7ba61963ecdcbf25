"""Snapshots of prompt beginnings; the least recently used go first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from workers.llm.kv_cache import RowState
from workers.llm.policies import Rule

MIN_TOKENS = 16
"""Shorter beginnings are read again: a copy would save nothing."""


@dataclass(frozen=True)
class Key:
    """Key of a snapshot: the tokens, and how they are scored.

    Nothing has been evicted yet in a snapshot, so the number of slots does not matter.
    """

    tokens: bytes
    pinned: bytes
    scoring: tuple[object, ...]

    @classmethod
    def of(cls, ids: Sequence[int], pinned: Sequence[bool], rule: Rule) -> Key:
        """Return the key of a prompt's beginning. It holds the tokens: no hash can collide."""
        tokens = b"".join(i.to_bytes(4, "little") for i in ids)
        return cls(tokens, bytes(pinned), rule.state)


class Snapshots:
    """Snapshots up to a number of bytes."""

    def __init__(self, max_bytes: int) -> None:
        """Keep at most `max_bytes`; 0 keeps none."""
        self.max_bytes = max_bytes
        self._states: OrderedDict[Key, RowState] = OrderedDict()
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._states)

    def get(self, key: Key) -> RowState | None:
        """Return a snapshot and mark it as used, or None."""
        state = self._states.get(key)
        if state is not None:
            self._states.move_to_end(key)
        return state

    def put(self, key: Key, state: RowState) -> None:
        """Keep a snapshot, and drop the least recently used ones beyond the limit."""
        if key in self._states or state.size_bytes > self.max_bytes:
            return
        self._states[key] = state
        self.size_bytes += state.size_bytes
        while self.size_bytes > self.max_bytes:
            _, dropped = self._states.popitem(last=False)
            self.size_bytes -= dropped.size_bytes
