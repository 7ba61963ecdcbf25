"""Measure costs of embedding tables for cost models: FBGEMM's fused look-up and the all-to-all.

`python -m workers.train sharding collect-tbe --help`. CPU and GPU share one protocol. The GPU path
is written for a real device and has never been run on one; the code it shares with the CPU path is
tested.
"""
