"""Doors for modelling languages, measured by those languages' own solver tests."""
