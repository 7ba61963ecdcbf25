"""Training of the neighbourhood policy of CL-LNS: states of an expert, then a contrastive loss."""
