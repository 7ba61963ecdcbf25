"""Graphs to vectors, in torch: what trains. What serves evaluates the same weights in numpy (`cost_models`)."""
