"""Measured costs of embedding tables, as cost models want them: FBGEMM's fused look-up and the all-to-all.

`python -m workers.train sharding collect-tbe --help`. One protocol for CPU and GPU. The GPU's path is written for a real
device and has never been run on one; what it shares with the CPU's is tested.
"""
