"""Suites of kind `antenna`."""
