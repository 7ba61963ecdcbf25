"""Quantities: numbers with units, lists, ranges, products and tolerances, over typed tokens."""
