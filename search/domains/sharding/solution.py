"""A claimed plan and its serialised form."""

from __future__ import annotations

from dataclasses import dataclass

import orjson
from pydantic import TypeAdapter

from trimtab.specs.sharding import PlanShard

_SHARDS = TypeAdapter(tuple[PlanShard, ...])


@dataclass(frozen=True, kw_only=True)
class ShardingSolution:
    """A plan as the search claims it."""

    shards: tuple[PlanShard, ...]
    cost_ms: float  # by the oracle

    def to_bytes(self) -> bytes:
        """Serialise the plan as JSON."""
        shards = [shard.model_dump(mode="json") for shard in self.shards]
        return orjson.dumps({"cost_ms": self.cost_ms, "shards": shards})

    @classmethod
    def from_bytes(cls, data: bytes) -> ShardingSolution:
        """Parse a serialised plan. Raises ValueError, KeyError or TypeError."""
        content = orjson.loads(data)
        return cls(
            shards=_SHARDS.validate_python(content["shards"]),
            cost_ms=float(content["cost_ms"]),
        )
