"""Fuzzer of the service: random requests against the documented answers."""
