"""Measurements of the kind `learn`."""
