"""Quantities and phrases bound to slots, before it is known to which job they belong."""
