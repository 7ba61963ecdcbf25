"""Layers of message passing: one a file, in torch, with index_add and scatter only."""
