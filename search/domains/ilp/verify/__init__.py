"""Verify phase: the exact check of the original file, in a process of its own."""
