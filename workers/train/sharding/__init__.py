"""Training of the sharding cost models; `python -m workers.train sharding --help`."""
