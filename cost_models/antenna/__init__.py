"""Surrogate of the field solver: a net that reads an image of the metal and gives S11."""
