"""Measurements of kind `plan`."""
