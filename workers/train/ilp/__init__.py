"""Training the neighbourhood scorer of CL-LNS: states from a local-branching expert, then a contrastive loss."""
