"""Views of whole domains for pre-training: what labels depend on stays as it is."""
