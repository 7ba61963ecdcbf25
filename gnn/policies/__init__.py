"""Learned policies in torch, each with a numpy twin that a test holds equal."""
