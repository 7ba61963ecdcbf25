"""Training of kind `compile`: the reward matrix of candidates over the corpus, and the coreset."""
