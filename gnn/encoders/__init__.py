"""Whole graphs to vectors: stacks of `gnn.layers` behind the embeddings of one kind of graph."""
