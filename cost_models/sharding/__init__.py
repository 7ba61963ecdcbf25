"""Costs of embedding tables: compute of a set on a device, and the exchange between devices."""
