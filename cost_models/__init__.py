"""Learned and simulated cost models."""
