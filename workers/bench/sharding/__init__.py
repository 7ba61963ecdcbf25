"""Measurements of sharding plans beside other planners, and of cost models."""
