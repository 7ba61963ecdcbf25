"""Fuzzer of kind `antenna`: requests, whole runs, and files read again by independent readers."""
