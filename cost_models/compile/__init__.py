"""Learned orders of pass pipelines and sequences for kind `compile`."""
