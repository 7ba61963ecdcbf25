"""Training of kind `compile`: reward matrix over the corpus, coreset and networks."""
