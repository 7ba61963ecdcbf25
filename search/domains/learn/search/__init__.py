"""Search of the kind `learn`: fit, then judge."""
