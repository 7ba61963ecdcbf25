"""Measurements of kind compile: bytes against true -Oz, beside other searches."""
