"""Heads over a language model's states."""
