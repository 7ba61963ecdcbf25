"""Outlines: candidates from templates and a language model, filters, choice, repairs."""
