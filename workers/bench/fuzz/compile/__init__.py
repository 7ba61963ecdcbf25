"""Fuzzer of kind compile: random programs and pipelines against clang and unoptimised runs."""
