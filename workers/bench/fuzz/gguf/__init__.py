"""Fuzzer of the GGUF reader: damaged files of small models, and what converting them does."""
