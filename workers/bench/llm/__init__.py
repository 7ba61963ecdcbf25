"""Measurements of the language model's cache: quality, speed beside rivals, memory, soak."""
