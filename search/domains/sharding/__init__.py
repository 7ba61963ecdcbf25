"""Kind `sharding`: embedding tables on devices, by learned cost models, with a certificate."""

from search.domains.sharding.domain import ShardingDomain
from search.domains.sharding.search.models import shipped


def build() -> ShardingDomain:
    """Return the domain with the shipped models, for KINDS."""
    return ShardingDomain(shipped())


__all__ = ["ShardingDomain", "build"]
