"""Engines measured side by side, each in a process of its own, one step of each in turn."""
