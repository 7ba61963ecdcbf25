"""Fuzzer of the readers of MPS and LP files: random texts against HiGHS and SCIP."""
