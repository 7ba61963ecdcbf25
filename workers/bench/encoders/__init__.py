"""Relational encoders at equal parameters on a task of three ranges."""
