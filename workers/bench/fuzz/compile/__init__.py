"""Fuzzer of kind compile: random programs and pipelines against clang, gcc and unoptimised runs."""
