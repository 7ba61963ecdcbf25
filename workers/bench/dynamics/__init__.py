"""Measurements of Scan and Snap: laws, published table, limits of the theory, real text."""
