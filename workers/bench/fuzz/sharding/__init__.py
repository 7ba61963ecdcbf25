"""Fuzzer of sharding: small random jobs against all plans, priced by code of its own."""
