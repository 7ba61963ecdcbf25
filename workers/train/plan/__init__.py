"""Training of what kind `plan` learns."""
