"""Graphs to vectors, in torch: what trains. Serving evaluates the same weights in numpy."""
