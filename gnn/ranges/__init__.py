"""Builders of EurNet's relations: short, medium and long range, for four domains, in numpy."""
