"""Turn tables into items and shard options on numbered devices."""
