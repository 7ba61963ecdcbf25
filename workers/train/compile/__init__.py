"""Training of kind `compile`: reward matrix of candidates over the corpus, coreset, networks."""
