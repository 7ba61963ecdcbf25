"""Learned policies: nets in torch for training, each with a numpy twin that a test holds equal."""
