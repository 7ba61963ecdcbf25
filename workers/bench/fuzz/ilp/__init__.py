"""Fuzzer of integer programs: small random models against enumeration in rational arithmetic."""
