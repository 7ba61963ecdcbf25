"""Measurements: every published figure is a JSON line with machine, versions, seed and date."""
