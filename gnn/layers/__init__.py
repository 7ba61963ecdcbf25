"""Layers of message passing in torch, one per file, with index_add and scatter only."""
