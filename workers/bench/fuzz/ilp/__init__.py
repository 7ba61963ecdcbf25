"""Fuzzer of integer programs: small random models against rational enumeration."""
