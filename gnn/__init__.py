"""Graph nets: torch for training, and numpy twins of the same weights for serving."""
