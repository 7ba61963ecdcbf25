"""Differential fuzzer of sharding: small random jobs against every plan there is, priced by code of its own."""

from workers.bench.fuzz.sharding.check import check

__all__ = ["check"]
